//! Virtual machines with real firmware: QEMU with `SeaBIOS` or `OVMF`, and Debian's iPXE in the ROM of the network card.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::accelerator::Accelerator;
use super::console::{Console, Kind};
use super::report::Report;
use super::stage::kept_logs;

/// How long anything on a machine may take. A boot takes 10 seconds on an idle machine that emulates another one; where
/// tests run, nobody promises idleness.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// Where a guest sees the loopback interface of this machine.
pub(crate) const HOST: &str = "10.0.2.2";

/// The socket on which QEMU takes commands, in the folder of the machine.
const QMP: &str = "qmp";

/// The firmware that a machine starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Firmware {
    /// `SeaBIOS`, and iPXE in the card's ROM.
    Bios,
    /// `OVMF`, and iPXE in the card's ROM.
    Uefi,
    /// `OVMF` with its own PXE, which is no iPXE.
    #[allow(dead_code, reason = "the tests of deploy/ boot it")]
    UefiPxe,
    /// `OVMF` with its own HTTP boot.
    #[allow(dead_code, reason = "the tests of deploy/ boot it")]
    UefiHttp,
    /// `SeaBIOS` that starts iPXE like a kernel, without DHCP before it, with this script: seconds faster.
    Script(&'static str),
}

/// One network card.
pub(crate) struct Card {
    /// Its MAC.
    pub(crate) mac: String,
    /// Whether its network has DHCP; without, nobody ever answers.
    pub(crate) has_dhcp: bool,
    /// The tap device that is its cable; without one, its network is QEMU's.
    pub(crate) tap: Option<&'static str>,
}

impl Card {
    /// A card on a network with DHCP.
    pub(crate) fn new(mac: &str) -> Self {
        Self {
            mac: mac.to_owned(),
            has_dhcp: true,
            tap: None,
        }
    }
}

/// A machine before it is switched on.
pub(crate) struct Machine {
    /// What it is called in the report.
    pub(crate) name: String,
    pub(crate) firmware: Firmware,
    pub(crate) cards: Vec<Card>,
    /// What DHCP says is to be loaded.
    pub(crate) boot_file: String,
    /// The folder of a TFTP server beside the DHCP server.
    pub(crate) tftp: Option<PathBuf>,
    /// Not every firmware tells one.
    pub(crate) uuid: Option<&'static str>,
    pub(crate) serial: &'static str,
    /// The disk that comes after the cards in the order of boot devices.
    pub(crate) disk: Option<String>,
    /// What it is started by: a program that runs another one somewhere else.
    pub(crate) by: Vec<String>,
}

impl Machine {
    /// A machine with one card.
    pub(crate) fn new(firmware: Firmware, mac: &str, boot_file: &str) -> Self {
        let name = match firmware {
            Firmware::Bios => "bios",
            Firmware::Uefi | Firmware::UefiPxe | Firmware::UefiHttp => "uefi",
            Firmware::Script(_) => "ipxe",
        };
        Self {
            name: name.to_owned(),
            firmware,
            cards: vec![Card::new(mac)],
            boot_file: boot_file.to_owned(),
            tftp: None,
            uuid: Some("c4a94672-05a1-4eda-a186-b4aa4544b146"),
            serial: "SN-1",
            disk: None,
            by: Vec::new(),
        }
    }

    /// Switches it on.
    pub(crate) fn start(&self, accelerator: Accelerator, report: &Report) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join(QMP);
        let mut line = self.by.clone();
        line.push("qemu-system-x86_64".to_owned());
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-vga", "none", "-accel", accelerator.name()])
            .args(["-chardev", "stdio,id=serial,signal=off"])
            .args(["-serial", "chardev:serial"])
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", socket.display()));
        self.add_firmware(&mut command, folder.path());
        self.add_identity(&mut command);
        for (at, card) in self.cards.iter().enumerate() {
            self.add_card(&mut command, at, card);
        }
        if let Some(disk) = &self.disk {
            let drive = format!("if=none,id=disk,format=raw,readonly=on,file={disk}");
            command
                .args(["-drive", &drive])
                .args(["-device", "virtio-blk-pci,drive=disk,bootindex=9"]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        let console = Console::read(child.stdout.take().unwrap());
        report.saw(&self.name, &format!("power on, {}", accelerator.name()));
        Running {
            name: self.name.clone(),
            child,
            keys,
            console,
            folder,
            report: report.clone(),
        }
    }

    fn add_firmware(&self, command: &mut Command, folder: &Path) {
        match self.firmware {
            Firmware::Bios => {
                command.args(["-M", "pc,graphics=off", "-m", "256"]);
            }
            Firmware::Script(script) => {
                let path = folder.join("script.ipxe");
                std::fs::write(&path, script.replace("BOOT_FILE", &self.boot_file)).unwrap();
                command
                    .args(["-M", "pc,graphics=off", "-m", "256"])
                    .args(["-kernel", "/usr/lib/ipxe/ipxe.lkrn", "-initrd"])
                    .arg(path);
            }
            Firmware::Uefi | Firmware::UefiPxe | Firmware::UefiHttp => {
                let variables = folder.join("vars.fd");
                std::fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).unwrap();
                let code =
                    "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd";
                let variables = format!("if=pflash,format=raw,unit=1,file={}", variables.display());
                command
                    .args(["-M", "q35", "-m", "512"])
                    .args(["-drive", code, "-drive", &variables])
                    // After iPXE, the firmware would try its own network boot for minutes before it comes to the disk.
                    .args(["-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"]);
                if self.firmware != Firmware::UefiPxe {
                    command.args(["-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"]);
                }
            }
        }
    }

