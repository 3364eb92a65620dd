//! Time and processor time.

use std::process::Command;
use std::time::{Duration, Instant};

use super::support::process::Process;

/// How many ticks of `/proc` are a second: `USER_HZ`, which no Linux has changed on the machines that we run on.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a process has to do nothing before it counts as idle.
const QUIET_TIME: Duration = Duration::from_millis(300);
/// How often it is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// How long something takes.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// The middle of several times.
pub(crate) fn median(times: impl IntoIterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.into_iter().collect();
    times.sort();
    times[times.len() / 2]
}

/// The seconds of processor time that a process has taken so far, in all its threads.
pub(crate) fn cpu_seconds(process: &Process) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    // The name of the program stands in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    // `utime` and `stime` are the fields 14 and 15 of the whole line.
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .map(|field| field.parse::<f64>().unwrap())
        .sum::<f64>()
        / TICKS_PER_SECOND
}

/// Waits until a process does nothing any more, so that it does not slow down what is measured next.
pub(crate) fn settle(process: &Process) {
    let (mut last, mut since) = (cpu_seconds(process), Instant::now());
    while since.elapsed() < QUIET_TIME {
        std::thread::sleep(LOOK_PAUSE);
        let now = cpu_seconds(process);
        if now > last {
            (last, since) = (now, Instant::now());
        }
    }
}

/// The seconds of processor time that a shell and everything that it starts take for a command, run `count` times.
pub(crate) fn cpu_seconds_of_shell(command: &str, count: usize) -> f64 {
    let script =
        format!("i=0; while [ $i -lt {count} ]; do {command} || exit 1; i=$((i+1)); done; times");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{script}: {text}");
    // The second line is about the children: `0m0.120s 0m0.034s`.
    let line = text.lines().last().unwrap();
    line.split_whitespace().map(shell_seconds).sum()
}

fn shell_seconds(text: &str) -> f64 {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m').unwrap();
    minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
}
