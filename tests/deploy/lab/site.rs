//! The lab of `deploy/compose/` without containers: the same programs with the same files, variables and rights.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::compose::Service;
use super::dhcp::Dhcp;
use super::network::{Network, SERVER};
use crate::boot::stage::what_boots;
use crate::support::process::{Process, run_in};

/// What the image of gitboot has for TFTP, as far as Debian 12 has it.
const FIRST_STAGE: [&str; 3] = ["undionly.kpxe", "snponly.efi", "ipxe.efi"];

/// The machine that the example repository knows.
pub(super) const MAC: &str = "52:54:00:12:34:56";

/// A network, and `deploy/` as somebody has it who follows its README there.
pub(super) struct Lab {
    pub(super) network: Network,
}

/// Everything that compose.yaml starts.
pub(super) struct Services {
    pub(super) gitboot: Process,
    pub(super) web: Process,
    _dhcp: Vec<Process>,
}

impl Lab {
    /// A network with a copy of `deploy/`, its `.env` filled in.
    pub(super) fn new() -> Self {
        let lab = Self {
            network: Network::new(),
        };
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        fs::create_dir(lab.network.work().join("deploy")).unwrap();
        for folder in ["compose", "dhcp"] {
            let mut command = Command::new("cp");
            command.arg("-R").arg(deploy.join(folder));
            run(command.arg(lab.deployed(folder)));
        }
        let example = fs::read_to_string(lab.deployed("compose/.env.example")).unwrap();
        let values = example
            .replace("192.0.2.10", SERVER)
            .replace("192.0.2", "10.0.2");
        fs::write(lab.deployed("compose/.env"), values).unwrap();
        lab
    }

    /// Where the copy of a file or folder of `deploy/` is.
    pub(super) fn deployed(&self, name: &str) -> String {
        let path = self.network.work().join("deploy").join(name);
        path.display().to_string()
    }

    /// Prepares the repository and the images, and starts everything in the order that compose.yaml wants.
    pub(super) fn start(&self, dhcp: Dhcp) -> Services {
        self.prepare();
        let work = self.network.work();
        let tftp = work.join("tftp");
        fs::create_dir(&tftp).unwrap();
        for name in FIRST_STAGE {
            // Debian has links there; the server wants files.
            fs::copy(Path::new("/usr/lib/ipxe").join(name), tftp.join(name)).unwrap();
        }

        let service = Service::of("gitboot");
        let mut variables = service.environment();
        // What the image says.
        variables.push(("GITBOOT_TFTP_ROOT".to_owned(), tftp.display().to_string()));
        let mut line = service.rights();
        line.extend([
            work.join("gitboot").display().to_string(),
            "serve".to_owned(),
        ]);
        let mut gitboot = self.network.start(&line, &variables);
        gitboot.line_with("published");

        let service = Service::of("web");
        let config = self.deployed("compose/nginx.conf");
        let mut line = service.rights();
        // Who may write to a pipe again by its name is who made it; an engine of containers sees to that.
        line.extend(["sh", "-c", "\"$@\" 2>&1 | cat", "sh"].map(str::to_owned));
        for word in service.command() {
            let is_config = word == "/etc/gitboot-nginx.conf";
            line.push(if is_config { config.clone() } else { word });
        }
        let web = self.network.start(&line, &[]);

        Services {
            gitboot,
            web,
            _dhcp: dhcp.start(self),
        }
    }

    /// Does what README.md says is to be done once, with another kernel in place of the installer's.
    fn prepare(&self) {
        static BOOTS: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
        let (kernel, initrd) = BOOTS.get_or_init(what_boots);
        let compose = self.deployed("compose");
        let compose = Path::new(&compose);
        let images = compose.join("images/debian");
        fs::create_dir_all(&images).unwrap();
        fs::write(images.join("linux"), kernel).unwrap();
        fs::write(images.join("initrd.gz"), initrd).unwrap();
        let mut command = Command::new("sh");
        command.arg(compose.join("prepare")).env_clear();
        command.env("PATH", std::env::var("PATH").unwrap());
        run(command.env("HOME", "/nonexistent"));
        // What compose.yaml mounts.
        let srv = self.network.work().join("srv");
        fs::rename(compose.join("boot.git"), srv.join("boot.git")).unwrap();
        fs::rename(compose.join("images"), srv.join("images")).unwrap();
    }

    /// The preseed file that the machine of the example gets, to the byte.
    pub(super) fn preseed(&self) -> String {
        let mac = format!("mac={MAC}");
        let arguments = ["render", "--config", "preseed", "--label", &mac];
        let ran = run_in(Path::new(&self.deployed("compose/boot")), &arguments, &[]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
}
