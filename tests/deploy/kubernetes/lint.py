"""Lints a chart with Helm 4's own library, out of the wheel of helm-sdkpy: lint.py LIBRARY CHART"""

import ctypes
import json
import sys

library = ctypes.CDLL(sys.argv[1])
library.helm_sdkpy_last_error.restype = ctypes.c_char_p
handle = ctypes.c_ulonglong()
result = ctypes.c_char_p()


def check(code):
    if code != 0:
        sys.exit(library.helm_sdkpy_last_error().decode())


check(library.helm_sdkpy_config_create(b"gitboot", b"", b"", b"{}", ctypes.byref(handle)))
check(library.helm_sdkpy_lint(handle, sys.argv[2].encode(), ctypes.byref(result)))
print(json.dumps(json.loads(result.value)))
