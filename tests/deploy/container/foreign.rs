//! Programs and libraries for another processor, looked at without running them.

use std::fs;
use std::path::Path;

use super::image::files;

/// What every program and library starts with.
const MAGIC: &[u8] = b"\x7fELF";
/// Where the header says for which processor it is, in two bytes.
const MACHINE: std::ops::Range<usize> = 18..20;
/// 64-bit ARM, from the table of ELF's machines.
const AARCH64: [u8; 2] = [183, 0];

/// Ensure that everything that runs is for arm64, the program and its loader among it.
pub(super) fn check(root: &Path) {
    let mut found = Vec::new();
    for path in files(root) {
        if !path.symlink_metadata().unwrap().is_file() {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        if bytes.starts_with(MAGIC) {
            assert_eq!(bytes[MACHINE], AARCH64, "{}", path.display());
            found.push(path.file_name().unwrap().to_owned());
        }
    }
    for name in ["gitboot", "ssh", "ld-linux-aarch64.so.1", "libc.so.6"] {
        assert!(found.iter().any(|one| one == name), "{name}: {found:?}");
    }
}
