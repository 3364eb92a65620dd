#!/bin/sh
# Vendor-data may be a script; this one runs in the installer. `sh` quotes what the machine said for the shell, and `${…}`
# belongs to the shell: gitboot leaves it alone.
serial={{ labels.serial | sh }}
echo "installing {{ values.hostname }} on the machine with serial number ${serial:-unknown}" > /dev/console
