//! Answers a second, beside nginx with a static file of the same size: `cargo bench --bench serve`.
//!
//! The servers and the load share the machine, and take turns in short rounds, so that whatever else the machine does meets
//! all of them alike; the ratios are the middles of the rounds. Variables make it larger or smaller: `BENCH_MACHINES`
//! (1000000), `BENCH_ROUNDS` (7), `BENCH_MILLIS` (800) a turn, `BENCH_CONNECTIONS` (64), `BENCH_COUNTED` (1000) requests
//! under callgrind; so it takes less than five minutes. Without `--bench`, as `cargo test --benches` starts it, it is a smoke test of a small fleet.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends at the unexpected, and prints what it measures"
)]

#[path = "serve/count.rs"]
mod count;
#[path = "serve/fleet.rs"]
mod fleet;
#[path = "serve/load.rs"]
mod load;
#[path = "serve/servers.rs"]
mod servers;
#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../it/support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use fleet::Fleet;
use load::{Load, Mode};
use servers::{Log, Server};
use support::git::Repository;
use support::history::History;
use support::http::{Client, get};

/// How many different requests go round.
const REQUESTS: usize = 16_384;
/// How many of them are looked at before.
const CHECKED: usize = 1_000;
/// What the larger fleet is set beside.
const SMALL_FLEET: usize = 1_000;

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    machines: usize,
    rounds: usize,
    turn: Duration,
    connections: usize,
    counted: usize,
}

impl Size {
    fn chosen() -> Self {
        let is_bench = std::env::args().any(|argument| argument == "--bench");
        let variable = |name: &str, bench: usize, smoke: usize| {
            let found = std::env::var(name).ok().map(|text| text.parse().unwrap());
            found.unwrap_or(if is_bench { bench } else { smoke })
        };
        Self {
            machines: variable("BENCH_MACHINES", 1_000_000, 2_000),
            rounds: variable("BENCH_ROUNDS", 7, 1),
            turn: Duration::from_millis(variable("BENCH_MILLIS", 800, 50) as u64),
            connections: variable("BENCH_CONNECTIONS", 64, 8),
            counted: variable("BENCH_COUNTED", 1_000, 10),
        }
    }
}

fn main() {
    if let Ok(setting) = std::env::var(servers::BARE) {
        return servers::be_bare(&setting);
    }
    if let Ok(setting) = std::env::var(count::CHILD) {
        return count::answer(&setting);
    }
    let size = Size::chosen();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!(
        "{} machines, {} connections, {} rounds of {} ms, on {processors} processors shared with the load",
        size.machines,
        size.connections,
        size.rounds,
        size.turn.as_millis()
    );
    println!("nginx: {}", servers::NGINX_SETTINGS);
    println!(
        "bare hyper: a runtime for each processor on one listening socket, as gitboot has them"
    );
    for what in ["script", "config"] {
        match count::instructions(what, size.counted) {
            Some(count) => println!("{count} instructions for a {what} (callgrind, routes alone)"),
            None => println!("no valgrind here, so no instructions are counted"),
        }
    }
    let world = World::new(size);
    let mut verdicts = Vec::new();
    for (what, path) in [("/ipxe", None), ("/config", Some(world.config.as_str()))] {
        for (mode, name) in [(Mode::Kept, "kept"), (Mode::New, "new")] {
            let subjects = world.subjects(path, mode);
            let results = rounds(&subjects, mode, size);
            let title = format!("{what}, {name}");
            print(&title, &subjects, &results);
            verdicts.push((title, compared(&subjects, &results)));
        }
    }
    judge(&verdicts);
}

/// All servers, started.
struct World {
    large: Fleet,
    small: Fleet,
    servers: Vec<(&'static str, Server, Fleet)>,
    bare_config: Server,
    /// The path of the config.
    config: String,
    _folder: tempfile::TempDir,
    _repositories: [Repository; 2],
}

impl World {
    fn new(size: Size) -> Self {
        let large = Fleet {
            machines: size.machines,
        };
        let small = Fleet {
            machines: SMALL_FLEET,
        };
        let folder = tempfile::tempdir().unwrap();
        let repositories = [large, small].map(repository);
        let log = folder.path().join("log");
        let [of_large, of_small] = &repositories;
        let mut servers = vec![
            (GITBOOT, servers::gitboot(of_large.path(), Log::Off), large),
            (SMALL, servers::gitboot(of_small.path(), Log::Off), small),
            (
                FILE,
                servers::gitboot(of_small.path(), Log::File(&log)),
                small,
            ),
            (PIPE, servers::gitboot(of_small.path(), Log::Pipe), small),
        ];
        let first = get(servers[0].1.address, &large.turn(0).target());
        let path = first.text().find("/config/").unwrap();
        let config = first.text()[path..].lines().next().unwrap();
        let bodies = [("/ipxe", first.text()), (config, fleet::IGNITION)];
        match servers::nginx(folder.path(), &bodies) {
            Some(nginx) => servers.push((NGINX, nginx, large)),
            None => println!("no nginx here, so nothing is set beside it"),
        }
        let body = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            servers::bare(&path)
        };
        servers.push((BARE, body("script", first.text()), large));
        let bare_config = body("config", fleet::IGNITION);
        Self {
            large,
            small,
            servers,
            bare_config,
            config: config.to_owned(),
            _folder: folder,
            _repositories: repositories,
        }
    }

