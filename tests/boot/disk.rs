//! Disks with the smallest systems that can say that they were booted.

use std::path::Path;

use crate::machine::{Firmware, Machine};

/// What the system on a disk says.
pub(crate) const GREETING: &str = "the disk has booted";

/// Gives a machine a disk for its firmware, made in this folder.
pub(crate) fn attach(machine: &mut Machine, folder: &Path) {
    if machine.firmware == Firmware::Uefi {
        machine.disk = Some(uefi(folder));
        // Between the card and the disk, the firmware tries its own boot from HTTP, over IPv6 as well. It identifies itself
        // there by its UUID, and without one gives up at once instead of after 95 seconds.
        machine.uuid = None;
    } else {
        machine.disk = Some(bios(folder));
    }
}

/// A disk for BIOS: its first sector is the system. Returns what QEMU is to open.
fn bios(folder: &Path) -> String {
    // 16-bit code at 0x7c00: print bytes up to a zero through the BIOS, which has them on the serial console too, and halt.
    let mut sector = vec![
        0xfc, // cld
        0x31, 0xc0, // xor ax, ax
        0x31, 0xdb, // xor bx, bx
        0x8e, 0xd8, // mov ds, ax
        0xbe, 0x18, 0x7c, // mov si, 0x7c18: behind the code
        0xac, // next: lodsb
        0x84, 0xc0, // test al, al
        0x74, 0x06, // jz end
        0xb4, 0x0e, // mov ah, 0x0e: teletype
        0xcd, 0x10, // int 0x10
        0xeb, 0xf5, // jmp next
        0xf4, // end: hlt
        0xeb, 0xfd, // jmp end
    ];
    sector.extend_from_slice(b"\r\n");
    sector.extend_from_slice(GREETING.as_bytes());
    sector.extend_from_slice(b"\r\n");
    sector.resize(510, 0);
    sector.extend_from_slice(&[0x55, 0xaa]);
    // Of a size that every BIOS takes for a disk: 1 MiB.
    sector.resize(1 << 20, 0);
    let path = folder.join("disk.img");
    std::fs::write(&path, sector).unwrap();
    path.display().to_string()
}

/// A disk for UEFI: a FAT file system, which QEMU makes out of a folder, with the system where firmware looks for it.
fn uefi(folder: &Path) -> String {
    let loader = folder.join("EFI/BOOT");
    std::fs::create_dir_all(&loader).unwrap();
    std::fs::write(loader.join("BOOTX64.EFI"), program()).unwrap();
    format!("fat:{}", folder.display())
}

/// An EFI program of one section.
fn program() -> Vec<u8> {
    // Called with the system table in rdx: print the text behind the code through its ConOut, and halt.
    let mut code = vec![
        0x48, 0x83, 0xec, 0x28, // sub rsp, 0x28
        0x48, 0x8b, 0x4a, 0x40, // mov rcx, [rdx + 0x40]: ConOut
        0x48, 0x8d, 0x15, 0x06, 0x00, 0x00, 0x00, // lea rdx, [rip + 6]
        0xff, 0x51, 0x08, // call [rcx + 8]: OutputString
        0xf4, // end: hlt
        0xeb, 0xfd, // jmp end
    ];
    for unit in format!("\r\n{GREETING}\r\n\0").encode_utf16() {
        code.extend_from_slice(&unit.to_le_bytes());
    }
    code.resize(0x200, 0);

    let mut image = Image::default();
    image.bytes(b"MZ").fill(0x3c).words(&[0x40]);
    image.bytes(b"PE\0\0");
    // x86-64, one section, 240 bytes of optional header, executable and large addresses.
    image
        .halves(&[0x8664, 1])
        .words(&[0, 0, 0])
        .halves(&[240, 0x22]);
    // PE32+: sizes of code and data, entry point, start of the code.
    image
        .halves(&[0x20b, 0])
        .words(&[0x200, 0, 0, 0x1000, 0x1000]);
    // The base (64 bits), the alignments in memory and in the file, three versions of which nobody asks.
    image.words(&[0, 0, 0x1000, 0x200, 0, 0, 0, 0]);
    // The sizes of the image and of its headers, no checksum, and "EFI application".
    image.words(&[0x2000, 0x200, 0]).halves(&[10, 0]);
    // Stack and heap, which firmware gives as it likes; then 16 directories, all empty.
    image.words(&[0; 8]).words(&[0, 16]).words(&[0; 32]);
    // The section: its sizes and places in memory and in the file, and that it holds code to execute.
    image
        .bytes(b".text\0\0\0")
        .words(&[0x200, 0x1000, 0x200, 0x200]);
    image.words(&[0, 0, 0, 0x6000_0020]).fill(0x200);
    image.bytes(&code);
    image.0
}

/// Bytes in little-endian order, one field after the other.
#[derive(Default)]
struct Image(Vec<u8>);

impl Image {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn halves(&mut self, values: &[u16]) -> &mut Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.0.extend(bytes);
        self
    }

    fn words(&mut self, values: &[u32]) -> &mut Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.0.extend(bytes);
        self
    }

    /// Zeros up to this place.
    fn fill(&mut self, to: usize) -> &mut Self {
        self.0.resize(to, 0);
        self
    }
}
