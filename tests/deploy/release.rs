//! `deploy/release/`: what is in an archive, that it is the same each time, and that its manual can be read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::process::run_in;

fn source_tree() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program that has to be there, and has to end well.
fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("it is there");
    let text = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {text}");
    String::from_utf8(stdout).unwrap()
}

/// The archive of the program that the tests have, and the name of its folder.
fn archive(out: &Path) -> (PathBuf, String) {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // What is only there for debugging makes three quarters of it.
    let program = out.join("program");
    run(Command::new("strip")
        .arg("-o")
        .arg(&program)
        .arg(env!("CARGO_BIN_EXE_gitboot")));
    run(Command::new(source_tree().join("deploy/release/build"))
        .arg("--program")
        .args([program.as_os_str(), target.as_ref()])
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .env("OUT", out));
    let name = format!("gitboot-{}-{target}", env!("CARGO_PKG_VERSION"));
    (out.join(format!("{name}.tar.gz")), name)
}

#[test]
fn the_archive_holds_what_a_system_needs_and_is_the_same_each_time() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, name) = archive(one.path());
    let (second, _) = archive(two.path());
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());
    run(Command::new("sha256sum")
        .args(["--check", "--status"])
        .arg(format!("{name}.tar.gz.sha256"))
        .current_dir(one.path()));

    run(Command::new("tar")
        .arg("-xzf")
        .arg(&first)
        .current_dir(one.path()));
    let tree = one.path().join(&name);
    for file in [
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "completions/gitboot.bash",
        "completions/_gitboot",
        "completions/gitboot.fish",
        "man/man1/gitboot.1",
        "man/man1/gitboot-serve.1",
        "man/man1/gitboot-validate.1",
        "systemd/gitboot.service",
        "systemd/gitboot.socket",
        "systemd/gitboot.env",
    ] {
        let length = fs::metadata(tree.join(file)).map(|file| file.len());
        assert!(length.is_ok_and(|length| length > 100), "{file}");
    }
    let version = run(Command::new(tree.join("gitboot")).arg("--version"));
    assert_eq!(
        version,
        concat!("gitboot ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn everybody_whose_work_is_in_it_is_named() {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let text = run(Command::new(source_tree().join("deploy/release/third-party")).arg(&target));
    for part in [
        "\ntokio ",
        "\nring ",
        "\ngix ",
        "\nand musl, the C library: MIT",
        "Copyright (c) Tokio Contributors",
    ] {
        assert!(text.contains(part), "{part}");
    }
    // What only tests and builds use is not in it.
    for part in ["\nproptest ", "\njsonschema ", "\nserde_derive "] {
        assert!(!text.contains(part), "{part}");
    }
    let (list, _) = text.split_once("\nand Rust's standard library").unwrap();
    let mut crates = list.lines().skip(2).filter(|line| !line.is_empty());
    assert!(crates.all(|line| {
        line.split(": ")
            .nth(1)
            .is_some_and(|licence| !licence.is_empty())
    }));
}

#[test]
fn the_manual_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run_in(folder.path(), &["man", "."], &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let mut pages: Vec<PathBuf> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    pages.sort();
    assert!(pages.len() > 11, "{pages:?}");
    for page in &pages {
        let output = Command::new("man")
            .args(["--warnings=all", "--local-file"])
            .arg(page)
            .env("LC_ALL", "C.UTF-8")
            .env("MANWIDTH", "100")
            .output()
            .expect("man is there (Debian's `man-db`)");
        assert!(output.status.success(), "{page:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{page:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("NAME") && text.contains("SYNOPSIS"), "{text}");
    }
    let nowhere = run_in(folder.path(), &["man", "missing"], &[]);
    assert_eq!(nowhere.code, Some(1));
    assert!(
        nowhere.stderr.starts_with("error: cannot write `missing/"),
        "{}",
        nowhere.stderr
    );
}

#[test]
fn the_package_for_the_registry_is_what_it_is_built_from() {
    let list = run(Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .current_dir(source_tree()));
    for file in [
        "src/main.rs",
        "example-repo/README.md",
        "LICENSE",
        "Cargo.lock",
    ] {
        assert!(list.lines().any(|line| line == file), "{file} in {list}");
    }
    for folder in ["tests/", "deploy/", ".ci/"] {
        assert!(!list.lines().any(|line| line.starts_with(folder)), "{list}");
    }
}