    /// Who takes part, with what each is asked; every answer was looked at.
    fn subjects(&self, config: Option<&str>, mode: Mode) -> Vec<Subject> {
        let servers = self.servers.iter();
        let servers = servers.map(|(name, server, fleet)| {
            let server = match config {
                Some(_) if *name == BARE => &self.bare_config,
                _ => server,
            };
            subject(name, server, *fleet, config, &self.config, mode)
        });
        debug_assert!(self.large.machines >= self.small.machines);
        servers.collect()
    }
}

const GITBOOT: &str = "gitboot";
const SMALL: &str = "gitboot, a thousand machines";
const FILE: &str = "the same, log to a file";
const PIPE: &str = "the same, log to a pipe";
const NGINX: &str = "nginx";
const BARE: &str = "bare hyper";

/// A bare repository with the fleet's files.
fn repository(fleet: Fleet) -> Repository {
    let repository = Repository::bare();
    let mut history = History::default();
    let files = fleet.files();
    let files = files
        .iter()
        .map(|(path, text)| (path.as_str(), Some(text.as_bytes())));
    let commit = history.commit(None, files);
    let imported = history.import(repository.path());
    repository.set_ref("refs/heads/main", imported.id(commit));
    repository
}

/// One who takes part.
struct Subject {
    name: &'static str,
    address: SocketAddr,
    processes: Vec<u32>,
    requests: Vec<Vec<u8>>,
    answer_bytes: usize,
}

fn subject(
    name: &'static str,
    server: &Server,
    fleet: Fleet,
    config: Option<&str>,
    script_config: &str,
    mode: Mode,
) -> Subject {
    let address = server.address;
    let ours = name != NGINX && name != BARE;
    let end = if mode == Mode::New {
        "Connection: close\r\n\r\n"
    } else {
        "\r\n"
    };
    let request = |turn: usize| {
        let target = config.map_or_else(|| fleet.turn(turn).target(), ToOwned::to_owned);
        format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: iPXE/1.21.1+\r\n{end}")
    };
    let count = if config.is_some() { 1 } else { REQUESTS };
    let requests: Vec<Vec<u8>> = (0..count).map(|turn| request(turn).into_bytes()).collect();
    let mut answer_bytes = 0;
    for (turn, request) in requests.iter().take(CHECKED).enumerate() {
        let mut client = Client::connect(address);
        client.send(request);
        let response = client.response();
        assert_eq!(response.status, 200, "{name}");
        if config.is_some() {
            assert_eq!(response.text(), fleet::IGNITION, "{name}");
        } else if ours {
            let expected = fleet.turn(turn).script(&address.to_string(), script_config);
            assert_eq!(response.text(), expected, "{name}");
        }
        if turn == 0 {
            answer_bytes = bytes_of_answer(address, request, mode);
        }
    }
    Subject {
        name,
        address,
        processes: server.processes(),
        requests,
        answer_bytes,
    }
}

/// The bytes of an answer, header and all.
fn bytes_of_answer(address: SocketAddr, request: &[u8], mode: Mode) -> usize {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    if mode == Mode::New {
        return stream.read_to_end(&mut Vec::new()).unwrap();
    }
    let mut answer = Vec::new();
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let start = answer.len();
        reader.read_until(b'\n', &mut answer).unwrap();
        let line = std::str::from_utf8(&answer[start..]).unwrap();
        if line == "\r\n" {
            return answer.len() + length;
        }
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
}

/// What one round gave for one subject.
#[derive(Clone, Copy)]
struct Turn {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Processor time of the server for one answer, in microseconds.
    cpu: f64,
}

/// The turns of each subject, round by round.
fn rounds(subjects: &[Subject], mode: Mode, size: Size) -> Vec<Vec<Turn>> {
    let mut turns: Vec<Vec<Turn>> = subjects.iter().map(|_| Vec::new()).collect();
    // The first round is there to warm up.
    for round in 0..=size.rounds {
        for (subject, turns) in subjects.iter().zip(&mut turns) {
            let load = Load {
                address: subject.address,
                mode,
                requests: &subject.requests,
                answer_bytes: subject.answer_bytes,
                connections: size.connections,
            };
            let before = cpu_of(&subject.processes);
            let measured = load.run(if round == 0 { size.turn / 4 } else { size.turn });
            let cpu = cpu_of(&subject.processes).saturating_sub(before);
            assert_eq!(measured.bad, 0, "{}: of {}", subject.name, measured.answers);
            if round > 0 {
                turns.push(Turn {
                    rate: measured.rate(),
                    p50: measured.percentile(50),
                    p99: measured.percentile(99),
                    cpu: cpu.as_secs_f64() * 1e6 / (measured.rate() * measured.time.as_secs_f64()),
                });
            }
        }
    }
    turns
}

