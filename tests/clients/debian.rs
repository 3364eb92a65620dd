//! Root folders made of Debian's packages, fetched and unpacked without installing anything.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, OnceLock};

/// Both programs, and what a machine needs to run what they start.
const PACKAGES: &str = "cloud-init ignition base-passwd passwd dash coreutils hostname tzdata util-linux mount ifupdown iproute2 sed grep";

/// The folders of a system that were once beside `/usr`, and still are in the packages of some releases.
const BESIDE_USR: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// A release of Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Debian 12, with cloud-init 22.4.
    Bookworm,
    /// Debian 13, with cloud-init 25.1.
    Trixie,
}

impl Release {
    fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// A root folder with the programs, to be copied and not to be written to.
    pub(crate) fn root(self) -> PathBuf {
        static ROOTS: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
        let root = match self {
            Self::Bookworm => &ROOTS[0],
            Self::Trixie => &ROOTS[1],
        };
        root.get_or_init(|| build(self.name())).clone()
    }
}

/// Where everything that is fetched stays for the next run.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
        fs::create_dir_all(&folder).unwrap();
        folder
    });
    &FOLDER
}

/// Fetches and unpacks, unless that is done.
fn build(release: &str) -> PathBuf {
    let folder = folder().join(release);
    let (root, done) = (folder.join("root"), folder.join("done"));
    if fs::read_to_string(&done).is_ok_and(|packages| packages == PACKAGES) {
        return root;
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    let archives = fetch(&folder, release);
    fs::create_dir_all(&root).unwrap();
    for archive in archives {
        run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&root));
    }
    finish(&root);
    fs::write(done, PACKAGES).unwrap();
    root
}

/// Lets apt find and fetch the packages with all they depend on, in a state of its own in which nothing is installed.
fn fetch(folder: &Path, release: &str) -> Vec<PathBuf> {
    for part in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let source = format!("deb [signed-by={keys}] http://deb.debian.org/debian {release} main\n");
    fs::write(folder.join("sources.list"), source).unwrap();
    fs::write(folder.join("status"), "").unwrap();
    let apt = || {
        let mut apt = Command::new("apt-get");
        for (option, path) in [
            ("Dir::Etc::sourcelist", folder.join("sources.list")),
            ("Dir::Etc::sourceparts", "/dev/null".into()),
            ("Dir::State", folder.join("state")),
            ("Dir::State::status", folder.join("status")),
            ("Dir::Cache", folder.join("cache")),
        ] {
            apt.arg("-o").arg(format!("{option}={}", path.display()));
        }
        // The folder need not be readable for apt's own user.
        apt.args(["-q", "-y", "-o", "APT::Sandbox::User=root"]);
        apt.args(["-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3"]);
        apt
    };
    run(apt().arg("update"));
    let install = ["install", "--download-only", "--no-install-recommends"];
    run(apt().args(install).args(PACKAGES.split(' ')));
    let mut archives: Vec<PathBuf> = fs::read_dir(folder.join("cache/archives"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    archives.sort();
    assert!(!archives.is_empty());
    archives
}

/// What the packages' own scripts would have done, as far as it is needed here.
fn finish(root: &Path) {
    for name in BESIDE_USR {
        if !root.join(name).exists() {
            symlink(format!("usr/{name}"), root.join(name)).unwrap();
        }
    }
    for folder in [
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
        "root",
        "etc/network",
        "etc/ssl/certs",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for name in ["passwd", "group"] {
        let master = root.join(format!("usr/share/base-passwd/{name}.master"));
        fs::copy(master, root.join("etc").join(name)).unwrap();
    }
    // Debian's way to set up the network is there when this file is.
    fs::write(root.join("etc/network/interfaces"), "").unwrap();
    // Python's `requests` wants a list of authorities in Debian 13, where the packages bring one.
    let mut certificates = Vec::new();
    let authorities = fs::read_dir(root.join("usr/share/ca-certificates/mozilla"));
    for entry in authorities.into_iter().flatten() {
        certificates.extend(fs::read(entry.unwrap().path()).unwrap());
    }
    fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), certificates).unwrap();
    for folder in [
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
        "usr/share/i18n",
    ] {
        // Not every release has each of them, and none is needed.
        let _ = fs::remove_dir_all(root.join(folder));
    }
}

/// Runs a command that has to succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
