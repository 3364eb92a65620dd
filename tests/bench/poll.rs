//! Following a large repository over http, beside git doing the same: `cargo bench --bench poll`.
//!
//! One run measures both sides in turn against the same `git http-backend` on loopback, so that the ratios hold whatever
//! else the machine does. Variables make it larger or smaller: `BENCH_FILES` (100000), `BENCH_PUSHES` (7), `BENCH_STARTS`
//! (3), `BENCH_IDLE_SECONDS` (45). Without `--bench`, as `cargo test --benches` starts it, it is a smoke test of a hundred
//! files.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends at the unexpected, and prints what it measures"
)]

#[path = "poll/fleet.rs"]
mod fleet;
#[path = "poll/relay.rs"]
mod relay;
#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../it/support/mod.rs"]
mod support;
#[path = "poll/work.rs"]
mod work;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fleet::Fleet;
use relay::Relay;
use support::http_backend::HttpBackend;
use support::process::Process;
use work::{Spent, cpu_of, median, settle, shell};

/// How long anything may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_mins(3);
/// How many checks an hour has at the default `--interval` of 30 s.
const CHECKS_PER_HOUR: u32 = 120;
/// How git gets the same change, without the housekeeping that it would do now and then.
const FETCH: &str =
    "git -c gc.auto=0 -c maintenance.auto=false fetch -q --depth=1 --no-tags origin main";
/// What git-sync makes of every commit: a work tree of its own, which takes the place of the last one.
const NEW_WORK_TREE: &str = "git worktree add -q --detach --no-checkout ../tree FETCH_HEAD; \
                             git -C ../tree reset -q --hard";
/// As many times is `git ls-remote` asked.
const LS_REMOTES: &str = "1 2 3 4 5 6 7 8 9 10 11 12";
/// The lines of the log that end the parts of a check, and what the parts are called.
const PARTS: [(&str, &str); 6] = [
    ("the remote has a new commit", "ls-refs"),
    ("its objects are here", "fetch"),
    ("its files are read", "walk"),
    ("its manifests are parsed", "parse"),
    ("its manifests are compiled", "compile"),
    (" published", "publish"),
];

/// How much is measured.
struct Size {
    files: usize,
    pushes: usize,
    starts: usize,
    idle: Duration,
}

impl Size {
    fn chosen() -> Self {
        let is_bench = std::env::args().any(|argument| argument == "--bench");
        let variable = |name: &str, bench: usize, smoke: usize| {
            let found = std::env::var(name).ok().map(|text| text.parse().unwrap());
            found.unwrap_or(if is_bench { bench } else { smoke })
        };
        Self {
            files: variable("BENCH_FILES", 100_000, 100),
            pushes: variable("BENCH_PUSHES", 7, 1),
            starts: variable("BENCH_STARTS", 3, 1),
            idle: Duration::from_secs(variable("BENCH_IDLE_SECONDS", 45, 3) as u64),
        }
    }
}

