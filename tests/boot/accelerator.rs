//! Who executes a virtual machine's instructions.

use std::fs::File;
use std::time::Duration;

use super::machine::{Firmware, Machine};
use super::report::Report;

/// How long firmware may need to come as far as iPXE where the processor helps. It needs two seconds.
const PROBE: Duration = Duration::from_secs(8);

/// Who executes a virtual machine's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU.
    Tcg,
}

impl Accelerator {
    /// The name that QEMU knows it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// What `GITBOOT_BOOT_ACCEL` says, else KVM where it gets both kinds of firmware as far as iPXE: on some machines it
    /// is there but stops at an instruction that it does not know.
    pub(crate) fn choose() -> Self {
        match std::env::var("GITBOOT_BOOT_ACCEL").as_deref() {
            Ok("kvm") => return Self::Kvm,
            Ok("tcg") => return Self::Tcg,
            Ok(other) => panic!("GITBOOT_BOOT_ACCEL is `kvm` or `tcg`, not `{other}`"),
            Err(_) => {}
        }
        let device = File::options().read(true).write(true).open("/dev/kvm");
        let works = |firmware| {
            let machine = Machine::new(firmware, "52:54:00:00:00:01", "http://10.0.2.2:9/");
            let probe = machine.start(Self::Kvm, &Report::begin("probe"));
            probe.shows("Open Source Network Boot Firmware", PROBE)
        };
        if device.is_ok() && works(Firmware::Bios) && works(Firmware::Uefi) {
            Self::Kvm
        } else {
            Self::Tcg
        }
    }
}
