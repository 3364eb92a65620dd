//! A server with a repository, and machines that ask.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::support::git::Repository;
use crate::support::http::{Client, get};
use crate::support::process::Process;

/// A Profile, a class of machines, and one machine by its name.
pub(crate) const FLEET: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: disk}
spec: {ipxe: \"#!ipxe\\nexit\\n\"}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: racks}
spec:
  profile: disk
  machines: [{name: one, mac: '52:54:00:00:00:01'}]
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: site-x}
spec: {profile: disk, subjectSelectors: {site: [x]}}
";

pub(crate) struct Site {
    pub(crate) repo: Repository,
    pub(crate) server: Process,
    pub(crate) boot: SocketAddr,
    pub(crate) ops: SocketAddr,
}

impl Site {
    pub(crate) fn start(manifests: &str, more: &[&str]) -> Self {
        let repo = Repository::with_files(&[("fleet/all.yaml", manifests)]);
        let url = format!("--repo={}", repo.path().display());
        let mut args = vec![
            "serve",
            &url,
            "--listen=127.0.0.1:0",
            "--state-dir=none",
            "--interval=1s",
        ];
        if !more.iter().any(|one| one.starts_with("--ops-listen")) {
            args.push("--ops-listen=127.0.0.1:0");
        }
        args.extend(more);
        let mut server = Process::start(&args, &[]);
        let boot = server.address();
        let ops = server.operations();
        server.line_with("published");
        Self {
            repo,
            server,
            boot,
            ops,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.ops)
    }

    /// A machine asks for its script.
    pub(crate) fn ask(&self, query: &str) -> u16 {
        get(self.boot, &format!("/ipxe?{query}")).status
    }

    /// So many machines of an Assignment ask.
    pub(crate) fn ask_many(&self, count: usize) {
        let mut client = Client::connect(self.boot);
        for number in 0..count {
            client.send(format!(
                "GET /ipxe?mac={}&buildarch=x86_64&serial=SN{number} HTTP/1.1\r\nHost: boot.example\r\n\r\n",
                mac(number)
            ));
            assert_eq!(client.response().status, 200);
        }
    }

    /// Replaces the manifests.
    pub(crate) fn push(&self, manifests: &str) -> String {
        self.repo.commit(&[("fleet/all.yaml", manifests)])
    }
}

/// A fleet in which an Assignment names so many machines.
pub(crate) fn fleet_of(count: usize) -> String {
    let mut text = FLEET.to_owned();
    text.push_str(
        "---\napiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {name: many}\nspec:\n  profile: disk\n  machines:\n",
    );
    for number in 0..count {
        writeln!(
            text,
            "    - {{name: node-{number}, mac: '{}'}}",
            mac(number)
        )
        .unwrap();
    }
    text
}

fn mac(number: usize) -> String {
    let [.., high, middle, low] = number.to_be_bytes();
    format!("02:00:00:{high:02x}:{middle:02x}:{low:02x}")
}
