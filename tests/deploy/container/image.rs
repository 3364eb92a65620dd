//! Images, built by the scripts beside the Containerfile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use serde_json::Value;

/// The commit that the images of these tests say they are of, so that their labels do not change with each one.
pub(super) const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";
/// When it was made.
const EPOCH: &str = "1704164645";
/// The image of Debian, and the one with what Rust needs.
const BASES: [&str; 2] = [
    "localhost/gitboot-test-debian",
    "localhost/gitboot-test-rust",
];

/// A built image, with its files mounted.
pub(super) struct Image {
    name: &'static str,
    root: PathBuf,
}

impl Image {
    /// The one for this machine, built as it is released.
    pub(super) fn get() -> Arc<Self> {
        static IMAGE: OnceLock<Arc<Image>> = OnceLock::new();
        let name = "localhost/gitboot-test";
        Arc::clone(IMAGE.get_or_init(|| Arc::new(Self::build(name, &["--platform=linux/amd64"]))))
    }

    /// The one for another processor. It is compiled without optimising: what is looked at is whether it runs.
    pub(super) fn foreign() -> Arc<Self> {
        static IMAGE: OnceLock<Arc<Image>> = OnceLock::new();
        let name = "localhost/gitboot-test-arm64";
        let arguments = ["--platform=linux/arm64", "--build-arg=PROFILE=dev"];
        Arc::clone(IMAGE.get_or_init(|| Arc::new(Self::build(name, &arguments))))
    }

    fn build(name: &'static str, arguments: &[&str]) -> Self {
        // One at a time: both would compile on all processors, and start from the same images.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock();
        bases();
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]));
        let mut build = storage().command(Path::new(SOURCES).join("deploy/container/build"));
        build
            .env("SOURCE_DATE_EPOCH", EPOCH)
            .args(["--pull-never", "--tag", name])
            .arg(format!("--build-arg=REVISION={REVISION}"))
            .arg(format!("--build-arg=DEBIAN={}", BASES[0]))
            .arg(format!("--build-arg=RUST={}", BASES[1]))
            .arg(format!("--volume={}:/usr/local/rust:ro", sysroot.trim()))
            .args(arguments);
        run(&mut build);
        let container = storage().buildah(&["from", "--pull-never", name]);
        let root = storage().buildah(&["mount", container.trim()]);
        Self {
            name,
            root: root.trim().into(),
        }
    }

    /// Its configuration, as a container engine reads it.
    pub(super) fn config(&self) -> Value {
        let text = storage().buildah(&["inspect", "--type=image", self.name]);
        let all: Value = serde_json::from_str(&text).unwrap();
        all["Docker"].clone()
    }

    /// Its files.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What its variables are.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let config = self.config();
        let lines = config["config"]["Env"].as_array().unwrap();
        let pair = |line: &Value| {
            let (name, value) = line.as_str().unwrap().split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        lines.iter().map(pair).collect()
    }
}

const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

/// Where buildah keeps images, and everything between two runs.
struct Storage {
    folder: PathBuf,
}

fn storage() -> &'static Storage {
    static STORAGE: LazyLock<Storage> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("container");
        fs::create_dir_all(folder.join("tmp")).unwrap();
        let storage = Storage { folder };
        storage.configure("overlay");
        let works = storage
            .command("buildah")
            .args(["from", "scratch"])
            .output();
        if !works.unwrap().status.success() {
            // On a file system that is an overlay itself.
            storage.configure("vfs");
        }
        // What an earlier run has left: containers are cheap to make, and mounts end with the machine.
        storage.buildah(&["rm", "--all"]);
        storage
    });
    &STORAGE
}

impl Storage {
    fn configure(&self, driver: &str) {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let (graph, run) = (at("graph"), at("run"));
        let text = format!(
            "[storage]\ndriver = \"{driver}\"\ngraphroot = \"{graph}\"\nrunroot = \"{run}\"\n"
        );
        fs::write(self.folder.join("storage.conf"), text).unwrap();
    }

    /// A program that uses this storage, and keeps what it caches beside it.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("CONTAINERS_STORAGE_CONF", self.folder.join("storage.conf"))
            .env("TMPDIR", self.folder.join("tmp"));
        command
    }

    fn buildah(&self, arguments: &[&str]) -> String {
        output(self.command("buildah").args(arguments))
    }
}

/// Makes the base images, unless an earlier run has.
fn bases() {
    let images = storage().buildah(&["images", "--format={{.Name}}"]);
    if BASES
        .iter()
        .all(|base| images.lines().any(|one| one == *base))
    {
        return;
    }
    let mut base = storage().command(Path::new(SOURCES).join("deploy/container/base"));
    run(base.args(BASES));
}

/// Every file and folder below a folder, and itself.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// Runs a program that says little, and returns what it says.
pub(super) fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program that says much, which is shown when it fails.
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{command:?}:\n{said}");
}
