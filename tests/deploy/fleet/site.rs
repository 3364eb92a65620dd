//! The repository: a thousand commits, each of which says its number in whatever is served of it.

use std::fmt::Write as _;
use std::fs;

use crate::support::git::Repository;
use crate::support::history::{History, Mark};
use crate::support::http_backend::HttpBackend;

/// Machines that boot, each with a name and a serial number of its own.
pub(super) const MACHINES: usize = 12;
/// How many commits have an error: one in so many.
const REFUSED: usize = 40;

/// What says the number of the push, in two ways: a value, and a file that is included. A tree that is served in halves
/// has two numbers.
const PROFILE: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: worker}
spec:
  valuesFrom: [{file: push.yaml}]
  ipxe: |
    #!ipxe
    # push {{ values.push }} {% include '/mark' %} revision {{ revision }}
    kernel vmlinuz initrd=main a={{ ignition }} b={{ node }} c={{ fixed }} d={{ config_dir }}
    boot
  additionalConfig:
    ignition: |-
      {\"push\": \"{{ values.push }}\", \"mark\": \"{% include '/mark' %}\", \"machine\": \"{{ machine.name }}\"}
    node: push {{ values.push }} serial {{ labels.serial | tojson }}
    fixed: the same for ever
";

/// One commit, to be pushed.
pub(super) struct Push {
    pub(super) id: String,
    /// Whether it is served; one with an error is not.
    pub(super) is_good: bool,
}

/// The repository, and the git host that serves it.
pub(super) struct Site {
    repository: Repository,
    backend: HttpBackend,
    /// All commits, in order.
    pub(super) pushes: Vec<Push>,
}

impl Site {
    /// Makes so many commits; the last one is good. None is pushed yet.
    pub(super) fn new(count: usize) -> Self {
        let repository = Repository::bare();
        let mut history = History::default();
        let mut marks: Vec<(Mark, bool)> = Vec::new();
        for number in 0..count {
            let is_good = number + 1 == count || number % REFUSED != REFUSED - 1;
            let values = format!("push: \"{number}\"\n").into_bytes();
            let wrong = if is_good {
                "# nothing\n"
            } else {
                "kind: Wrong\n"
            };
            let (mark, machines) = (number.to_string().into_bytes(), machines());
            let mut changes = vec![
                ("push.yaml", Some(values.as_slice())),
                ("mark", Some(mark.as_slice())),
                ("wrong.yaml", Some(wrong.as_bytes())),
            ];
            if number == 0 {
                changes.push(("profile.yaml", Some(PROFILE.as_bytes())));
                changes.push(("machines.yaml", Some(machines.as_bytes())));
            }
            let parent = marks.last().map(|(mark, _)| *mark);
            marks.push((history.commit(parent, changes), is_good));
        }
        let imported = history.import(repository.path());
        let pushes = marks.into_iter().map(|(mark, is_good)| Push {
            id: imported.id(mark).to_owned(),
            is_good,
        });
        let pushes = pushes.collect();
        let backend = HttpBackend::new(repository.parent());
        Self {
            repository,
            backend,
            pushes,
        }
    }

    /// The URL of the repository.
    pub(super) fn url(&self) -> String {
        self.backend.url("repo.git")
    }

    /// A folder for whatever else the test needs.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.repository.parent()
    }

    /// Moves the branch to a commit, as a push does when all objects are there.
    pub(super) fn push(&self, number: usize) {
        let folder = self.repository.path();
        let unfinished = folder.join("main.new");
        fs::write(&unfinished, format!("{}\n", self.pushes[number].id)).unwrap();
        fs::rename(unfinished, folder.join("refs/heads/main")).unwrap();
        // What was asked is for tests of faults; it must not pile up.
        self.backend.take_seen();
    }
}

fn machines() -> String {
    let mut text = "\
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: all}
spec:
  profile: worker
  machines:
"
    .to_owned();
    for machine in 0..MACHINES {
        let line = format!("  - {{name: m{machine}, mac: '52:54:00:00:00:{machine:02x}'}}\n");
        text.push_str(&line);
    }
    text
}

/// What a machine gets of its configs after a push: the path of each below `config_dir`, and its body.
pub(super) fn bodies(push: usize, machine: usize) -> [(&'static str, String); 3] {
    let ignition =
        format!("{{\"push\": \"{push}\", \"mark\": \"{push}\", \"machine\": \"m{machine}\"}}");
    let node = format!("push {push} serial \"SN {machine}\"");
    [
        ("ignition", ignition),
        ("node", node),
        ("fixed", "the same for ever".to_owned()),
    ]
}

/// What iPXE asks for after `/boot.ipxe`.
pub(super) fn script_target(machine: usize) -> String {
    let mut serial = String::new();
    for byte in format!("SN {machine}").bytes() {
        write!(serial, "{byte:02x}").unwrap();
    }
    format!(
        "/ipxe?uuid=&mac=52-54-00-00-00-{machine:02x}&mac=52-54-00-00-00-{machine:02x}\
         &buildarch=x86_64&platform=efi&serial.hex={serial}&manufacturer.hex=51454d55&asset.hex="
    )
}
