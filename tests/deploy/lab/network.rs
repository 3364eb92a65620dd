//! A network in namespaces, where daemons answer on their well-known ports and nobody outside hears of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::process::Process;

/// This machine's address there; the same that machines on QEMU's own network know it by.
pub(super) const SERVER: &str = crate::boot::machine::HOST;

/// The tap device that is the cable of a machine.
pub(super) const TAP: &str = "machine";

/// A network; when dropped, everything that was started there ends, as it does when the tests are killed.
pub(super) struct Network {
    holder: Child,
    work: TempDir,
}

impl Network {
    /// A network with nothing running. What the folder `srv` of [`Network::work`] holds, now or later, is `/srv` there.
    pub(super) fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "namespaces want root: run this with sudo, or within `unshare --user --map-root-user`"
        );
        let work = tempfile::tempdir().unwrap();
        std::fs::create_dir(work.path().join("srv")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/lab/network.sh");
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "sh"])
            .arg(script)
            .arg(work.path())
            .arg(env!("CARGO_BIN_EXE_gitboot"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(holder.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let network = Self { holder, work };
        assert_eq!(line, "ready\n", "network.sh says above what failed");
        network
    }

    /// A folder that the network's programs see, too.
    pub(super) fn work(&self) -> &Path {
        self.work.path()
    }

    /// What a program is started by to be in the network.
    pub(super) fn by(&self) -> Vec<String> {
        let holder = format!("/proc/{}/ns", self.holder.id());
        vec![
            "nsenter".to_owned(),
            format!("--net={holder}/net"),
            format!("--mount={holder}/mnt"),
            format!("--pid={holder}/pid_for_children"),
        ]
    }

    /// Starts a program on this machine's address. The log has what it writes to stdout, too.
    pub(super) fn start(
        &self,
        program: &[impl AsRef<OsStr>],
        variables: &[(String, String)],
    ) -> Process {
        self.run(&[], program, variables)
    }

    /// Starts a program on the address of the router.
    pub(super) fn start_at_router(&self, program: &[&str]) -> Process {
        self.run(&["ip", "netns", "exec", "router"], program, &[])
    }

    fn run(
        &self,
        at: &[&str],
        program: &[impl AsRef<OsStr>],
        variables: &[(String, String)],
    ) -> Process {
        let by = self.by();
        let mut command = Command::new(&by[0]);
        command
            .args(&by[1..])
            .args(at)
            .args(["sh", "-c", "exec \"$@\" >&2", "sh"])
            .args(program)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(variables.iter().cloned());
        Process::of(&mut command)
    }

    /// What setns(2) wants for the network of the place "probe".
    pub(super) fn probe(&self) -> File {
        // The folder is one of the network's own, so it is looked up as its processes would.
        let holder = format!("/proc/{}/root", self.holder.id());
        let path = PathBuf::from(holder).join("run/netns/probe");
        File::open(path).unwrap()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // What holds the namespaces together goes first, the kernel ends the rest.
        drop(self.holder.stdin.take());
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
