//! `deploy/container/`: the image is built as its page says, from base images made of Debian's packages, and run as its page
//! says: as nobody in particular, on a root folder that cannot be written to.

mod foreign;
mod image;
mod pod;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use self::image::{Image, files, output};
use self::pod::{Network, Pod, USER};
use crate::support::git::Repository;
use crate::support::http::get;
use crate::support::http_backend::HttpBackend;
use crate::support::sshd::Sshd;

/// The most bytes of an image, unpacked: the program, OpenSSH with what it is linked to, certificates, four builds of iPXE. It had
/// 37 MB when this was written; what makes it half as large again has to be worth it.
const MAX_BYTES: u64 = 55_000_000;

/// A manifest whose script says this.
fn manifest(word: &str) -> String {
    format!(
        "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: all}}\nspec:\n  ipxe: |\n    #!ipxe\n    echo {word}\n\
         ---\napiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: all}}\nspec: {{profile: all, isDefault: true}}\n"
    )
}

/// A folder for the state, which belongs to root as volumes do where a group is all that they can be given.
fn volume() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(0), Some(USER)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o2770)).unwrap();
    folder
}

#[test]
fn the_image_says_what_it_is_and_how_it_is_run() {
    let image = Image::get();
    let config = image.config();
    let config = &config["config"];
    assert_eq!(config["User"], json!("65532:65532"));
    assert_eq!(config["Entrypoint"], json!(["/usr/bin/gitboot"]));
    assert_eq!(config["Cmd"], json!(["serve"]));
    assert_eq!(config["StopSignal"], json!("SIGTERM"));
    assert_eq!(config["Volumes"], json!({"/var/lib/gitboot": {}}));
    assert_eq!(
        config["ExposedPorts"],
        json!({"8080/tcp": {}, "8081/tcp": {}, "69/udp": {}})
    );
    assert_eq!(
        config["Healthcheck"]["Test"],
        json!(["CMD", "/usr/bin/gitboot", "health"])
    );
    let labels = &config["Labels"];
    for (name, value) in [
        ("title", "gitboot"),
        ("licenses", "Apache-2.0"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", image::REVISION),
        ("created", "2024-01-02T03:04:05Z"),
    ] {
        let label = &labels[format!("org.opencontainers.image.{name}")];
        assert_eq!(label, &json!(value), "{name}: {labels}");
    }
    assert!(labels["org.opencontainers.image.source"].is_string());
    assert_eq!(image.config()["created"], json!("2024-01-02T03:04:05Z"));
}

#[test]
fn the_image_is_small_and_nothing_in_it_can_be_changed_or_makes_anybody_root() {
    let image = Image::get();
    let mut bytes = 0;
    for path in files(image.root()) {
        let meta = path.symlink_metadata().unwrap();
        let inside = Path::new("/").join(path.strip_prefix(image.root()).unwrap());
        if meta.is_symlink() {
            assert!(path.exists(), "{} leads nowhere", inside.display());
            continue;
        }
        bytes += if meta.is_file() { meta.len() } else { 0 };
        let mode = meta.mode() & 0o7777;
        let expected = match inside.to_str().unwrap() {
            "/tmp" => (0, 0o1777),
            "/var/lib/gitboot" => (USER, 0o700),
            _ => (0, mode & 0o755),
        };
        assert_eq!((meta.uid(), mode), expected, "{}", inside.display());
        assert_eq!(meta.gid(), meta.uid(), "{}", inside.display());
    }
    println!("the image has {bytes} bytes");
    assert!(bytes < MAX_BYTES, "{bytes}");
    let programs = fs::read_dir(image.root().join("usr/bin")).unwrap();
    let mut programs: Vec<_> = programs.map(|entry| entry.unwrap().file_name()).collect();
    programs.sort();
    assert_eq!(programs, ["gitboot", "ssh"]);
}

#[test]
fn as_it_comes_it_serves_is_healthy_and_hands_out_ipxe() {
    let repo = Repository::with_files(&[("all.yaml", &manifest("one"))]);
    let mut pod = Pod::new(&Image::get(), Network::Own);
    pod.mount(repo.path(), "/repo");
    pod.set("GITBOOT_REPO", "/repo");
    pod.set("GITBOOT_TFTP_LISTEN", "[::]");
    let mut running = pod.start();
    running.server.line_with("published");
    for arguments in [&["health"][..], &["health", "--ready"]] {
        assert_eq!(running.run(arguments), (Some(0), String::new()));
    }
    let script = running.fetch("http://127.0.0.1:8080/ipxe?serial=1");
    assert_eq!(script, b"#!ipxe\necho one\n");
    for (name, magic) in [
        ("undionly.kpxe", &[][..]),
        ("snponly.efi", b"MZ"),
        ("ipxe.efi", b"MZ"),
        ("ipxe-arm64.efi", b"MZ"),
    ] {
        let firmware = running.fetch(&format!("tftp://127.0.0.1/{name}"));
        let file = pod.root().join("usr/share/gitboot/tftp").join(name);
        assert!(firmware == fs::read(file).unwrap(), "{name}");
        assert!(
            firmware.len() > 50_000 && firmware.starts_with(magic),
            "{name}"
        );
    }
    let first = running.fetch("tftp://127.0.0.1/boot.ipxe");
    assert!(first.starts_with(b"#!ipxe\n"));
    // Operators reach it from inside, nobody from outside.
    let status = running.fetch("http://127.0.0.1:8081/status");
    assert!(status.starts_with(b"{"));
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn a_health_check_fails_where_nobody_serves_and_asks_where_the_server_was_told_to_listen() {
    let repo = Repository::with_files(&[("all.yaml", &manifest("one"))]);
    let mut pod = Pod::new(&Image::get(), Network::Own);
    pod.mount(repo.path(), "/repo");
    pod.set("GITBOOT_REPO", "/repo");
    pod.set("GITBOOT_LISTEN", "127.0.0.1:8000\n127.0.0.2:8001");
    let mut running = pod.start();
    running.server.line_with("published");
    assert_eq!(running.run(&["health"]), (Some(0), String::new()));
    let (code, error) = running.run(&["health", "--listen=127.0.0.1:8002"]);
    assert_eq!(code, Some(1));
    assert!(
        error.contains("`http://127.0.0.1:8002` does not answer"),
        "{error}"
    );
}

#[test]
fn it_follows_a_remote_drains_and_serves_what_it_had_when_the_remote_is_gone() {
    let repo = Repository::with_files(&[("all.yaml", &manifest("one"))]);
    let backend = HttpBackend::new(repo.parent());
    let volume = volume();
    let mut pod = Pod::new(&Image::get(), Network::Host);
    pod.mount_writable(volume.path(), "/var/lib/gitboot");
    pod.set("GITBOOT_REPO", &backend.url("repo"));
    pod.set("GITBOOT_LISTEN", "127.0.0.1:0");
    pod.set("GITBOOT_OPS_LISTEN", "off");
    pod.set("GITBOOT_INTERVAL", "1s");
    pod.set("GITBOOT_DRAIN_DELAY", "0");
    let mut running = pod.start();
    let address = running.server.address();
    running.server.line_with("published");
    assert_eq!(get(address, "/ipxe").text(), "#!ipxe\necho one\n");
    repo.commit(&[("all.yaml", &manifest("two"))]);
    running.server.line_with("published");
    assert_eq!(get(address, "/ipxe").text(), "#!ipxe\necho two\n");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.log.contains("draining"), "{ended:?}");
    let state = volume.path().join("state").metadata().unwrap();
    assert_eq!((state.uid(), state.mode() & 0o777), (USER, 0o700));

    drop(backend);
    let mut running = pod.start();
    let address = running.server.address();
    running.server.line_with("published");
    assert_eq!(get(address, "/ipxe").text(), "#!ipxe\necho two\n");
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn it_follows_a_remote_over_ssh_with_a_key_that_its_group_may_read() {
    let repo = Repository::with_files(&[("all.yaml", &manifest("over ssh"))]);
    let sshd = Sshd::new("");
    // As secrets of Kubernetes are mounted: root's, for a group.
    let secrets = tempfile::tempdir().unwrap();
    let key = secrets.path().join("key");
    fs::copy(sshd.client_key(), &key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o440)).unwrap();
    chown(&key, Some(0), Some(USER)).unwrap();
    fs::set_permissions(secrets.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let hosts = secrets.path().join("known_hosts");
    fs::write(&hosts, "").unwrap();

    let mut pod = Pod::new(&Image::get(), Network::Host);
    pod.mount(secrets.path(), "/etc/ssh");
    pod.set("GITBOOT_REPO", &sshd.url(repo.path()));
    pod.set("GITBOOT_LISTEN", "127.0.0.1:0");
    pod.set("GITBOOT_OPS_LISTEN", "off");
    pod.set("GITBOOT_GIT_SSH_KEY_FILE", "/etc/ssh/key");
    pod.set("GITBOOT_GIT_KNOWN_HOSTS_FILE", "/etc/ssh/known_hosts");
    let mut running = pod.start();
    let address = running.server.address();
    running.server.line_with("host_key");
    // What is written later counts at once, and nothing is ever trusted on first sight.
    fs::write(&hosts, sshd.known_host()).unwrap();
    running.server.line_with("published");
    assert_eq!(get(address, "/ipxe").text(), "#!ipxe\necho over ssh\n");
}

#[test]
fn the_image_for_arm64_is_made_without_emulation_and_runs() {
    let image = Image::foreign();
    assert_eq!(image.config()["architecture"], json!("arm64"));
    foreign::check(image.root());
    // Copied to where it is found when the root folder is changed.
    let emulator = image.root().join("qemu");
    fs::copy("/usr/bin/qemu-aarch64-static", &emulator).unwrap();
    // OpenSSH opens it before anything else; engines make it.
    fs::create_dir_all(image.root().join("dev")).unwrap();
    fs::write(image.root().join("dev/null"), "").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new("chroot");
        output(command.arg(image.root()).arg("/qemu").args(arguments))
    };
    let version = run(&["/usr/bin/gitboot", "--version"]);
    let ssh = run(&["/usr/bin/ssh", "-G", "-F", "none", "git.example"]);
    fs::remove_file(emulator).unwrap();
    assert_eq!(version, format!("gitboot {}\n", env!("CARGO_PKG_VERSION")));
    assert!(ssh.contains("hostname git.example\n"), "{ssh}");
}
