//! What a fleet costs, from its files to the first look-up: `cargo bench --bench compile`.
//!
//! Each size runs in a process of its own, so that memory is counted from nothing. Memory is what the process holds above a
//! fleet of one machine, without the bytes of the files themselves. Without `--bench`, as `cargo test --benches` starts it,
//! it is a smoke test of a thousand machines.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends at the unexpected, and prints what it measures"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use gitboot::compile::{Options, compile};
use gitboot::label::{FixedLabels, Labels};
use gitboot::manifest::{Cache, parse_changed};
use gitboot::snapshot::Snapshot;
use gitboot::tree::{Entry, RepoPath, Revision, Tree};

/// Machines in one Assignment, as a rack or a small site has.
const MACHINES_PER_ASSIGNMENT: usize = 100;
/// Look-ups that are timed.
const LOOK_UPS: usize = 200_000;
/// Tells a child process what to measure.
const CHILD: &str = "GITBOOT_BENCH_FLEET";

/// The machines of a fleet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A name and a MAC.
    Plain,
    /// And values of its own, which its script prints.
    Values,
}

fn main() {
    if let Ok(fleet) = std::env::var(CHILD) {
        let (shape, machines) = fleet.split_once(' ').unwrap();
        let shape = if shape == "values" {
            Shape::Values
        } else {
            Shape::Plain
        };
        measure(shape, machines.parse().unwrap());
        return;
    }
    let sizes: &[usize] = if std::env::args().any(|argument| argument == "--bench") {
        &[1_000, 100_000, 1_000_000]
    } else {
        &[1_000]
    };
    println!(
        "{:>9} {:<7} {:>8} {:>9} {:>9} {:>8} {:>8} {:>10}",
        "machines", "each", "parse", "compile", "again", "memory", "peak", "look-up"
    );
    for shape in ["plain", "values"] {
        let mut baseline = 0;
        for machines in [1].iter().chain(sizes) {
            let line = child(shape, *machines);
            let numbers: Vec<f64> = line.split(' ').map(|one| one.parse().unwrap()).collect();
            let [parse, compiled, again, steady, peak, content, look_up] = numbers[..] else {
                panic!("{line}");
            };
            if *machines == 1 {
                baseline = bytes(steady);
                continue;
            }
            let each = |total: f64| (total - f64::from(baseline) - content) / fraction(*machines);
            println!(
                "{machines:>9} {shape:<7} {parse:>7.2}s {compiled:>8.2}s {again:>8.2}s {:>6.0} B {:>6.0} B {look_up:>7.0} ns",
                each(steady),
                each(peak),
            );
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no fleet has 2^53 machines")]
fn fraction(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the process of one machine takes a few megabytes"
)]
fn bytes(count: f64) -> u32 {
    count as u32
}

fn child(shape: &str, machines: usize) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .env(CHILD, format!("{shape} {machines}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Prints seconds to parse, to compile, and to do both again for one changed file; bytes held at the end, at the most, and
/// of the files; and nanoseconds for a look-up.
fn measure(shape: Shape, machines: usize) {
    let files = files(shape, machines);
    let content: usize = files.iter().map(|(_, text)| text.len()).sum();
    let mut cache = Cache::default();
    let options = Options::default();

    let tree = tree('1', files.clone());
    let start = Instant::now();
    let manifests = parse_changed(&tree, options.budget, &mut cache);
    let parse = start.elapsed();
    let start = Instant::now();
    let snapshot = compiled(&tree, &manifests, &options);
    let compiled_in = start.elapsed();
    drop(manifests);
    // The files' text stays with the tree; the list that it was made of was never more than handles.
    let (steady, peak) = (memory("VmRSS"), memory("VmHWM"));
    let look_up = look_ups(&snapshot, machines);

    let mut changed = files;
    if let Some((_, text)) = changed.last_mut() {
        let mut more = text.to_vec();
        more.extend_from_slice(b"# changed\n");
        *text = more.into();
    }
    let tree = self::tree('2', changed);
    let start = Instant::now();
    let manifests = parse_changed(&tree, options.budget, &mut cache);
    let next = compiled(&tree, &manifests, &options);
    let again = start.elapsed();
    assert_eq!(next.counts(), snapshot.counts());

    println!(
        "{} {} {} {steady} {peak} {content} {look_up}",
        parse.as_secs_f64(),
        compiled_in.as_secs_f64(),
        again.as_secs_f64(),
    );
}

fn compiled(tree: &Tree, manifests: &gitboot::manifest::Manifests, options: &Options) -> Snapshot {
    let (snapshot, diagnostics) = compile(tree, manifests, options);
    snapshot.unwrap_or_else(|| panic!("{}", diagnostics.render_human()))
}

type Files = Vec<(RepoPath, bytes::Bytes)>;

fn tree(revision: char, files: Files) -> Tree {
    let revision = Revision::new(&revision.to_string().repeat(40));
    let files = files
        .into_iter()
        .map(|(path, text)| (path, Entry::File(text)));
    Tree::new(revision, files.collect())
}

fn mac(machine: usize) -> String {
    let [.., a, b, c, d] = machine.to_be_bytes();
    format!("52:54:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

fn files(shape: Shape, machines: usize) -> Files {
    let path = |path: &str| RepoPath::parse(path).unwrap();
    let argument = match shape {
        Shape::Plain => "",
        Shape::Values => " ip={{ values.ip }}",
    };
    let profile = format!(
        "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: worker}}\nspec:\n  ipxe: |\n    #!ipxe\n    \
         kernel {{{{ values.mirror }}}}/vmlinuz initrd=main{argument} serial={{{{ labels.serial }}}}\n    initrd --name main \
         {{{{ values.mirror }}}}/initrd.img\n    boot\n  values: {{mirror: 'http://mirror.example/flatcar'}}\n"
    );
    let mut files = vec![(path("profiles/worker.yaml"), profile.into())];
    let all: Vec<usize> = (0..machines).collect();
    for (number, rack) in all.chunks(MACHINES_PER_ASSIGNMENT).enumerate() {
        let mut text = format!(
            "apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: rack-{number:05}}}\nspec:\n  profile: \
             worker\n  machines:\n"
        );
        for machine in rack {
            let [.., a, b, c] = machine.to_be_bytes();
            let values = match shape {
                Shape::Plain => String::new(),
                Shape::Values => format!(", values: {{ip: 10.{a}.{b}.{c}}}"),
            };
            let mac = mac(*machine);
            writeln!(text, "    - {{name: m{machine}, mac: '{mac}'{values}}}").unwrap();
        }
        files.push((path(&format!("racks/{number:05}.yaml")), text.into()));
    }
    files
}

/// Nanoseconds for one look-up of a machine, each another one.
fn look_ups(snapshot: &Snapshot, machines: usize) -> u128 {
    /// Shares no factor with a round number, so that every machine has its turn.
    const STRIDE: usize = 7_919;
    let labels: Vec<Labels> = (0..LOOK_UPS)
        .map(|turn| {
            let query = format!(
                "mac={}&buildarch=x86_64&serial=S1",
                mac(turn * STRIDE % machines)
            );
            Labels::parse(&query, &FixedLabels::default()).unwrap()
        })
        .collect();
    let mut spent = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        for one in &labels {
            black_box(snapshot.find(black_box(one)).unwrap());
        }
        spent = spent.min(start.elapsed());
    }
    spent.as_nanos() / labels.len() as u128
}

/// A line of `/proc/self/status`, in bytes.
fn memory(what: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}
