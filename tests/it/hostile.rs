//! Repositories that want to hurt: the real binary says what is wrong with them, within bounds of memory.

use std::fmt::Write as _;

use crate::support::fixture::GOOD;
use crate::support::git::{self, Repository};
use crate::support::http_backend::HttpBackend;
use crate::support::process::Process;

/// The memory in bytes that no repository may take beyond what a small one takes.
const MAX_GROWTH: u64 = 64 << 20;

fn good() -> String {
    GOOD.split_once('\n').unwrap().1.to_owned()
}

/// Serves the repository and returns the peak of memory once the log has this text.
fn peak(repository: &Repository, expected: &str, flags: &[&str]) -> u64 {
    let server = HttpBackend::new(repository.parent());
    let repo = format!("--repo={}", server.url("repo/.git"));
    let serve = ["serve", &repo, "--state-dir=none", "--listen=127.0.0.1:0"];
    let mut process = Process::start(&[&serve, flags].concat(), &[]);
    process.line_with(expected);
    process.memory("VmHWM")
}

/// Commits what a stream of `git fast-import` says; `M` lines follow.
fn import(repository: &Repository, blobs: &[(usize, Vec<u8>)], files: &str) {
    let mut stream = Vec::new();
    for (mark, bytes) in blobs {
        stream.extend(format!("blob\nmark :{mark}\ndata {}\n", bytes.len()).bytes());
        stream.extend(bytes);
        stream.push(b'\n');
    }
    stream.extend(b"commit refs/heads/main\ncommitter A <a@example.com> 0 +0000\ndata 1\nx\n");
    stream.extend(files.bytes());
    stream.push(b'\n');
    git::run_with_input(repository.path(), &["fast-import", "--quiet"], &stream);
}

fn check(name: &str, expected: &str, make: impl Fn(&Repository)) {
    let small = Repository::with_files(&[("good.yaml", &good())]);
    let baseline = peak(&small, "published", &[]);
    let hostile = Repository::new();
    make(&hostile);
    let grown = peak(&hostile, expected, &[]).saturating_sub(baseline);
    assert!(
        grown <= MAX_GROWTH,
        "{name} takes {grown} bytes more than {baseline}"
    );
}

#[test]
fn a_bomb_of_trees() {
    check(
        "a bomb of trees",
        "deeper than the limit of 32 folders",
        |repository| {
            let mut id = repository.blob(b"x");
            let mut mode = "100644";
            for _ in 0..40 {
                let names: Vec<[u8; 1]> = (b'a'..b'k').map(|name| [name]).collect();
                let entries: Vec<_> = names
                    .iter()
                    .map(|name| (mode, &name[..], id.as_str()))
                    .collect();
                id = repository.raw_tree(&entries);
                mode = "40000";
            }
            repository.commit_tree(&id);
        },
    );
}

#[test]
fn a_bomb_of_shallow_trees() {
    check(
        "a bomb of shallow trees",
        "more than the limit of 200000 files",
        |repository| {
            let mut id = repository.blob(b"x");
            let mut mode = "100644";
            for _ in 0..8 {
                let names: Vec<[u8; 1]> = (b'a'..b'k').map(|name| [name]).collect();
                let entries: Vec<_> = names
                    .iter()
                    .map(|name| (mode, &name[..], id.as_str()))
                    .collect();
                id = repository.raw_tree(&entries);
                mode = "40000";
            }
            repository.commit_tree(&id);
        },
    );
}

#[test]
fn deep_folders() {
    check(
        "deep folders",
        "deeper than the limit of 32 folders",
        |repository| {
            let file = format!("M 100644 :1 {}f\n", "a/".repeat(1900));
            import(repository, &[(1, b"x".to_vec())], &file);
        },
    );
}

