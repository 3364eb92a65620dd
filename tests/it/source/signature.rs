//! Signed commits: what git and ssh-keygen make, and what others make of it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use gitboot::source::{AllowedSigners, Check, ErrorClass, Remote, Settings, verify};
use gitboot::tree::{Commit, Revision};
use proptest::prelude::*;

use super::http::World;
use super::{check, check_with, failure, settings};
use crate::support::git::{Repository, run_with_input};
use crate::support::ssh::{self, Key};

/// When every commit of these tests is made: 2024-01-02T03:04:05Z.
const TIME: i64 = 1_704_164_645;

/// A repository, a key, and a list that holds it.
pub(super) struct Signed {
    pub(super) repository: Repository,
    key: Key,
}

impl Signed {
    pub(super) fn new() -> Self {
        let repository = Repository::with_files(&[("a.yaml", "a")]);
        let key = Key::new(repository.parent(), "ann", "ed25519");
        let signed = Self { repository, key };
        signed.allow(&format!("ann@example.com {}\n", signed.key.public()));
        signed
    }

    fn list(&self) -> PathBuf {
        self.repository.parent().join("allowed_signers")
    }

    pub(super) fn allow(&self, text: &str) {
        fs::write(self.list(), text).unwrap();
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            allowed_signers: Some(self.list()),
            ..settings(self.repository.path())
        }
    }

    /// The commit object of `HEAD`.
    pub(super) fn raw(&self) -> Vec<u8> {
        let mut command = crate::support::git::command(self.repository.path());
        let output = command.args(["cat-file", "commit", "HEAD"]).output();
        output.unwrap().stdout
    }

    /// Stores a commit object and sets `main` to it.
    pub(super) fn set(&self, raw: &[u8]) -> String {
        let path = self.repository.path();
        let arguments = [
            "hash-object",
            "-t",
            "commit",
            "--literally",
            "-w",
            "--stdin",
        ];
        let id = run_with_input(path, &arguments, raw);
        self.repository.set_ref("refs/heads/main", &id);
        id
    }

    /// The message of the refusal of `HEAD`.
    pub(super) fn refusal(&self) -> String {
        let (class, message) = failure(check(self.settings()));
        assert_eq!(class, ErrorClass::Signature, "{message}");
        message
    }
}

fn signed_commit(settings: Settings) -> Commit {
    check(settings).unwrap().commit().unwrap().clone()
}

/// An unsigned commit object with a signature put into it.
pub(super) fn with_signature(raw: &[u8], header: &str, signature: &str) -> Vec<u8> {
    let text = String::from_utf8(raw.to_vec()).unwrap();
    let (headers, message) = text.split_once("\n\n").unwrap();
    let signature = signature.trim_end().replace('\n', "\n ");
    format!("{headers}\n{header} {signature}\n\n{message}").into_bytes()
}

#[test]
fn every_kind_of_key_signs() {
    let kinds = ["ed25519", "ecdsa:256", "ecdsa:384", "ecdsa:521", "rsa:2048"];
    let signed = Signed::new();
    for kind in kinds {
        let name = kind.replace(':', "-");
        let key = Key::new(signed.repository.parent(), &name, kind);
        signed.allow(&format!("{name} {}\n", key.public()));
        let id = key.commit(&signed.repository, &[]);
        let tree = check(signed.settings()).unwrap();
        let commit = tree.commit().unwrap();
        assert_eq!(tree.revision().as_str(), id, "{kind}");
        assert_eq!(commit.principal.as_deref(), Some(name.as_str()));
        assert_eq!(commit.time, TIME);
        assert_eq!(commit.raw, signed.raw());
        // The same commit, changed.
        signed.set(&[&signed.raw()[..], b"x"].concat());
        assert_eq!(
            signed.refusal(),
            "the signature of the commit is wrong: the commit or the signature was changed"
        );
    }
}