    fn add_identity(&self, command: &mut Command) {
        // A comma in a value is written twice.
        let serial = self.serial.replace(',', ",,");
        command.args(["-smbios", &format!("type=1,serial={serial}")]);
        if let Some(uuid) = self.uuid {
            command.args(["-uuid", uuid]);
        }
    }

    fn add_card(&self, command: &mut Command, at: usize, card: &Card) {
        let network = if let Some(tap) = card.tap {
            format!("tap,id=net{at},ifname={tap},script=no,downscript=no")
        } else if card.has_dhcp {
            let tftp = self.tftp.as_ref();
            let tftp = tftp.map_or(String::new(), |folder| {
                format!(",tftp={}", folder.display())
            });
            format!("user,id=net{at},bootfile={}{tftp}", self.boot_file)
        } else {
            format!("hubport,id=net{at},hubid={at}")
        };
        let rom = match self.firmware {
            // QEMU's own choice is an iPXE for both kinds of firmware.
            Firmware::Bios | Firmware::Uefi => format!("bootindex={at}"),
            Firmware::UefiPxe | Firmware::UefiHttp => format!("romfile=,bootindex={at}"),
            Firmware::Script(_) => "romfile=".to_owned(),
        };
        let device = format!(
            "virtio-net-pci,id=card{at},netdev=net{at},mac={},{rom}",
            card.mac
        );
        command.args(["-netdev", &network, "-device", &device]);
    }
}

/// A machine that is on; switched off when dropped.
pub(crate) struct Running {
    name: String,
    child: Child,
    keys: ChildStdin,
    console: Console,
    folder: TempDir,
    report: Report,
}

impl Running {
    /// Waits for the next line on the console that holds this text.
    pub(crate) fn line_with(&self, text: &str) -> String {
        self.wait(text, Kind::Line)
    }

    /// Waits for text after which the machine waits for a key.
    pub(crate) fn prompt(&self, text: &str) -> String {
        self.wait(text, Kind::Prompt)
    }

    fn wait(&self, text: &str, kind: Kind) -> String {
        match self.console.wait(text, kind, PATIENCE) {
            Ok(line) => {
                self.report.saw(&self.name, line.trim());
                line
            }
            Err(why) => panic!(
                "{} never says `{text}`: {why}; its console:\n{}{}",
                self.name,
                self.console.text(),
                self.stderr()
            ),
        }
    }

    /// Whether the console shows a line with this text in time.
    pub(crate) fn shows(&self, text: &str, time: Duration) -> bool {
        self.console.wait(text, Kind::Line, time).is_ok()
    }

    /// Whether the console has shown this text so far.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.console.has(text)
    }

    /// Types on the serial console.
    pub(crate) fn types(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
        self.keys.flush().unwrap();
        self.report
            .saw(&self.name, &format!("<- {}", keys.escape_ascii()));
    }

    /// Pulls the cable of the card with this number, or plugs it in again.
    pub(crate) fn cable(&self, card: usize, is_in: bool) {
        let socket = UnixStream::connect(self.folder.path().join(QMP)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut socket = BufReader::new(socket);
        let set_link =
            format!(r#"{{"execute":"set_link","arguments":{{"name":"card{card}","up":{is_in}}}}}"#);
        // Before the first command stands a greeting, and behind each an answer.
        for command in [r#"{"execute":"qmp_capabilities"}"#, &set_link] {
            socket.read_line(&mut String::new()).unwrap();
            writeln!(socket.get_mut(), "{command}").unwrap();
        }
        let mut answer = String::new();
        socket.read_line(&mut answer).unwrap();
        assert!(answer.contains("return"), "{answer}");
        let state = if is_in { "in" } else { "out" };
        let text = format!("<- the cable of card {card} is {state}");
        self.report.saw(&self.name, &text);
    }

    fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let file = format!("{}-{}.log", self.report.name(), self.name);
            let path = kept_logs().join(file);
            let text = format!("{}{}", self.console.text(), self.stderr());
            // A test that fails has said why; that its log is missing is seen then.
            let _ = std::fs::write(&path, text);
            self.report
                .saw(&self.name, &format!("console log: {}", path.display()));
        }
    }
}