#[test]
fn very_many_files() {
    check(
        "very many files",
        "more than the limit of 200000 files",
        |repository| {
            let mut files = String::new();
            for n in 0..250_000 {
                writeln!(files, "M 100644 :1 d{}/f{n}", n % 500).unwrap();
            }
            import(repository, &[(1, b"x".to_vec())], &files);
        },
    );
}

#[test]
fn a_large_file() {
    check(
        "a large file",
        "`f` is larger than the limit of 4194304 bytes",
        |repository| {
            import(repository, &[(1, vec![0; 20 << 20])], "M 100644 :1 f\n");
        },
    );
}

#[test]
fn very_large_objects_in_a_small_pack() {
    check(
        "very large objects",
        "an object of the commit, or the list of them, is larger than the limit of 25600000 bytes",
        |repository| {
            let mut other = vec![0; 200 << 20];
            other[0] = 1;
            import(
                repository,
                &[(1, vec![0; 200 << 20]), (2, other)],
                "M 100644 :1 f\nM 100644 :2 g\n",
            );
        },
    );
}

/// An image beside the manifests, or among them.
#[test]
fn an_image_of_hundreds_of_megabytes() {
    let image = |folder: &'static str| {
        move |repository: &Repository| {
            repository.git(&["config", "uploadpack.allowFilter", "true"]);
            let blobs = [(1, vec![0; 200 << 20]), (2, good().into())];
            let files = format!("M 100644 :1 {folder}image.iso\nM 100644 :2 boot/good.yaml\n");
            import(repository, &blobs, &files);
        }
    };
    let small = Repository::with_files(&[("boot/good.yaml", &good())]);
    let baseline = peak(&small, "published", &["--path=boot"]);
    for (folder, expected) in [
        ("", "published"),
        (
            "boot/",
            "`image.iso` is larger than the limit of 4194304 bytes",
        ),
    ] {
        let hostile = Repository::new();
        image(folder)(&hostile);
        let grown = peak(&hostile, expected, &["--path=boot"]).saturating_sub(baseline);
        assert!(grown <= MAX_GROWTH, "{folder}: {grown} bytes more");
    }
}

#[test]
fn yaml_that_grows() {
    let mut exponential = "a: &a0 [x, x]\n".to_owned();
    for n in 1..40 {
        writeln!(exponential, "a{n}: &a{n} [*a{0}, *a{0}]", n - 1).unwrap();
    }
    check("exponential YAML", "error[yaml-", |repository| {
        repository.commit(&[("good.yaml", &good()), ("bomb.yaml", &exponential)]);
    });
    let quadratic = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x,".repeat(30_000),
        "*a,".repeat(30_000)
    );
    check("quadratic YAML", "error[yaml-", |repository| {
        repository.commit(&[("good.yaml", &good()), ("bomb.yaml", &quadratic)]);
    });
}

/// Two bytes of text are one event of the parser, which would hold them all.
#[test]
fn dense_yaml() {
    let much_of = |unit: &str| unit.repeat(600_000 / unit.len());
    let list = |unit: &str| format!("[{}]", much_of(unit));
    let budget = "error[yaml-budget]";
    for (name, text, expected) in [
        ("a flow list", list("a,"), budget),
        ("empty lists", list("[],"), budget),
        ("a block list", "- a\n".repeat(250_000), budget),
        ("documents", much_of("--- a\n"), "more than 10000 documents"),
        (
            "behind a manifest",
            format!("{}---\n{}", good(), list("a,")),
            budget,
        ),
        (
            "behind what is too deep",
            format!("[{}{}, {}", "[".repeat(200), "]".repeat(200), list("a,")),
            "error[yaml-depth]",
        ),
        (
            "as much as is taken",
            format!("[{}]", "a,".repeat(239_000)),
            "error[not-a-manifest]",
        ),
    ] {
        check(&format!("dense YAML: {name}"), expected, |repository| {
            repository.commit(&[("good.yaml", &good()), ("dense.yaml", &text)]);
        });
    }
}