#[test]
fn a_commit_with_the_same_files_is_admitted_by_its_own_signature() {
    let world = World::with_files(&[("a.yaml", "a")]);
    let key = Key::new(world.work.parent(), "ann", "ed25519");
    let list = world.work.parent().join("allowed_signers");
    fs::write(&list, format!("ann {}\n", key.public())).unwrap();
    let near = Settings {
        allowed_signers: Some(list.clone()),
        ..settings(world.work.path())
    };
    let far = Settings {
        allowed_signers: Some(list),
        ..world.settings()
    };
    for settings in [near, far] {
        let mut remote = Remote::new(settings).unwrap();
        let never = AtomicBool::new(false);
        let first = Revision::new(&key.commit(&world.work, &[]));
        let Check::Changed(before) = remote.check(None, &never).unwrap() else {
            panic!("nothing read");
        };
        assert_eq!(before.revision(), &first);
        // An unsigned one is refused and leaves what is known as it was.
        let unsigned = world.work.commit(&[]);
        let error = remote.check(Some(&first), &never).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Signature);
        assert_eq!(error.revision(), Some(&Revision::new(&unsigned)));
        let second = Revision::new(&key.commit(&world.work, &[]));
        let Check::Moved(after) = remote.check(Some(&first), &never).unwrap() else {
            panic!("not the same files");
        };
        assert_eq!(after.revision(), &second);
        assert!(after.iter().eq(before.iter()));
        let commit = after.commit().unwrap();
        assert_eq!(commit.principal.as_deref(), Some("ann"));
        assert_eq!(commit.first_parent, Some(Revision::new(&unsigned)));
        assert_ne!(commit.raw, before.commit().unwrap().raw);
    }
}

#[test]
fn over_http_too() {
    let world = World::with_files(&[("a.yaml", "a")]);
    let key = Key::new(world.work.parent(), "ann", "ed25519");
    let list = world.work.parent().join("allowed_signers");
    fs::write(&list, format!("ann {}\n", key.public())).unwrap();
    let settings = Settings {
        allowed_signers: Some(list),
        ..world.settings()
    };
    let (class, message) = failure(check(settings.clone()));
    assert_eq!(class, ErrorClass::Signature);
    assert_eq!(
        message,
        "the commit is not signed; sign with an SSH key that the allowed signers list (`git commit -S`)"
    );
    let parent = world.work.head();
    key.commit(&world.work, &[]);
    let commit = signed_commit(settings);
    assert_eq!(commit.principal.as_deref(), Some("ann"));
    assert_eq!(commit.first_parent, Some(Revision::new(&parent)));
}

#[test]
fn without_a_list_nobody_has_to_sign() {
    let signed = Signed::new();
    let commit = signed_commit(settings(signed.repository.path()));
    assert_eq!(commit.principal, None);
    assert_eq!(commit.first_parent, None);
    assert_eq!(commit.raw, signed.raw());
}

#[test]
fn a_merge_an_encoding_and_an_amended_author_are_signed_as_well() {
    let signed = Signed::new();
    let (repository, key) = (&signed.repository, &signed.key);
    // A signed tag that is merged leaves its own signature inside the commit.
    repository.git(&["checkout", "-q", "-b", "side"]);
    let side = key.commit(repository, &["-m", "side"]);
    let signing = format!("user.signingKey={}/ann", repository.parent().display());
    let format = ["-c", "gpg.format=ssh", "-c", &signing];
    repository.git(&[&format[..], &["tag", "-s", "-m", "tag", "v1"]].concat());
    repository.git(&["checkout", "-q", "main"]);
    let main = key.commit(repository, &[]);
    let merge = ["merge", "-q", "--no-ff", "-S", "-m", "merged", "v1"];
    repository.git(&[&format[..], &merge].concat());
    assert!(
        String::from_utf8(signed.raw())
            .unwrap()
            .contains("\nmergetag object")
    );
    let commit = signed_commit(signed.settings());
    assert_eq!(commit.first_parent, Some(Revision::new(&main)));
    assert_ne!(main, side);

    let message = repository.parent().join("message");
    fs::write(&message, b"gr\xf6\xdfer").unwrap();
    let latin = ["-c", "i18n.commitEncoding=ISO-8859-1"];
    let commit = ["commit", "-q", "-S", "--allow-empty", "-F", "../message"];
    let author = ["--author", "J <>"];
    repository.git(&[&format[..], &latin, &commit, &author].concat());
    let raw = signed.raw();
    assert!(String::from_utf8(raw.clone()).is_err());
    assert!(raw.windows(20).any(|part| part == b"\nencoding ISO-8859-1"));
    assert_eq!(signed_commit(signed.settings()).raw, raw);
}

