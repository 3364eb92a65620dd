//! How many instructions an answer takes, counted by callgrind, which counts the same ones every time.
//!
//! The routes are called as a service, so that neither the system nor hyper is in the figure. One process answers so many
//! requests and another one twice as many; the difference belongs to the answers alone.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use gitboot::compile::{Options, compile};
use gitboot::http::tls::Caller;
use gitboot::http::{self, Access, Arrival, Inquiry, Limits, Settings};
use gitboot::label::FixedLabels;
use gitboot::manifest::parse;
use gitboot::publish::{Moment, Publisher};
use gitboot::tree::{Entry, RepoPath, Revision, Tree};
use hyper::service::Service as _;
use hyper::{Request, Version};

use super::fleet::Fleet;

/// Tells a child process what to answer and how often.
pub(crate) const CHILD: &str = "GITBOOT_BENCH_COUNT";
/// The most machines of the fleet that asks: callgrind is slow, and a look-up costs no more in a larger one.
const MACHINES: usize = 1_000;
const HOST: &str = "boot.lab.example:8080";

/// The instructions of one answer; `None` where there is no valgrind.
pub(crate) fn instructions(what: &str, requests: usize) -> Option<u64> {
    let folder = tempfile::tempdir().unwrap();
    let run = |answers: usize| {
        let out = folder.path().join(answers.to_string());
        let status = Command::new("valgrind")
            .args(["-q", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(std::env::current_exe().unwrap())
            .env(CHILD, format!("{what} {answers} {requests}"))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .ok()?;
        assert!(status.success(), "{status}");
        let text = std::fs::read_to_string(out).unwrap();
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        Some(total.unwrap().trim().parse::<u64>().unwrap())
    };
    Some((run(2 * requests)? - run(requests)?) / requests as u64)
}

/// What the child process does.
pub(crate) fn answer(setting: &str) {
    let mut words = setting.split(' ');
    let what = words.next().unwrap();
    let numbers: Vec<usize> = words.map(|word| word.parse().unwrap()).collect();
    let (answers, requests) = (numbers[0], numbers[1]);
    let fleet = Fleet {
        machines: requests.min(MACHINES),
    };
    let files = fleet.files().into_iter().map(|(path, text)| {
        let path = RepoPath::parse(&path).unwrap();
        (path, Entry::File(text.into()))
    });
    let tree = Tree::new(Revision::new(&"1".repeat(40)), files.collect());
    let options = Options::default();
    let manifests = parse(&tree, options.budget);
    let (snapshot, diagnostics) = compile(&tree, &manifests, &options);
    let snapshot = snapshot.unwrap_or_else(|| panic!("{}", diagnostics.render_human()));
    let (config, _) = snapshot.configs().next().unwrap();
    let (mut publisher, current) = Publisher::new(Duration::from_mins(15));
    publisher.publish(snapshot, Moment::now());
    let service = http::service(current, Arc::new(settings()));
    let asked: Vec<Inquiry> = (0..2 * requests)
        .map(|turn| match what {
            "script" => request(&fleet.turn(turn).target()),
            _ => request(&format!("/config/{config}")),
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut asked = asked.into_iter();
        for request in asked.by_ref().take(answers) {
            let Ok(response) = service.call(request.into_request()).await;
            assert_eq!(response.status(), 200);
        }
        // Taking the others apart would count, too.
        std::mem::forget(asked);
    });
    std::process::exit(0);
}

fn request(target: &str) -> Inquiry {
    let request = Request::get(target)
        .header("host", HOST)
        .header("connection", "keep-alive")
        .header("user-agent", "iPXE/1.21.1+")
        .body(())
        .unwrap();
    let (parts, ()) = request.into_parts();
    Inquiry {
        method: parts.method,
        target: parts.uri,
        version: Version::HTTP_11,
        headers: parts.headers,
        arrival: Arc::new(Arrival {
            peer: "10.0.0.7:49152".parse().unwrap(),
            local: "10.0.0.1:8080".parse().unwrap(),
            scheme: "http",
            caller: Caller::Anybody,
        }),
    }
}

fn settings() -> Settings {
    Settings {
        external_url: None,
        fixed_labels: FixedLabels::default(),
        boot_api: true,
        access: Access::default(),
        client_label: None,
        boot_script: http::boot_script(10),
        ready_max_age: None,
        max_header_bytes: Limits::default().max_header_bytes,
        starting_until: Instant::now() + http::STARTING,
        poke: None,
        draining: Arc::new(AtomicBool::new(false)),
    }
}
