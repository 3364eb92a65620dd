//! Running an image as container engines do: namespaces of its own, its root folder mounted so that it cannot be written to, its
//! user, its variables, no way to more rights.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::image::Image;
use crate::support::process::{Ended, Process};

/// The user and the group of the image.
pub(super) const USER: u32 = 65532;

/// Mounts what there is and becomes the program: `ROOT HOST-OR-OWN VOLUMES USER COMMAND…`, the volumes a line each.
const SCRIPT: &str = r#"
set -eu
root=$1 network=$2 volumes=$3 user=$4
shift 4
mount --bind "$root" "$root"
# What engines make in every container.
mount -t tmpfs -o mode=755 none "$root/dev"
for device in null zero random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t proc proc "$root/proc"
printf '%s' "$volumes" | while read -r option from to; do
    mount --bind "$from" "$root$to"
    mount -o "remount,bind,$option" "$root$to"
done
mount -o remount,bind,ro "$root"
if [ "$network" = own ]; then
    ip link set lo up
    # As Docker and newer containerd set it.
    echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
fi
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" "$@"
"#;

/// Whose network it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// That of the machine, where the tests' remotes are.
    Host,
    /// One of its own, with nothing but loopback, so that every port is free.
    Own,
}

/// An image with what somebody has set and mounted.
pub(super) struct Pod {
    image: Arc<Image>,
    network: Network,
    variables: Vec<(String, String)>,
    volumes: String,
    state: tempfile::TempDir,
}

impl Pod {
    /// Nothing but the image, with a new folder for its volume.
    pub(super) fn new(image: &Arc<Image>, network: Network) -> Self {
        for name in ["dev", "proc"] {
            fs::create_dir_all(image.root().join(name)).unwrap();
        }
        let state = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(state.path(), Some(USER), Some(USER)).unwrap();
        let mut pod = Self {
            image: Arc::clone(image),
            network,
            variables: image.variables(),
            volumes: String::new(),
            state,
        };
        let state = pod.state.path().to_owned();
        pod.mount_writable(&state, "/var/lib/gitboot");
        pod
    }

    /// The files of the image.
    pub(super) fn root(&self) -> &Path {
        self.image.root()
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Shows a folder of the machine, which cannot be changed from inside.
    pub(super) fn mount(&mut self, folder: &Path, at: &str) {
        self.add("ro", folder, at);
    }

    /// The same for one that can.
    pub(super) fn mount_writable(&mut self, folder: &Path, at: &str) {
        self.add("rw", folder, at);
    }

    fn add(&mut self, option: &str, folder: &Path, at: &str) {
        // Engines make what something is mounted on.
        fs::create_dir_all(self.root().join(at.trim_start_matches('/'))).unwrap();
        writeln!(self.volumes, "{option} {} {at}", folder.display()).unwrap();
    }

    /// Runs what the image runs.
    pub(super) fn start(&self) -> Running {
        let config = self.image.config();
        let words = |name: &str| -> Vec<String> {
            let words = config["config"][name].as_array().unwrap().iter();
            words
                .map(|word| word.as_str().unwrap().to_owned())
                .collect()
        };
        let user = config["config"]["User"].as_str().unwrap().to_owned();
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--ipc",
            "--uts",
        ]);
        let network = match self.network {
            Network::Host => "host",
            Network::Own => {
                command.arg("--net");
                "own"
            }
        };
        command
            .args(["sh", "-c", SCRIPT, "sh"])
            .arg(self.root())
            .args([network, &self.volumes, &user])
            .args(words("Entrypoint"))
            .args(words("Cmd"));
        dress(&mut command, &self.variables);
        let server = Process::of(command.stdout(Stdio::null()));
        Running {
            server,
            user,
            root: self.root().to_owned(),
            variables: self.variables.clone(),
        }
    }
}

/// Gives a command these variables, and the machine's folders with programs after the image's: the shell that mounts wants them.
fn dress(command: &mut Command, variables: &[(String, String)]) {
    command.env_clear().envs(variables.iter().cloned());
    command.env("PATH", "/usr/bin:/usr/sbin:/bin:/sbin");
}

/// A container that runs.
pub(super) struct Running {
    pub(super) server: Process,
    user: String,
    root: PathBuf,
    variables: Vec<(String, String)>,
}

impl Running {
    /// The number of the program, seen from outside.
    fn program(&self) -> String {
        let unshare = self.server.id();
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"));
        children.unwrap().trim().to_owned()
    }

    /// A command in its namespaces.
    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.program(), "--net"]);
        dress(&mut command, &self.variables);
        command
    }

    /// Runs the program once more in the container, as a health check does: how it ended, and what it said.
    pub(super) fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.inside();
        command
            .args(["--mount", "--pid", "setpriv", "--no-new-privs", "chroot"])
            .arg(format!("--userspec={}", self.user))
            .args(["--groups=".as_ref(), self.root.as_os_str()])
            .arg("/usr/bin/gitboot")
            .args(arguments);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// Fetches a URL from within its network.
    pub(super) fn fetch(&self, url: &str) -> Vec<u8> {
        let mut command = self.inside();
        command.args([
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            "--max-time",
            "20",
            url,
        ]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{url}: {output:?}");
        output.stdout
    }

    /// Ends it as engines do: a signal to the program.
    pub(super) fn end(self) -> Ended {
        let kill = ["-TERM", &self.program()];
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        self.server.end()
    }
}
