//! Three replicas behind a balancer: a thousand pushes, boots in flight, and restarts one by one.
#![expect(
    clippy::print_stderr,
    reason = "figures, and what the replicas say when it fails"
)]

mod balancer;
mod boot;
mod replica;
mod site;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use balancer::Balancer;
use boot::{Clock, Seen, World, boot_on};
use replica::{Place, Replica, SECRET};
use site::{MACHINES, Site};

use crate::support::process;

/// How often the branch moves, unless `FLEET_PUSHES` says otherwise.
const PUSHES: usize = 1000;
/// Machines that boot at the same time.
const BOOTS: usize = MACHINES;
/// The most memory that a replica may have held, in bytes.
const MAX_MEMORY: u64 = 128 << 20;
/// The most files that a replica may have open when nobody asks any more.
const MAX_FILES: usize = 80;

/// How long anything may take before the test fails: a busy machine is no fault of the replicas.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits for something that has to become true.
#[track_caller]
fn soon(what: &str, is_true: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whoever pushes, and whoever lets a replica crash: one at a time.
#[derive(Default)]
struct Baton(Mutex<()>);

/// Whoever waits for pushes need not do so when there are no more, for whatever reason.
struct End<'c>(&'c Clock);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Where replicas and balancer are: addresses of loopback that nobody else has.
fn address(last: u8) -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 63), low, last)
}

#[test]
fn boots_go_on_through_a_thousand_pushes_and_restarts_one_by_one() {
    let chosen = std::env::var("FLEET_PUSHES").ok();
    let site = Site::new(chosen.map_or(PUSHES, |text| text.parse().unwrap()));
    let folder = site.folder().to_owned();
    std::fs::write(folder.join("hook-secret"), SECRET).unwrap();
    site.push(0);
    let places = [1, 2, 3].map(|last| Place(address(last)));
    let mut replicas = places.map(|place| Replica::start(place, &site.url(), &folder));
    let balancer = Balancer::start(address(9), &places, &folder);
    replicas.iter().for_each(Replica::ready);
    balancer.has_up(3);
    let world = Arc::new(World {
        site,
        clock: Clock::default(),
        door: RwLock::new(balancer.strict),
        seen: Mutex::new(Seen::default()),
    });
    world.clock.set(0);

    let started = Instant::now();
    let (baton, is_over) = (Baton::default(), AtomicBool::new(false));
    let restarts = std::thread::scope(|scope| {
        let boots: Vec<_> = (0..BOOTS)
            .map(|boot| {
                let world = Arc::clone(&world);
                scope.spawn(move || boot_on(&world, boot % MACHINES))
            })
            .collect();
        let operator = scope.spawn(|| restart_all(&world, &balancer, &mut replicas, &baton));
        let author = scope.spawn(|| {
            let _end = End(&world.clock);
            push_all(&world, places, &baton, &is_over);
        });
        let failed = watch(boots, &is_over, &world.clock);
        let (pushed, restarted) = (author.join(), operator.join());
        if failed > 0 || pushed.is_err() || restarted.is_err() {
            eprintln!("{}", balancer.trouble());
            for place in places {
                eprintln!("{place:?}: {:#?}", place.status());
            }
        }
        assert_eq!(failed, 0, "machines that did not boot");
        pushed.unwrap();
        restarted.unwrap()
    });
    report(&world, restarts, started.elapsed());
    everybody_agrees(&world, &replicas);
}

/// Waits for all machines. When one fails, nobody has to go on.
fn watch(mut boots: Vec<ScopedJoinHandle<'_, ()>>, is_over: &AtomicBool, clock: &Clock) -> usize {
    let mut failed = 0;
    while !boots.is_empty() {
        std::thread::sleep(Duration::from_millis(20));
        let (ended, running): (Vec<_>, Vec<_>) =
            boots.into_iter().partition(ScopedJoinHandle::is_finished);
        boots = running;
        failed += ended
            .into_iter()
            .filter_map(|boot| boot.join().err())
            .count();
        if failed > 0 {
            is_over.store(true, Ordering::Relaxed);
            clock.end();
        }
    }
    failed
}

