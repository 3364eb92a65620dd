//! Machines that boot, again and again, while everything changes.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::time::{Duration, Instant};

use super::site::{Site, bodies, script_target};
use crate::support::http::{Client, Response};

/// How long a machine may be told to come back for one config.
const PATIENCE: Duration = Duration::from_secs(50);

/// The number of the last push, for those who wait for it to grow.
#[derive(Default)]
pub(super) struct Clock {
    pushed: Mutex<Option<usize>>,
    moved: Condvar,
}

impl Clock {
    pub(super) fn set(&self, pushed: usize) {
        *self.pushed.lock().unwrap() = Some(pushed);
        self.moved.notify_all();
    }

    /// Nothing is pushed any more: whoever waits, or will, goes on.
    pub(super) fn end(&self) {
        *self.pushed.lock().unwrap() = None;
        self.moved.notify_all();
    }

    pub(super) fn now(&self) -> Option<usize> {
        *self.pushed.lock().unwrap()
    }

    /// Waits until there are so many more pushes than now. Returns `false` when there are none any more.
    pub(super) fn wait(&self, count: usize) -> bool {
        let pushed = self.pushed.lock().unwrap();
        let Some(until) = pushed.map(|pushed| pushed + count) else {
            return false;
        };
        let waiting = |pushed: &mut Option<usize>| pushed.is_some_and(|pushed| pushed < until);
        self.moved.wait_while(pushed, waiting).unwrap().is_some()
    }
}

/// What all machines have seen.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) boots: usize,
    pub(super) requests: usize,
    /// Answers that told a machine to come back.
    pub(super) later: usize,
    /// The longest that it took until a config came.
    pub(super) longest: Duration,
    /// The script of each machine after each push: the same from every replica.
    scripts: HashMap<(usize, usize), Vec<u8>>,
    /// What stands at each URL, for ever.
    configs: HashMap<String, Vec<u8>>,
}

/// Whatever machines need to boot.
pub(super) struct World {
    pub(super) site: Site,
    pub(super) clock: Clock,
    /// Where requests go. Whoever changes it waits for those that are on their way.
    pub(super) door: RwLock<SocketAddr>,
    pub(super) seen: Mutex<Seen>,
}

/// Boots a machine until nothing is pushed any more. Between its script and its configs there are up to so many pushes.
pub(super) fn boot_on(world: &Arc<World>, machine: usize) {
    let longest = [0, 1, 2, 3, 5, 10][machine % 6];
    for boot in 0_usize.. {
        world.boot(machine, boot % (longest + 1));
        if !world.clock.wait(2) {
            break;
        }
    }
}

impl World {
    fn boot(&self, machine: usize, pushes_between: usize) {
        let first = self.get("/boot.ipxe");
        assert_eq!(first.status, 200, "{}", shown(&first));
        assert!(
            first.text().contains("chain --replace"),
            "{}",
            shown(&first)
        );

        let told = Instant::now();
        let script = self.get(&script_target(machine));
        assert_eq!(script.status, 200, "{}", shown(&script));
        let (push, urls) = self.read(&script);
        self.note_script(push, machine, &script);
        self.clock.wait(pushes_between);

        let [a, b, c, dir] = urls;
        let bodies = bodies(push, machine);
        for (url, (_, body)) in [a, b, c].iter().zip(&bodies) {
            self.fetch(url, body, told);
        }
        for (name, body) in &bodies {
            self.fetch(&format!("{dir}{name}"), body, told);
        }
        self.seen.lock().unwrap().boots += 1;
    }

    /// The number of the push that a script is of, and the targets that it names.
    fn read(&self, script: &Response) -> (usize, [String; 4]) {
        let words: Vec<&str> = script.text().split_whitespace().collect();
        let [
            "#!ipxe",
            "#",
            "push",
            push,
            mark,
            "revision",
            revision,
            "kernel",
            "vmlinuz",
            "initrd=main",
            urls @ ..,
            "boot",
        ] = words.as_slice()
        else {
            panic!("{}", shown(script));
        };
        assert_eq!(push, mark, "{}", shown(script));
        let number: usize = push.parse().unwrap();
        let expected = &self.site.pushes[number];
        assert!(expected.is_good, "{}", shown(script));
        assert_eq!(*revision, expected.id);
        assert_eq!(
            script.header("x-gitboot-revision"),
            Some(expected.id.as_str())
        );
        let urls: [&str; 4] = urls.try_into().unwrap();
        let urls = urls.map(|word| {
            let (_, target) = word.split_once("=http://boot.example").unwrap();
            target.to_owned()
        });
        (number, urls)
    }

    fn note_script(&self, push: usize, machine: usize, script: &Response) {
        let mut seen = self.seen.lock().unwrap();
        let known = seen.scripts.entry((push, machine));
        let known = known.or_insert_with(|| script.body.clone());
        assert_eq!(*known, script.body, "two scripts of push {push}");
    }

    /// Fetches a config as Ignition does: after 503 it comes back when it is told to, everything else is final.
    /// `told` is when the script named it.
    fn fetch(&self, target: &str, body: &str, told: Instant) {
        let began = Instant::now();
        let response = loop {
            let response = self.get(target);
            let Some(pause) = response
                .header("retry-after")
                .filter(|_| response.status == 503)
            else {
                break response;
            };
            assert!(
                began.elapsed() < PATIENCE,
                "{target} never came: {}",
                shown(&response)
            );
            let pause = Duration::from_secs(pause.parse().unwrap());
            self.seen.lock().unwrap().later += 1;
            std::thread::sleep(pause);
        };
        let age = told.elapsed();
        assert_eq!(
            response.status,
            200,
            "{target} after {age:?}: {}",
            shown(&response)
        );
        assert_eq!(response.text(), body, "{target}: {}", shown(&response));
        let mut seen = self.seen.lock().unwrap();
        seen.longest = seen.longest.max(began.elapsed());
        let known = seen.configs.entry(target.to_owned());
        let known = known.or_insert_with(|| response.body.clone());
        assert_eq!(*known, response.body, "two bodies of {target}");
    }

    /// One request on a connection of its own. One that is lost fails the test.
    fn get(&self, target: &str) -> Response {
        let door = self.door.read().unwrap();
        self.seen.lock().unwrap().requests += 1;
        let stream = TcpStream::connect(*door).expect("the balancer takes every connection");
        let mut client = Client::of(stream);
        client.send(format!(
            "GET {target} HTTP/1.1\r\nHost: boot.example\r\nConnection: close\r\n\r\n"
        ));
        let answer = client.try_response();
        answer.unwrap_or_else(|| panic!("no answer to {target}"))
    }
}

/// A response as people read it.
fn shown(response: &Response) -> String {
    format!(
        "{} {:?} {}",
        response.status,
        response.headers,
        String::from_utf8_lossy(&response.body)
    )
}
