//! What all scenarios share: how machines are run, and the mirror that they boot Linux from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::accelerator::Accelerator;
use super::initrd;
use super::linux::Linux;
use super::machine::HOST;
use super::mirror::Mirror;

/// A file of each package that is needed, and the package.
const NEEDED: [(&str, &str); 5] = [
    ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
    ("/usr/lib/ipxe/qemu/efi-virtio.rom", "ipxe-qemu"),
    ("/usr/lib/ipxe/ipxe.lkrn", "ipxe"),
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf"),
    ("/var/lib/dpkg/info/busybox-static.list", "busybox-static"),
];

/// What all scenarios share.
pub(crate) struct Stage {
    pub(crate) accelerator: Accelerator,
    mirror: Mirror,
}

impl Stage {
    /// Gets everything ready.
    pub(crate) fn set() -> Self {
        let (image, initrd) = what_boots();
        let files = BTreeMap::from([("/vmlinuz", image), ("/initrd", initrd)]);
        Self {
            accelerator: Accelerator::choose(),
            mirror: Mirror::start(files),
        }
    }

    /// The URL of the mirror as machines see it.
    pub(crate) fn mirror(&self) -> String {
        format!("http://{HOST}:{}", self.mirror.port)
    }
}

/// A kernel and an initramfs, where everything is there that machines need.
pub(crate) fn what_boots() -> (Vec<u8>, Vec<u8>) {
    let missing = NEEDED.iter().filter(|(file, _)| !Path::new(file).exists());
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    assert!(
        missing.is_empty(),
        "install Debian's {}",
        missing.join(", ")
    );
    let linux = Linux::find(&scratch().join("linux"));
    let initrd = initrd::build(&linux);
    (linux.image, initrd)
}

/// Where the consoles of machines are kept on which a scenario failed.
pub(crate) fn kept_logs() -> PathBuf {
    let folder = scratch().join("failed");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A folder below `target/` that outlives the tests.
fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("boot")
}
