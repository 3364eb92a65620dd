//! Time and processor time.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::support::process::Process;

/// What a tick in `/proc` is: `USER_HZ` is 100 wherever Linux runs on the processors of servers.
const MILLIS_PER_TICK: u64 = 10;
/// How long a process has to do nothing before it counts as idle.
const QUIET_TIME: Duration = Duration::from_millis(300);
/// How often it is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// What something took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) time: Duration,
    /// Processor time, of all threads and children.
    pub(crate) cpu: Duration,
}

impl Spent {
    /// One after the other.
    pub(crate) fn then(self, next: Self) -> Self {
        Self {
            time: self.time + next.time,
            cpu: self.cpu + next.cpu,
        }
    }

    /// The middles of several.
    pub(crate) fn median(several: &[Self]) -> Self {
        Self {
            time: median(several.iter().map(|one| one.time)),
            cpu: median(several.iter().map(|one| one.cpu)),
        }
    }
}

/// The middle of several times.
pub(crate) fn median(times: impl IntoIterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.into_iter().collect();
    times.sort();
    times[times.len() / 2]
}

/// The processor time that a process has taken so far, in all its threads.
pub(crate) fn cpu_of(process: &Process) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    // The name of the program stands in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    // `utime` and `stime` are the fields 14 and 15 of the whole line.
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * MILLIS_PER_TICK)
}

/// Waits until a process does nothing any more, so that it does not slow down what is measured next.
pub(crate) fn settle(process: &Process) {
    let (mut last, mut since) = (cpu_of(process), Instant::now());
    while since.elapsed() < QUIET_TIME {
        std::thread::sleep(LOOK_PAUSE);
        let now = cpu_of(process);
        if now > last {
            (last, since) = (now, Instant::now());
        }
    }
}

/// What the commands of a shell take in a folder, with no configuration of git but the repository's own.
pub(crate) fn shell(folder: &Path, commands: &str) -> Spent {
    let script = format!("set -e; {commands}; times");
    let started = Instant::now();
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    let time = started.elapsed();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{script}: {text}");
    // The second line is about the children: `0m0.120s 0m0.034s`.
    let line = text.lines().last().unwrap();
    let cpu = line.split_whitespace().map(shell_seconds).sum();
    Spent {
        time,
        cpu: Duration::from_secs_f64(cpu),
    }
}

fn shell_seconds(text: &str) -> f64 {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m').unwrap();
    minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
}