#[test]
fn what_was_changed_is_refused() {
    let signed = Signed::new();
    signed.repository.write(&[("b.yaml", "b")]);
    signed.key.commit(&signed.repository, &[]);
    let raw = String::from_utf8(signed.raw()).unwrap();
    let first = signed.repository.git(&["rev-parse", "HEAD~1^{tree}"]);
    let tree = signed.repository.git(&["rev-parse", "HEAD^{tree}"]);
    let changes = [
        ("\n\nsigned", "\n\nsingd"),
        ("Ann Author", "Eve Author"),
        ("Cem Committer", "Eve Committer"),
        ("1704164645 +0000\ngpgsig", "1704164646 +0000\ngpgsig"),
        (tree.as_str(), first.as_str()),
        ("\ngpgsig", "\nextra header\ngpgsig"),
        ("\n\nsigned", "\nextra header\n\nsigned"),
    ];
    for (from, to) in changes {
        let forged = raw.replacen(from, to, 1);
        assert_ne!(forged, raw, "{from}");
        signed.set(forged.as_bytes());
        assert_eq!(
            signed.refusal(),
            "the signature of the commit is wrong: the commit or the signature was changed",
            "{from}"
        );
    }
    // A signature over the same commit with other ids is not looked at, by git neither.
    let id = signed.set(
        raw.replacen("\ngpgsig ", "\ngpgsig-sha256 x\n y\ngpgsig ", 1)
            .as_bytes(),
    );
    assert_eq!(check(signed.settings()).unwrap().revision().as_str(), id);
}

#[test]
fn signatures_of_another_kind_are_refused_with_words() {
    let signed = Signed::new();
    let raw = signed.raw();
    let body = "\n\nwsBcBAABCAAQBQJlk34lCRC1aQ7uu5UhlAAA\n=7Hxm\n";
    let pgp = format!("-----BEGIN PGP SIGNATURE-----{body}-----END PGP SIGNATURE-----\n");
    let x509 = format!("-----BEGIN SIGNED MESSAGE-----{body}-----END SIGNED MESSAGE-----\n");
    let damaged = format!("-----BEGIN SSH SIGNATURE-----{body}-----END SSH SIGNATURE-----\n");
    let of_a_file = signed.key.sign("file", &raw);
    let with_gpg = "the commit is signed with GPG, as forges sign what is merged or edited in a browser; only SSH \
                    signatures by listed keys count, so merge and sign in a clone (`git config gpg.format ssh`)";
    let cases = [
        (pgp.as_str(), with_gpg),
        (
            &x509,
            "the commit is signed with an X.509 certificate; only SSH signatures by listed keys count \
             (`git config gpg.format ssh`)",
        ),
        (&damaged, "the signature of the commit cannot be read"),
        ("", "the signature of the commit cannot be read"),
        (
            &of_a_file,
            "the signature of the commit is in the namespace `file`, not in `git`",
        ),
    ];
    for (signature, expected) in cases {
        signed.set(&with_signature(&raw, "gpgsig", signature));
        assert_eq!(signed.refusal(), expected);
    }
    // What GitHub's web interface makes.
    let web = String::from_utf8(with_signature(&raw, "gpgsig", &pgp)).unwrap();
    let web = web.replace(
        "Cem Committer <cem@example.com>",
        "GitHub <noreply@github.com>",
    );
    signed.set(web.as_bytes());
    assert_eq!(signed.refusal(), with_gpg);
    // The right signature, put in by hand, and the same one twice.
    let signature = signed.key.sign("git", &raw);
    let once = with_signature(&raw, "gpgsig", &signature);
    signed.set(&once);
    assert_eq!(signed_commit(signed.settings()).raw, once);
    signed.set(&with_signature(&once, "gpgsig", &signature));
    assert_eq!(signed.refusal(), "the commit has more than one signature");
    // A signature over other ids alone is none.
    signed.set(&with_signature(&raw, "gpgsig-sha256", &signature));
    assert!(signed.refusal().starts_with("the commit is not signed"));
}

#[test]
fn a_key_counts_when_its_line_allows_it() {
    let signed = Signed::new();
    signed.key.commit(&signed.repository, &[]);
    let key = signed.key.public();
    let cases = [
        ("namespaces=\"git\"", ""),
        (
            "namespaces=\"file\"",
            "is not allowed to: line 1, `ann`, has no namespace `git`",
        ),
        ("valid-after=\"20240102030405Z\"", ""),
        (
            "valid-after=\"20240102030406Z\"",
            "was not valid yet at its committer time: line 1",
        ),
        ("valid-before=\"20240102030405Z\"", ""),
        (
            "valid-before=\"20240102030404Z\"",
            "was not valid any more at its committer time: line 1",
        ),
    ];
    for (options, expected) in cases {
        signed.allow(&format!("ann {options} {key}\n"));
        if expected.is_empty() {
            let commit = signed_commit(signed.settings());
            assert_eq!(commit.principal.as_deref(), Some("ann"), "{options}");
        } else {
            let message = signed.refusal();
            assert!(message.contains(expected), "{options}: {message}");
        }
    }
}

