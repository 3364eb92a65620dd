//! Ordinary clients: curl, and the one of tftp-hpa.

use std::process::Command;

use super::{Server, content};

fn curl(server: &Server, more: &[&str], file: &str) -> (Option<i32>, Vec<u8>) {
    let url = format!("tftp://{}/{file}", server.address);
    let mut command = Command::new("curl");
    let output = command
        .args(["-sS", "-m", "20"])
        .args(more)
        .arg(url)
        .output()
        .unwrap();
    (output.status.code(), output.stdout)
}

#[test]
fn curl_gets_files() {
    let server = Server::start();
    let all = content(300_000);
    server.write("file", &all);
    for more in [
        &[][..],
        &["--tftp-blksize", "1432"],
        &["--tftp-blksize", "65464"],
        &["--tftp-no-options"],
    ] {
        let (code, got) = curl(&server, more, "file");
        assert!(code == Some(0) && got == all, "{more:?} {code:?}");
    }
    // 68: file not found; 69: permission.
    assert_eq!(curl(&server, &[], "missing").0, Some(68));
    assert_eq!(curl(&server, &["--path-as-is"], "..%2Fx").0, Some(69));
}

#[test]
fn tftp_hpa_gets_files() {
    let server = Server::start();
    let all = content(300_000);
    server.write("file", &all);
    server.write("text", b"one\ntwo\n");
    let folder = tempfile::tempdir().unwrap();
    let port = server.address.port().to_string();
    let get = |mode: &str, file: &str| {
        let mut command = Command::new("tftp");
        command.current_dir(folder.path());
        command.args(["-m", mode, "127.0.0.1", &port, "-c", "get", file]);
        assert!(command.status().unwrap().success());
        std::fs::read(folder.path().join(file)).unwrap()
    };
    assert!(get("octet", "file") == all);
    assert_eq!(get("netascii", "text"), b"one\ntwo\n");
}