fn main() {
    let size = Size::chosen();
    let mut fleet = Fleet::new(size.files, size.pushes);
    let backend = HttpBackend::new(&fleet.root());
    let folder = tempfile::tempdir().unwrap();
    let world = World {
        url: backend.url("repo.git"),
        folder: folder.path().to_owned(),
        files: size.files,
    };
    println!("{} files, on {} processors", size.files, processors());
    let (server, clone) = cold_starts(&world, &fleet, size.starts);
    pushes(&mut fleet, server, &clone, size.pushes);
    restart_and_idle(&world, size.idle);
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// What is measured against what.
struct World {
    url: String,
    /// For state and clones.
    folder: PathBuf,
    files: usize,
}

impl World {
    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn serve(&self, url: &str, more: &[&str]) -> Process {
        let repo = format!("--repo={url}");
        let state = format!("--state-dir={}", self.state().display());
        // Folders count, too.
        let files = format!("--max-files={}", self.files * 2 + 1000);
        let mut args = vec!["serve", &repo, &state, &files, "--listen=127.0.0.1:0"];
        args.extend(more);
        Process::start(&args, &[])
    }
}

/// Process start to first publication with nothing on disk, beside `git clone --depth 1`. Leaves the last of both.
fn cold_starts(world: &World, fleet: &Fleet, starts: usize) -> (Process, PathBuf) {
    let clone = world.folder.join("clone");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut last = None;
    for _ in 0..starts {
        // The one before would slow down what is measured.
        drop(last.take());
        let _ = std::fs::remove_dir_all(world.state());
        let _ = std::fs::remove_dir_all(&clone);
        let command = format!("git clone -q --depth=1 --single-branch {} clone", world.url);
        theirs.push(shell(&world.folder, &command));
        let started = Instant::now();
        let mut server = world.serve(&world.url, &["--interval=1h", "--log-level=gitboot=debug"]);
        published(&mut server, fleet.head());
        ours.push(Spent {
            time: started.elapsed(),
            cpu: cpu_of(&server),
        });
        settle(&server);
        last = Some(server);
    }
    let server = last.expect("there is one start at least");
    report(
        "cold start",
        Spent::median(&ours),
        "git clone --depth 1",
        Spent::median(&theirs),
    );
    let mebibytes = |name| server.memory(name) >> 20;
    println!(
        "    memory: {} MiB, at most {} MiB",
        mebibytes("VmRSS"),
        mebibytes("VmHWM")
    );
    (server, clone)
}

/// One changed file: from the poke to the publication, beside a fetch and a checkout.
fn pushes(fleet: &mut Fleet, mut server: Process, clone: &Path, pushes: usize) {
    let (mut ours, mut in_place, mut work_tree) = (Vec::new(), Vec::new(), Spent::default());
    let mut parts = Vec::new();
    for push in 0..pushes {
        let id = fleet.push();
        let mut check = || {
            let before = cpu_of(&server);
            let took = checked(&mut server, &id);
            ours.push(Spent {
                time: took.iter().sum(),
                cpu: cpu_of(&server).saturating_sub(before),
            });
            parts.push(took);
            settle(&server);
        };
        let mut fetch = || {
            let fetched = shell(clone, FETCH);
            in_place.push(fetched.then(shell(clone, "git reset -q --hard FETCH_HEAD")));
            // Writing all files again takes so long that once has to do.
            if push == 0 {
                work_tree = fetched.then(shell(clone, NEW_WORK_TREE));
            }
        };
        // Neither side always finds the server's files warmed up by the other.
        if push % 2 == 0 {
            check();
            fetch();
        } else {
            fetch();
            check();
        }
    }
    let ours = Spent::median(&ours);
    report(
        "push to served",
        ours,
        "git fetch + reset --hard",
        Spent::median(&in_place),
    );
    report(
        "push to served",
        ours,
        "git fetch + new work tree, as git-sync does",
        work_tree,
    );
    let parts = PARTS.iter().enumerate().map(|(at, (_, name))| {
        format!(
            "{name} {}",
            millis(median(parts.iter().map(|parts: &Parts| parts[at])))
        )
    });
    println!("    parts: {}", parts.collect::<Vec<_>>().join(", "));
}

/// What an idle server costs, beside `git ls-remote`, after a restart from the state directory.
fn restart_and_idle(world: &World, idle: Duration) {
    // The key of what is stored is the URL.
    let started = Instant::now();
    let mut server = world.serve(&world.url, &["--interval=1h"]);
    server.line_within("published from the state directory", PATIENCE);
    println!("restart to served: {}", millis(started.elapsed()));
    drop(server);

    let (_, rest) = world.url.split_once("//").unwrap();
    let (address, _) = rest.split_once('/').unwrap();
    let relay = Relay::to(address.parse().unwrap());
    let url = format!("http://{}/repo.git", relay.address());
    let mut server = world.serve(&url, &["--interval=1s", "--log-level=gitboot=debug"]);
    server.line_within(" published", PATIENCE);
    settle(&server);
    let nothing_new = "the remote has nothing new";
    server.line_within(nothing_new, PATIENCE);
    let (bytes, cpu, until) = (relay.bytes(), cpu_of(&server), Instant::now() + idle);
    let mut checks = 0;
    while Instant::now() < until {
        server.line_within(nothing_new, PATIENCE);
        checks += 1;
    }
    let our_bytes = (relay.bytes() - bytes) / u64::from(checks);
    let our_cpu = cpu_of(&server).saturating_sub(cpu) / checks * CHECKS_PER_HOUR;
    drop(server);

    let bytes = relay.bytes();
    let commands = format!(
        "for i in {LS_REMOTES}; do git ls-remote -q {url} refs/heads/main >/dev/null; done"
    );
    let count = u32::try_from(LS_REMOTES.split(' ').count()).expect("a dozen");
    let their_cpu = shell(&world.folder, &commands).cpu / count * CHECKS_PER_HOUR;
    let their_bytes = (relay.bytes() - bytes) / u64::from(count);
    println!("idle check: {our_bytes} bytes, git ls-remote {their_bytes} ({checks} checks)");
    println!(
        "idle processor time an hour at 30 s: {}, git ls-remote {}: {} as much",
        millis(our_cpu),
        millis(their_cpu),
        times(our_cpu, their_cpu)
    );
}

/// How long the parts of one check took, in the order of [`PARTS`].
type Parts = [Duration; PARTS.len()];

/// Asks for a check, waits until this commit is served and says how long each part took.
fn checked(server: &mut Process, id: &str) -> Parts {
    let mut last = Instant::now();
    server.signal("HUP");
    PARTS.map(|(line, _)| {
        let line = server.line_within(line, PATIENCE);
        assert!(!line.contains("published") || line.contains(id), "{line}");
        let now = Instant::now();
        now - std::mem::replace(&mut last, now)
    })
}

/// Waits until a server serves this commit.
fn published(server: &mut Process, id: &str) {
    let line = server.line_within(" published", PATIENCE);
    assert!(line.contains(id), "{line}");
}

fn report(what: &str, ours: Spent, beside: &str, theirs: Spent) {
    println!(
        "{what}: {} ({} of processor time), {beside} {} ({}): {} as long, {} as much work",
        millis(ours.time),
        millis(ours.cpu),
        millis(theirs.time),
        millis(theirs.cpu),
        times(ours.time, theirs.time),
        times(ours.cpu, theirs.cpu),
    );
}

fn times(ours: Duration, theirs: Duration) -> String {
    format!("{:.2} times", ours.as_secs_f64() / theirs.as_secs_f64())
}

fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}
