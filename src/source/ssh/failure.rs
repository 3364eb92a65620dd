//! Why `ssh` ended, read from what it and the server left behind, and what to do about it.

use std::path::{Path, PathBuf};

use crate::source::error::{ErrorClass, SourceError, printable};

/// The exit code of `ssh` when it failed itself; any other is that of the command at the server.
const SSH_FAILED: i32 = 255;
/// The exit code of a shell that does not find a command.
const NO_COMMAND: i32 = 127;

/// What a message may name.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) known_hosts_file: Option<PathBuf>,
}

/// What is left of an `ssh` that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None` when a signal ended it.
    pub(super) code: Option<i32>,
    /// What `ssh` said.
    pub(super) log: String,
    /// What the command at the server said, and `ssh` before it had a log.
    pub(super) stderr: String,
}

/// The failure in words and as a class.
pub(super) fn explain(names: &Names, ended: &Ended) -> SourceError {
    let (class, message) = if ended.code == Some(SSH_FAILED) {
        own(names, ended)
    } else {
        remote(ended)
    };
    SourceError::new(class, message)
}

/// `ssh` itself failed.
fn own(names: &Names, ended: &Ended) -> (ErrorClass, String) {
    let Ended { log, stderr, .. } = ended;
    let has = |text: &str| log.contains(text);
    let host = printable(&names.host);
    if has("Host key verification failed") || has("host key is known for") {
        return (ErrorClass::HostKey, host_key(names, log));
    }
    if has("Permission denied") || has("Too many authentication failures") {
        return (ErrorClass::Auth, denied(names, log));
    }
    if stderr.contains("No user exists for uid") {
        let message =
            "ssh works only for a user with an entry in /etc/passwd, which this one lacks";
        return (ErrorClass::Unsupported, message.to_owned());
    }
    let said = last_line(log).or(last_line(stderr));
    let said = said.unwrap_or_else(|| "it does not say why".to_owned());
    let (class, what) = if has("Could not resolve hostname") {
        (
            ErrorClass::Dns,
            format!("the name `{host}` cannot be resolved"),
        )
    } else if has("timed out") || has("not responding") {
        (
            ErrorClass::Timeout,
            format!("`{host}` did not answer in time"),
        )
    } else if has("no matching ")
        || has("identification")
        || has("Protocol mismatch")
        || has("Bad packet")
    {
        (
            ErrorClass::Protocol,
            format!("`{host}` does not speak ssh as OpenSSH does"),
        )
    } else {
        (
            ErrorClass::Refused,
            format!("`{host}` cannot be reached over ssh"),
        )
    };
    (class, format!("{what}: {said}"))
}

/// The command at the server failed, after the login.
fn remote(ended: &Ended) -> (ErrorClass, String) {
    let said = last_line(&ended.stderr).or(last_line(&ended.log));
    let lower = ended.stderr.to_lowercase();
    let is_missing = [
        "does not appear to be a git repository",
        "not found",
        "no such",
        "could not be found",
        "not exist",
    ];
    let is_denied = [
        "permission denied",
        "access denied",
        "not allowed",
        "unauthorized",
        "could not read from",
    ];
    let has = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    let (class, what) = if ended.code == Some(NO_COMMAND) {
        (ErrorClass::Protocol, "the server has no git")
    } else if has(&is_missing) {
        (ErrorClass::NotFound, "there is no repository at this path")
    } else if has(&is_denied) {
        (
            ErrorClass::Auth,
            "the server denies access to the repository",
        )
    } else {
        (ErrorClass::Protocol, "the server ended the conversation")
    };
    let message = match said {
        Some(said) => format!("{what}: {said}"),
        None => what.to_owned(),
    };
    (class, message)
}

fn host_key(names: &Names, log: &str) -> String {
    let host = printable(&names.host);
    let file = match &names.known_hosts_file {
        Some(path) => format!("`--git-known-hosts-file` (`{}`)", shown(path)),
        None => {
            "the known hosts of this user; name a file with `--git-known-hosts-file`".to_owned()
        }
    };
    let scan = match names.port {
        Some(port) => format!("`ssh-keyscan -p {port} {host}`"),
        None => format!("`ssh-keyscan {host}`"),
    };
    if log.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return format!(
            "the host key of `{host}` is another than the one in {file}: somebody may be in between, or the host has a \
             new key; {scan} prints it, to replace the old one after its fingerprint was compared"
        );
    }
    if log.contains("revoked") {
        return format!("the host key of `{host}` is marked as revoked in {file}");
    }
    format!(
        "the host key of `{host}` is not in {file}; {scan} prints it, to be added after its fingerprint was compared"
    )
}