/// Opening a pipe that nobody writes to would wait for ever.
#[test]
fn a_pipe_is_no_list() {
    let signed = Signed::new();
    signed.key.commit(&signed.repository, &[]);
    let mut remote = Remote::new(signed.settings()).unwrap();
    fs::remove_file(signed.list()).unwrap();
    let made = Command::new("mkfifo").arg(signed.list()).status().unwrap();
    assert!(made.success());
    let shown = signed.list().display().to_string();
    let message = check_with(&mut remote, Some("")).unwrap_err().to_string();
    assert_eq!(
        message,
        format!(
            "the allowed signers in `{shown}` cannot be read, so nothing new is accepted: it is not a regular file"
        )
    );
}

#[test]
fn the_list_is_read_again_and_a_refused_commit_with_it() {
    let signed = Signed::new();
    let list = fs::read_to_string(signed.list()).unwrap();
    let first = signed.key.commit(&signed.repository, &[]);
    let mut remote = Remote::new(signed.settings()).unwrap();
    let known = |remote: &mut Remote, known: &str| check_with(remote, Some(known));
    assert!(matches!(known(&mut remote, ""), Ok(Check::Changed(_))));

    // The key is removed: what was published stays known, what follows is refused, once.
    signed.allow("# nobody\n");
    assert_eq!(
        known(&mut remote, &first),
        Ok(Check::Unchanged(Revision::new(&first)))
    );
    let second = signed.key.commit(&signed.repository, &[]);
    let error = known(&mut remote, &first).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with(
            "the commit is signed by a key that is not among the allowed signers: ssh-ed25519 SHA256:"
        ),
        "{message}"
    );
    assert_eq!(error.class(), ErrorClass::Signature);
    assert_eq!(error.revision(), Some(&Revision::new(&second)));
    assert!(!error.is_transient());
    let unchanged = Ok(Check::Unchanged(Revision::new(&second)));
    assert_eq!(known(&mut remote, &second), unchanged);

    // A list that is away or wrong allows nobody.
    fs::remove_file(signed.list()).unwrap();
    let message = known(&mut remote, &second).unwrap_err().to_string();
    let shown = signed.list().display().to_string();
    assert_eq!(
        message,
        format!(
            "the allowed signers in `{shown}` cannot be read, so nothing new is accepted: No such file or directory (os \
             error 2)"
        )
    );
    assert_eq!(known(&mut remote, &second), unchanged);
    signed.allow(&format!("{list}nonsense\n"));
    let message = known(&mut remote, &second).unwrap_err().to_string();
    assert_eq!(
        message,
        format!(
            "the allowed signers in `{shown}` cannot be used, so nothing new is accepted: line 2: there is no key after \
             the principals"
        )
    );

    // The key is back, and so is the commit, without a push.
    signed.allow(&list);
    let Ok(Check::Changed(tree)) = known(&mut remote, &second) else {
        panic!("the commit is not read again");
    };
    assert_eq!(tree.revision().as_str(), second);
    assert_eq!(remote.admit_again(&tree), Ok(()));
    assert_eq!(known(&mut remote, &second), unchanged);

    // What was kept is measured by the list of today, and by its id.
    signed.allow("");
    let error = remote.admit_again(&tree).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Signature);
    assert_eq!(error.revision(), Some(&Revision::new(&second)));
    signed.allow(&list);
    let commit = tree.commit().unwrap().clone();
    let other = gitboot::tree::Tree::new(Revision::new(&first), [].into());
    let error = remote.admit_again(&other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the commit was kept without its signature"
    );
    let error = remote.admit_again(&other.with_commit(commit)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Corrupt);
}

#[test]
fn files_are_bound_to_the_signature_by_their_ids() {
    let signed = Signed::new();
    signed.repository.write(&[("b.yaml", "good")]);
    signed.key.commit(&signed.repository, &[]);
    let place = |id: &str| {
        let (folder, name) = id.split_at(2);
        signed
            .repository
            .path()
            .join(".git/objects")
            .join(folder)
            .join(name)
    };
    let good = place(&signed.repository.git(&["rev-parse", "HEAD:b.yaml"]));
    let evil = place(&signed.repository.blob(b"evil"));
    fs::remove_file(&good).unwrap();
    fs::copy(evil, good).unwrap();
    assert_eq!(failure(check(signed.settings())).0, ErrorClass::Corrupt);
}

