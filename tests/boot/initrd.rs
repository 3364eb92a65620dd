//! The initramfs that machines boot: busybox, the network card's modules, and an `/init` that tells what it was given.

use std::path::Path;

use super::linux::Linux;

/// What the modules of the network card need, in the order in which they can be loaded.
const MODULES: [&str; 8] = [
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "net/core/failover.ko",
    "drivers/net/net_failover.ko",
    "drivers/net/virtio_net.ko",
];

/// Fetches what `config=` or, as Debian's installer has it, `url=` of the kernel's command line names, through the card that
/// `BOOTIF=` names as PXELINUX would, and says its digest.
const INIT: &str = r#"#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
for module in $($bb cat /modules/order); do $bb insmod /modules/$module; done
for word in $($bb cat /proc/cmdline); do
    case $word in
    config=* | url=*) url=${word#*=} ;;
    BOOTIF=01-*) mac=$(echo ${word#BOOTIF=01-} | $bb tr - :) ;;
    esac
done
for card in /sys/class/net/*; do
    [ "$($bb cat $card/address)" = "$mac" ] || continue
    $bb ip link set ${card##*/} up
    $bb ip address add 10.0.2.15/24 dev ${card##*/}
done
echo "guest: asking for $url"
if $bb wget -q -O /config "$url"; then
    echo "guest: config sha256 $($bb sha256sum </config)"
else
    echo "guest: config not found"
fi
echo "guest: done"
while :; do $bb sleep 1000; done
"#;

/// Makes the archive.
pub(crate) fn build(linux: &Linux) -> Vec<u8> {
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "modules", "proc", "sys"] {
        archive.add(folder, FOLDER, &[]);
    }
    archive.add("init", PROGRAM, INIT.as_bytes());
    archive.add("bin/busybox", PROGRAM, &read(Path::new("/bin/busybox")));
    let mut order = String::new();
    for module in MODULES {
        let (_, name) = module.rsplit_once('/').unwrap();
        let path = linux.modules.join("kernel").join(module);
        archive.add(&format!("modules/{name}"), FILE, &read(&path));
        order.push_str(name);
        order.push('\n');
    }
    archive.add("modules/order", FILE, order.as_bytes());
    archive.finish()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

/// A cpio archive in the form that Linux reads, "newc".
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, body: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(body.len()).unwrap();
        let name_size = u32::try_from(name.len() + 1).unwrap();
        // The number, mode, user, group, links, time, size, device (2), special device (2), length of the name, checksum.
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            0,
            0,
            name_size,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(body);
        self.pad();
    }

    fn pad(&mut self) {
        let length = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(length, 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }
}