fn denied(names: &Names, log: &str) -> String {
    let host = printable(&names.host);
    let Some(path) = &names.key_file else {
        return format!("`{host}` accepts no key of this user; name one with `--git-ssh-key-file`");
    };
    let path = shown(path);
    let key = format!("the key of `--git-ssh-key-file` (`{path}`)");
    if log.contains("UNPROTECTED PRIVATE KEY FILE") || log.contains("bad permissions") {
        return format!(
            "ssh does not use {key}, because others can read it; `chmod 600 {path}` mends that"
        );
    }
    if log.contains("passphrase") {
        return format!(
            "{key} has a passphrase, which nobody is there to enter; use a key without one"
        );
    }
    if log.contains("Load key ") {
        return format!("{key} is not a private key that ssh can read");
    }
    format!(
        "`{host}` does not accept {key}; is its public half registered there, and is the user name right"
    )
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

/// The last line that says something.
fn last_line(text: &str) -> Option<String> {
    let mut lines = text.lines().rev().map(str::trim);
    let line = lines.find(|line| !line.is_empty())?;
    Some(printable(line.strip_prefix("ssh: ").unwrap_or(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: i32, log: &str, stderr: &str) -> (ErrorClass, String) {
        let names = Names {
            host: "git.lab".to_owned(),
            port: None,
            key_file: None,
            known_hosts_file: None,
        };
        let ended = Ended {
            code: Some(code),
            log: log.to_owned(),
            stderr: stderr.to_owned(),
        };
        let error = explain(&names, &ended);
        (error.class(), error.to_string())
    }

    /// What OpenSSH 9.2 writes.
    #[test]
    fn what_ssh_says_is_sorted() {
        for (log, class, message) in [
            (
                "ssh: Could not resolve hostname git.lab: Name or service not known\r\n",
                ErrorClass::Dns,
                "the name `git.lab` cannot be resolved: Could not resolve hostname git.lab: Name or service not known",
            ),
            (
                "ssh: connect to host git.lab port 22: No route to host\r\n",
                ErrorClass::Refused,
                "`git.lab` cannot be reached over ssh: connect to host git.lab port 22: No route to host",
            ),
            (
                "ssh: connect to host git.lab port 22: Connection timed out\r\n",
                ErrorClass::Timeout,
                "`git.lab` did not answer in time: connect to host git.lab port 22: Connection timed out",
            ),
            (
                "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found. Their offer: ssh-dss\r\n",
                ErrorClass::Protocol,
                "`git.lab` does not speak ssh as OpenSSH does: Unable to negotiate with 192.0.2.1 port 22: no matching \
                 host key type found. Their offer: ssh-dss",
            ),
            (
                "No ED25519 host key is known for git.lab and you have requested strict checking.\r\n\
                 Host key verification failed.\r\n",
                ErrorClass::HostKey,
                "the host key of `git.lab` is not in the known hosts of this user; name a file with \
                 `--git-known-hosts-file`; `ssh-keyscan git.lab` prints it, to be added after its fingerprint was compared",
            ),
            (
                "git@git.lab: Permission denied (publickey).\r\n",
                ErrorClass::Auth,
                "`git.lab` accepts no key of this user; name one with `--git-ssh-key-file`",
            ),
            (
                "",
                ErrorClass::Refused,
                "`git.lab` cannot be reached over ssh: it does not say why",
            ),
        ] {
            assert_eq!(found(255, log, ""), (class, message.to_owned()));
        }
        let (class, message) = found(255, "", "No user exists for uid 4242\r\n");
        assert_eq!(class, ErrorClass::Unsupported, "{message}");
    }

    #[test]
    fn what_the_server_says_is_sorted_and_made_safe() {
        for (code, stderr, class, message) in [
            (
                128,
                "fatal: '/x' does not appear to be a git repository\n",
                ErrorClass::NotFound,
                "there is no repository at this path: fatal: '/x' does not appear to be a git repository",
            ),
            (
                1,
                "FORGEJO: Permission denied for team/\u{1b}[31mboot\n\n",
                ErrorClass::Auth,
                "the server denies access to the repository: FORGEJO: Permission denied for team/\\u{1b}[31mboot",
            ),
            (
                127,
                "sh: 1: git-upload-pack: not found\n",
                ErrorClass::Protocol,
                "the server has no git: sh: 1: git-upload-pack: not found",
            ),
            (
                3,
                "",
                ErrorClass::Protocol,
                "the server ended the conversation",
            ),
        ] {
            assert_eq!(found(code, "", stderr), (class, message.to_owned()));
        }
    }
}