#[test]
fn an_empty_folder_is_signed_too() {
    let signed = Signed::new();
    let settings = || Settings {
        path: Some(super::path("none")),
        allow_empty: true,
        ..signed.settings()
    };
    assert_eq!(failure(check(settings())).0, ErrorClass::Signature);
    signed.key.commit(&signed.repository, &[]);
    let tree = check(settings()).unwrap();
    assert_eq!(tree.iter().count(), 0);
    assert!(tree.commit().unwrap().principal.is_some());
}

/// What git itself asks ssh-keygen: which principals a key has, then whether one of them may sign.
pub(super) fn openssh_accepts(signed: &Signed, payload: &[u8], time: &str) -> bool {
    let signature = signed.repository.parent().join("signature");
    let list = signed.list();
    let mut find = Command::new("ssh-keygen");
    find.args(["-Y", "find-principals", "-f"]).arg(&list);
    find.arg("-s")
        .arg(&signature)
        .arg(format!("-Overify-time={time}"));
    let (is_found, principals) = ssh::run(find.env("TZ", "UTC"), b"");
    is_found
        && principals.lines().any(|principal| {
            let mut verify = Command::new("ssh-keygen");
            verify.args(["-Y", "verify", "-n", "git", "-I", principal, "-f"]);
            verify.arg(&list).arg("-s").arg(&signature);
            verify.arg(format!("-Overify-time={time}")).env("TZ", "UTC");
            ssh::run(&mut verify, payload).0
        })
}

/// Lines of a list, right and wrong; `ANN` stands for the key that signed, `EVE` for another one.
const LINES: &[&str] = &[
    "ann ANN",
    "  ann\tANN",
    "ann,cem ANN",
    "\"ann\" ANN",
    "\"ann b\" ANN",
    "\"ann ANN",
    "!ann ANN",
    "!eve,ann ANN",
    "!ann,ann ANN",
    "!*,ann ANN",
    "* ANN",
    "*@example.com ANN",
    "# ann ANN",
    "#ann ANN\n\nann ANN",
    "eve EVE",
    "eve EVE\nann ANN",
    "ann ANN\r\n",
    "ANN",
    "ann",
    "ann ssh-ed25519",
    "ann ssh-ed25519 AAAA",
    "ann foo ANN",
    "ann namespaces=\"git\" ANN",
    "ann namespaces=git ANN",
    "ann namespaces=\"\" ANN",
    "ann namespaces=\"file\" ANN",
    "ann namespaces=\"file,git\" ANN",
    "ann namespaces=\"file, git\" ANN",
    "ann namespaces=\"g*\" ANN",
    "ann namespaces=\"g??\" ANN",
    "ann namespaces=\"!git,*\" ANN",
    "ann namespaces=\"*,!git\" ANN",
    "ann namespaces=\"!file,*\" ANN",
    "ann NameSpaces=\"git\" ANN",
    "ann namespaces=\"git\",namespaces=\"git\" ANN",
    "ann namespaces=\"git\", ANN",
    "ann namespaces=\"git ANN",
    "ann namespaces=\"git\"\tANN",
    "ann valid-after=\"20240102\" ANN",
    "ann valid-after=\"20240103\" ANN",
    "ann valid-after=\"202401020304\" ANN",
    "ann valid-after=\"202401020305\" ANN",
    "ann valid-after=\"20240102030405\" ANN",
    "ann valid-after=\"20240102030406\" ANN",
    "ann valid-after=\"20240102030405Z\" ANN",
    "ann valid-after=\"20240102030405z\" ANN",
    "ann valid-after=\"2024010203Z\" ANN",
    "ann valid-after=\"20241302\" ANN",
    "ann valid-after=\"2024-01-02\" ANN",
    "ann valid-after=\"\" ANN",
    "ann valid-before=\"20240102\" ANN",
    "ann valid-before=\"20240103Z\" ANN",
    "ann valid-before=\"20240102030404\" ANN",
    "ann valid-before=\"20240102030405\" ANN",
    "ann valid-before=\"20240102030406\" ANN",
    "ann valid-after=\"20240101\",valid-before=\"20240103\" ANN",
    "ann valid-after=\"20240103\",valid-before=\"20240101\" ANN",
    "ann namespaces=\"git\",valid-before=\"20240103\" ANN",
    "ann namespaces=\"git\" valid-before=\"20240103\" ANN",
    "ann namespaces=\"file\" ANN\nann namespaces=\"git\" ANN",
    "ann valid-before=\"20230101\" ANN\nann ANN",
    "ann cert-authority ANN",
];