/// The processor time that processes have taken so far.
fn cpu_of(processes: &[u32]) -> Duration {
    /// What a tick in `/proc` is: `USER_HZ` is 100 wherever Linux runs on the processors of servers.
    const MILLIS_PER_TICK: u64 = 10;
    let ticks = processes.iter().map(|process| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        // The name of the program stands in parentheses and may hold anything.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        // `utime` and `stime` are the fields 14 and 15 of the whole line.
        let fields = fields.split_whitespace().skip(11).take(2);
        fields
            .map(|field| field.parse::<u64>().unwrap())
            .sum::<u64>()
    });
    Duration::from_millis(ticks.sum::<u64>() * MILLIS_PER_TICK)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print(title: &str, subjects: &[Subject], results: &[Vec<Turn>]) {
    println!(
        "\n{title:<34} {:>9} {:>9} {:>9} {:>9}",
        "answers/s", "p50", "p99", "cpu each"
    );
    for (subject, turns) in subjects.iter().zip(results) {
        let middle = |figure: fn(&Turn) -> f64| median(turns.iter().map(figure));
        println!(
            "{:<34} {:>9.0} {:>6.0} µs {:>6.0} µs {:>6.1} µs",
            subject.name,
            middle(|turn| turn.rate),
            middle(|turn| turn.p50),
            middle(|turn| turn.p99),
            middle(|turn| turn.cpu),
        );
    }
}

/// One of those who take part, set beside another.
struct Ratio {
    what: &'static str,
    one: &'static str,
    other: &'static str,
    figure: fn(&Turn) -> f64,
    aim: Aim,
}

#[derive(Clone, Copy)]
enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

impl Aim {
    fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(aim) => ratio >= aim,
            Self::AtMost(aim) => ratio <= aim,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(aim) => format!("at least {aim}"),
            Self::AtMost(aim) => format!("at most {aim}"),
        }
    }
}

const RATIOS: [Ratio; 6] = [
    Ratio {
        what: "rate: gitboot / nginx",
        one: GITBOOT,
        other: NGINX,
        figure: |turn| turn.rate,
        aim: Aim::AtLeast(1.0),
    },
    Ratio {
        what: "p99: gitboot / nginx",
        one: GITBOOT,
        other: NGINX,
        figure: |turn| turn.p99,
        aim: Aim::AtMost(1.5),
    },
    Ratio {
        what: "rate: gitboot / bare hyper",
        one: GITBOOT,
        other: BARE,
        figure: |turn| turn.rate,
        aim: Aim::AtLeast(0.9),
    },
    Ratio {
        what: "rate: all machines / a thousand",
        one: GITBOOT,
        other: SMALL,
        figure: |turn| turn.rate,
        aim: Aim::AtLeast(0.9),
    },
    Ratio {
        what: "rate: log to a file / no log",
        one: FILE,
        other: SMALL,
        figure: |turn| turn.rate,
        aim: Aim::AtLeast(0.85),
    },
    Ratio {
        what: "rate: log to a pipe / no log",
        one: PIPE,
        other: SMALL,
        figure: |turn| turn.rate,
        aim: Aim::AtLeast(0.85),
    },
];

/// The middle of each ratio's rounds; `None` where one of the two is missing.
fn compared(subjects: &[Subject], results: &[Vec<Turn>]) -> Vec<Option<f64>> {
    let of = |name: &str| {
        let found = subjects.iter().position(|subject| subject.name == name);
        found.and_then(|place| results.get(place))
    };
    let ratio = |ratio: &Ratio| {
        let each = of(ratio.one)?.iter().zip(of(ratio.other)?);
        let each = each.map(|(one, other)| (ratio.figure)(one) / (ratio.figure)(other));
        Some(median(each))
    };
    RATIOS.iter().map(ratio).collect()
}

/// One table of all ratios, each with its aim, and whether all of them are met. A `!` stands at those that are not.
fn judge(verdicts: &[(String, Vec<Option<f64>>)]) {
    print!("\n{:<32}", "ratio");
    for (title, _) in verdicts {
        print!(" {title:>13}");
    }
    println!("  aim");
    let mut short = Vec::new();
    for (place, ratio) in RATIOS.iter().enumerate() {
        print!("{:<32}", ratio.what);
        for (title, ratios) in verdicts {
            match ratios.get(place).copied().flatten() {
                Some(found) => {
                    let is_met = ratio.aim.is_met(found);
                    print!(" {found:>12.2}{}", if is_met { ' ' } else { '!' });
                    if !is_met {
                        short.push(format!("{title}: {} is {found:.2}", ratio.what));
                    }
                }
                None => print!(" {:>12} ", "-"),
            }
        }
        println!("  {}", ratio.aim.text());
    }
    if short.is_empty() {
        println!("PASS: every aim is met");
    } else {
        println!("short of {} aims:", short.len());
        for one in short {
            println!("  {one}");
        }
    }
}