/// Pushes everything. Sometimes only one of the replicas is told; the others find out at their next check, or when a
/// machine asks for what they do not know.
fn push_all(world: &World, places: [Place; 3], baton: &Baton, is_over: &AtomicBool) {
    let mut random = 1_u64;
    for (number, push) in world.site.pushes.iter().enumerate().skip(1) {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let _one_at_a_time = baton.0.lock().unwrap();
        world.site.push(number);
        // Knuth's generator; its high bits are the good ones.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // One of three now and then, otherwise all of them.
        let alone = (random >> 56) % 8;
        let told = |replica: u64| alone > 2 || alone == replica;
        (0..)
            .zip(places)
            .filter(|(replica, _)| told(*replica))
            .for_each(|(_, place)| place.poke());
        let wanted = if alone > 2 { 2 } else { 1 };
        let have_seen = || {
            places
                .iter()
                .filter(|place| place.has_seen(&push.id))
                .count()
        };
        soon(
            &format!("{wanted} have seen push {number} of {places:?}"),
            || have_seen() >= wanted,
        );
        world.clock.set(number);
    }
}

/// Restarts one replica after the other until nothing is pushed any more. Returns how often.
fn restart_all(
    world: &World,
    balancer: &Balancer,
    replicas: &mut [Replica; 3],
    baton: &Baton,
) -> (usize, usize) {
    let (mut asked, mut crashed) = (0, 0);
    for turn in 0_usize.. {
        let Some(pushed) = world.clock.now() else {
            break;
        };
        let replica = &mut replicas[turn % 3];
        // Asked to end at first, by a crash in the last quarter.
        if pushed < world.site.pushes.len() / 4 * 3 {
            replica.restart();
            asked += 1;
        } else {
            // Those that were asked once and have no answer yet may get it before anything crashes.
            *world.door.write().unwrap() = balancer.patient;
            let _no_push_meanwhile = baton.0.lock().unwrap();
            // What is published is on disk a moment later. A crash before that loses it, and nothing is promised then.
            soon("it is on disk", || replica.has_stored());
            replica.crash();
            crashed += 1;
        }
        replica.ready();
        balancer.has_up(3);
    }
    (asked, crashed)
}

fn report(world: &World, (asked, crashed): (usize, usize), time: Duration) {
    let seen = world.seen.lock().unwrap();
    eprintln!(
        "{} pushes in {time:.0?}: {} boots with {} requests, {} of them told to come back, the longest for {:.1?}; \
         {asked} restarts and {crashed} crashes",
        world.site.pushes.len(),
        seen.boots,
        seen.requests,
        seen.later,
        seen.longest
    );
    assert!(
        seen.boots > world.site.pushes.len() / 2,
        "{} boots",
        seen.boots
    );
    assert!(
        asked >= 3 && crashed >= 1,
        "{asked} restarts, {crashed} crashes"
    );
}

/// In the end all replicas serve the last commit, without being told of it, and have not grown.
fn everybody_agrees(world: &World, replicas: &[Replica; 3]) {
    let last = world.site.pushes.last().unwrap();
    let mut args = vec!["wait".to_owned(), "--timeout=20s".to_owned()];
    args.push(format!("--revision={}", last.id));
    args.extend(
        replicas
            .iter()
            .map(|replica| format!("--server=http://{}", replica.place.ops())),
    );
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let waited = process::run_in(world.site.folder(), &args, &[]);
    assert_eq!(waited.code, Some(0), "{waited:?}");
    for replica in replicas {
        let (files, memory) = replica.load();
        eprintln!(
            "{:?}: {files} open files, at most {} MiB",
            replica.place,
            memory >> 20
        );
        assert!(files <= MAX_FILES, "{files} open files");
        assert!(memory <= MAX_MEMORY, "{memory} bytes");
    }
}