#[test]
fn lists_are_read_as_openssh_reads_them() {
    let signed = Signed::new();
    let other = Key::new(signed.repository.parent(), "eve", "ed25519");
    let payload = signed.raw();
    let signature = signed.key.sign("git", &payload);
    fs::write(signed.repository.parent().join("signature"), &signature).unwrap();
    let raw = with_signature(&payload, "gpgsig", &signature);
    let (ann, eve) = (signed.key.public(), other.public());
    let (mut differences, mut accepted) = (String::new(), 0);
    for line in LINES {
        let line = line.replace("ANN", ann).replace("EVE", eve);
        signed.allow(&format!("{line}\n"));
        let theirs = openssh_accepts(&signed, &payload, "20240102030405");
        let utc = in_utc(&line);
        let ours =
            AllowedSigners::parse(utc.as_bytes()).is_ok_and(|list| verify(&raw, &list).is_ok());
        accepted += usize::from(ours);
        if ours != theirs {
            writeln!(differences, "{line}: ours {ours}, theirs {theirs}").unwrap();
        }
    }
    assert_eq!(differences, "");
    assert!(accepted > 20, "{accepted}");
}

/// The same line with every time in UTC: the tests may run anywhere.
fn in_utc(line: &str) -> String {
    let mut parts = line.split("valid-");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let mut quoted: Vec<String> = part.splitn(3, '"').map(str::to_owned).collect();
        if quoted[1].ends_with(|c: char| c.is_ascii_digit()) {
            quoted[1].push('Z');
        }
        out = format!("{out}valid-{}", quoted.join("\""));
    }
    out
}

/// A signed commit object and the list that its signer is on.
fn sample() -> &'static (Vec<u8>, AllowedSigners) {
    static SAMPLE: std::sync::OnceLock<(Vec<u8>, AllowedSigners)> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(|| {
        let signed = Signed::new();
        signed.key.commit(&signed.repository, &[]);
        let list = fs::read(signed.list()).unwrap();
        let list = AllowedSigners::parse(&list).unwrap();
        assert_eq!(verify(&signed.raw(), &list).unwrap().time, TIME);
        (signed.raw(), list)
    })
}

/// What could look like nothing: line ends, blanks, padding, digits of the encoding.
const SLY: &[u8] = b"\r\n =+A";

#[test]
fn no_byte_of_a_signature_can_be_changed() {
    let (raw, list) = sample();
    let text = String::from_utf8(raw.clone()).unwrap();
    let mut accepted = Vec::new();
    for at in text.find("gpgsig").unwrap()..text.find("\n\n").unwrap() {
        let (head, tail) = raw.split_at(at);
        let mut tries = vec![[head, &tail[1..]].concat()];
        for byte in SLY {
            tries.push([head, &[*byte], tail].concat());
            tries.push([head, &[*byte], &tail[1..]].concat());
        }
        tries.retain(|changed| changed != raw && verify(changed, list).is_ok());
        accepted.extend(
            tries
                .iter()
                .map(|changed| String::from_utf8_lossy(changed).into_owned()),
        );
    }
    assert_eq!(accepted, Vec::<String>::new());
}

proptest! {
    #[test]
    fn a_changed_commit_is_never_accepted(at: prop::sample::Index, byte: u8, is_added: bool, is_removed: bool) {
        let (raw, list) = sample();
        let at = at.index(raw.len());
        let mut changed = raw.clone();
        match (is_added, is_removed) {
            (true, _) => changed.insert(at, byte),
            (false, true) => drop(changed.remove(at)),
            (false, false) => changed[at] = byte,
        }
        prop_assume!(changed != *raw);
        prop_assert!(verify(&changed, list).is_err(), "{}", String::from_utf8_lossy(&changed));
    }

    #[test]
    fn no_bytes_are_too_much(bytes: Vec<u8>, text in "(gpgsig[ -]|-----BEGIN SSH SIGNATURE-----|[ a\n]|tree 0){0,20}") {
        let (_, list) = sample();
        prop_assert!(verify(&bytes, list).is_err());
        prop_assert!(verify(text.as_bytes(), list).is_err());
    }
}
