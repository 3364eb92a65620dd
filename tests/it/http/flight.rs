//! Boots in flight while commit follows commit.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Server;
use crate::support::http::{Client, Response};
use gitboot::compile::{Options, compile};
use gitboot::manifest::parse;
use gitboot::snapshot::Snapshot;
use gitboot::tree::{Entry, RepoPath, Revision, Tree};

const PUBLICATIONS: usize = 1000;
const READERS: usize = 2;

/// The commit of this number: the number stands in the script and in two of its configs.
fn commit(number: usize) -> Snapshot {
    let text = format!(
        r#"
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {{name: worker}}
spec:
  ipxe: |
    #!ipxe
    echo {{{{ values.n }}}} {{{{ revision }}}} {{{{ fixed }}}} {{{{ labelled }}}} {{{{ config_dir }}}}
  additionalConfig:
    fixed: "fixed {{{{ values.n }}}}\n"
    labelled: "labelled {{{{ values.n }}}} {{{{ labels.site }}}}\n"
    same: "the same\n"
  values: {{n: "{number}"}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {{name: rack}}
spec: {{profile: worker, subjectSelectors: {{mac: "52:54:00:ab:cd:ef"}}}}
"#
    );
    let entry = Entry::File(text.into_bytes().into());
    let tree = Tree::new(
        Revision::new(&revision(number)),
        BTreeMap::from([(RepoPath::parse("all.yaml").unwrap(), entry)]),
    );
    let options = Options::default();
    let (snapshot, diagnostics) = compile(&tree, &parse(&tree, options.budget), &options);
    snapshot.unwrap_or_else(|| panic!("{}", diagnostics.render_human()))
}

fn revision(number: usize) -> String {
    format!("{number:040x}")
}

/// What one script handed out.
struct Boot {
    number: String,
    fixed: String,
    labelled: String,
    dir: String,
}

impl Boot {
    /// Reads a script, which has to be whole and of one revision.
    fn of(script: &Response) -> Self {
        assert_eq!(script.status, 200, "{script:?}");
        let text = script.text().strip_prefix("#!ipxe\necho ").unwrap();
        let words: Vec<&str> = text.strip_suffix('\n').unwrap().split(' ').collect();
        let [number, in_script, fixed, labelled, dir] = words.try_into().unwrap();
        let expected = revision(number.parse().unwrap());
        assert_eq!(in_script, expected);
        assert_eq!(script.header("x-gitboot-revision"), Some(in_script));
        let path = |url: &str| url.strip_prefix("http://boot.example").unwrap().to_owned();
        Self {
            number: number.to_owned(),
            fixed: path(fixed),
            labelled: path(labelled),
            dir: path(dir),
        }
    }

    /// Fetches everything that was handed out: all of it comes from the script's own revision, however old.
    fn fetch(&self, client: &mut Client) {
        let number = &self.number;
        let revision = revision(number.parse().unwrap());
        let labelled = format!("labelled {number} x\n");
        let fixed = format!("fixed {number}\n");
        for (target, body) in [
            (&self.fixed, &fixed),
            (&self.labelled, &labelled),
            (&format!("{}fixed", self.dir), &fixed),
            (&format!("{}labelled", self.dir), &labelled),
            (&format!("{}same", self.dir), &"the same\n".to_owned()),
        ] {
            let response = client.get(target);
            assert_eq!(
                (response.status, response.text()),
                (200, body.as_str()),
                "{target}"
            );
            assert_eq!(
                response.header("x-gitboot-revision"),
                Some(revision.as_str())
            );
        }
    }
}

/// Boots again and again; returns how many revisions it saw.
fn read(address: SocketAddr, done: &AtomicBool) -> usize {
    let mut client = Client::connect(address);
    let mut seen: BTreeMap<String, Boot> = BTreeMap::new();
    loop {
        let is_last = done.load(Ordering::Relaxed);
        let boot = Boot::of(&client.get("/ipxe?mac=525400abcdef&site=x"));
        boot.fetch(&mut client);
        if let Some((_, old)) = seen.first_key_value() {
            old.fetch(&mut client);
        }
        seen.insert(boot.number.clone(), boot);
        if is_last {
            // A sample: old, middle-aged and young.
            for old in seen.values().step_by(seen.len() / 20 + 1) {
                old.fetch(&mut client);
            }
            assert!(seen.contains_key(&(PUBLICATIONS - 1).to_string()));
            return seen.len();
        }
    }
}

#[test]
fn a_thousand_publications_tear_no_boot() {
    let mut server = Server::start();
    server.publish(commit(0));
    let address = server.address;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| scope.spawn(|| read(address, &done)))
            .collect();
        for number in 1..PUBLICATIONS {
            server.publish(commit(number));
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() > 1);
        }
    });
}
