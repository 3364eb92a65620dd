//! What the tests with real boots have already: machines in QEMU, their consoles, a kernel and an initramfs for them.
#![allow(
    dead_code,
    clippy::format_collect,
    clippy::format_push_string,
    reason = "the tests with real boots use the rest, and put fixtures together once"
)]

#[path = "../boot/accelerator.rs"]
pub(crate) mod accelerator;
#[path = "../boot/console.rs"]
pub(crate) mod console;
#[path = "../boot/initrd.rs"]
pub(crate) mod initrd;
#[path = "../boot/linux.rs"]
pub(crate) mod linux;
#[path = "../boot/machine.rs"]
pub(crate) mod machine;
#[path = "../boot/mirror.rs"]
pub(crate) mod mirror;
#[path = "../boot/report.rs"]
pub(crate) mod report;
#[path = "../boot/stage.rs"]
pub(crate) mod stage;
