//! Transfers over networks that lose, double, delay and reorder packets, against a client as the RFCs have it.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn plan(bytes: u64, options: Options) -> Plan {
    Plan::agree(&options, bytes)
}

fn sized(bytes: u64, block: u64, window: u64) -> Plan {
    let options = Options {
        blksize: Some(block),
        windowsize: Some(window),
        ..Options::default()
    };
    plan(bytes, options)
}

#[test]
fn options_are_taken_within_bounds() {
    let told = |options: Options| {
        let plan = plan(1000, options);
        let oack = plan.oack().map(|oack| oack.escape_ascii().to_string());
        (oack, plan.block, plan.window, plan.patience)
    };
    assert_eq!(told(Options::default()), (None, 512, 1, None));
    let all = Options {
        blksize: Some(1432),
        tsize: true,
        timeout: Some(3),
        windowsize: Some(4),
    };
    let oack = r"\x00\x06blksize\x001432\x00tsize\x001000\x00timeout\x003\x00windowsize\x004\x00";
    let expected = (Some(oack.to_owned()), 1432, 4, Some(Duration::from_secs(3)));
    assert_eq!(told(all), expected);
    let large = Options {
        blksize: Some(u64::MAX),
        tsize: false,
        timeout: Some(31),
        windowsize: Some(65_535),
    };
    let oack = r"\x00\x06blksize\x0065464\x00windowsize\x0064\x00";
    assert_eq!(told(large), (Some(oack.to_owned()), 65_464, 64, None));
    let small = Options {
        blksize: Some(7),
        tsize: false,
        timeout: Some(0),
        windowsize: Some(0),
    };
    assert_eq!(told(small), (None, 512, 1, None));
}

#[test]
fn a_file_ends_with_a_block_that_is_not_full() {
    for (bytes, blocks, last) in [
        (0, 1, 0),
        (1, 1, 1),
        (511, 1, 511),
        (512, 2, 0),
        (513, 2, 1),
        (1024, 3, 0),
    ] {
        let plan = plan(bytes, Options::default());
        assert_eq!(plan.blocks(), blocks, "{bytes}");
        assert_eq!(plan.place(blocks), ((blocks - 1) * 512, last), "{bytes}");
    }
}

#[test]
fn a_stranger_gets_one_packet_a_few_times_with_growing_pauses() {
    let patient = Options {
        timeout: Some(30),
        ..Options::default()
    };
    for plan in [
        plan(1 << 20, Options::default()),
        sized(1 << 20, 1432, 64),
        plan(1 << 20, patient),
    ] {
        let mut transfer = Transfer::new(plan);
        let first = transfer.start();
        assert!(matches!(first, Step::Oack) || first == Step::Blocks(1..=1));
        for seconds in [1, 2, 4] {
            assert_eq!(transfer.patience(), Duration::from_secs(seconds));
            assert_eq!(transfer.silence(), first);
        }
        assert_eq!(transfer.patience(), Duration::from_secs(8));
        assert_eq!(transfer.silence(), Step::GiveUp);
    }
}

#[test]
fn what_a_client_says_twice_is_answered_once() {
    let mut transfer = Transfer::new(plan(2000, Options::default()));
    assert_eq!(transfer.start(), Step::Blocks(1..=1));
    assert_eq!(transfer.ack(0), Step::Wait);
    assert_eq!(transfer.ack(1), Step::Blocks(2..=2));
    assert_eq!(transfer.ack(1), Step::Wait);
    assert_eq!(transfer.ack(3), Step::Wait);
    assert_eq!(transfer.ack(2), Step::Blocks(3..=3));
    assert_eq!(transfer.ack(1), Step::Wait);
    assert_eq!(transfer.silence(), Step::Blocks(3..=3));
    assert_eq!(transfer.ack(3), Step::Blocks(4..=4));
    assert_eq!(transfer.ack(4), Step::Done);
    assert_eq!(transfer.arrived(), 2000);
}

#[test]
fn a_window_begins_again_where_the_client_misses_a_block() {
    let mut transfer = Transfer::new(sized(100, 10, 4));
    assert_eq!(transfer.start(), Step::Oack);
    assert_eq!(transfer.ack(4), Step::Wait);
    assert_eq!(transfer.ack(0), Step::Blocks(1..=4));
    assert_eq!(transfer.ack(0), Step::Blocks(1..=4));
    assert_eq!(transfer.ack(0), Step::Wait);
    assert_eq!(transfer.ack(2), Step::Blocks(3..=6));
    assert_eq!(transfer.ack(7), Step::Wait);
    assert_eq!(transfer.ack(6), Step::Blocks(7..=10));
    assert_eq!(transfer.ack(10), Step::Blocks(11..=11));
    assert_eq!(transfer.ack(11), Step::Done);
}

#[test]
fn the_count_begins_again_after_65535() {
    // 100,000 blocks of 512 bytes and an empty one: 49 MiB.
    let mut transfer = Transfer::new(plan(100_000 * 512, Options::default()));
    assert_eq!(transfer.start(), Step::Blocks(1..=1));
    for block in 1..=100_000_u64 {
        let number = u16::try_from(block % 65_536).unwrap();
        assert_eq!(transfer.ack(number), Step::Blocks(block + 1..=block + 1));
        assert_eq!(transfer.ack(number), Step::Wait);
    }
    let last = u16::try_from(100_001 % 65_536).unwrap();
    assert_eq!(transfer.ack(last), Step::Done);
}

/// What a network does with one packet.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lose,
    /// Comes once for each of these delays, in milliseconds.
    Come(u64),
    Twice(u64, u64),
}

#[derive(Clone, Debug)]
enum Packet {
    Oack,
    Data(u16, Vec<u8>),
    Ack(u16),
}

/// Everything with its time, in milliseconds, in order.
struct World {
    now: u64,
    serial: u64,
    queue: BTreeMap<(u64, u64), Packet>,
    fates: std::vec::IntoIter<Fate>,
    /// The data packets that were sent.
    data: u64,
}

impl World {
    fn send(&mut self, packet: &Packet) {
        let delays = match self.fates.next().unwrap_or(Fate::Come(1)) {
            Fate::Lose => vec![],
            Fate::Come(delay) => vec![delay],
            Fate::Twice(one, other) => vec![one, other],
        };
        for delay in delays {
            self.serial += 1;
            let key = (self.now + delay, self.serial);
            self.queue.insert(key, packet.clone());
        }
    }

    fn step(&mut self, step: &Step, plan: &Plan, file: &[u8]) {
        match step {
            Step::Oack => self.send(&Packet::Oack),
            Step::Blocks(blocks) => {
                for block in blocks.clone() {
                    let (start, length) = plan.place(block);
                    let start = usize::try_from(start).unwrap();
                    let content = file[start..start + length].to_vec();
                    let number = u16::try_from(block % 65_536).unwrap();
                    self.data += 1;
                    self.send(&Packet::Data(number, content));
                }
            }
            Step::Wait | Step::Done | Step::GiveUp => {}
        }
    }
}

/// A client that acknowledges each window, and at once what comes out of order (RFC 7440, section 4).
struct Client {
    got: Vec<u8>,
    blocks: u64,
    since_ack: u64,
    is_done: bool,
}

impl Client {
    /// The number to acknowledge, if it is time.
    fn take(&mut self, packet: Packet, plan: &Plan) -> Option<u16> {
        let known = u16::try_from(self.blocks % 65_536).unwrap();
        match packet {
            Packet::Data(number, content) if number == known.wrapping_add(1) && !self.is_done => {
                self.is_done = u64::try_from(content.len()).unwrap() < plan.block;
                self.got.extend(content);
                self.blocks += 1;
                self.since_ack += 1;
                if self.since_ack < plan.window && !self.is_done {
                    return None;
                }
                self.since_ack = 0;
                Some(number)
            }
            Packet::Data(..) => {
                self.since_ack = 0;
                Some(known)
            }
            Packet::Oack => (self.blocks == 0).then_some(0),
            Packet::Ack(_) => None,
        }
    }
}

/// Runs a transfer to its end: what the client got, how it ended, and how many data packets were sent.
fn run(plan: &Plan, file: &[u8], fates: Vec<Fate>) -> (Vec<u8>, Step, u64) {
    let mut world = World {
        now: 0,
        serial: 0,
        queue: BTreeMap::new(),
        fates: fates.into_iter(),
        data: 0,
    };
    let mut client = Client {
        got: Vec::new(),
        blocks: 0,
        since_ack: 0,
        is_done: false,
    };
    let mut transfer = Transfer::new(plan.clone());
    let mut step = transfer.start();
    let millis = |transfer: &Transfer| u64::try_from(transfer.patience().as_millis()).unwrap();
    loop {
        world.step(&step, plan, file);
        let deadline = world.now + millis(&transfer);
        step = loop {
            let next = world.queue.first_key_value().map(|(key, _)| *key);
            let Some(key) = next.filter(|(at, _)| *at < deadline) else {
                world.now = deadline;
                break transfer.silence();
            };
            world.now = key.0;
            match world.queue.remove(&key).unwrap() {
                Packet::Ack(number) => match transfer.ack(number) {
                    Step::Wait => {}
                    step => break step,
                },
                packet => {
                    if let Some(number) = client.take(packet, plan) {
                        world.send(&Packet::Ack(number));
                    }
                }
            }
        };
        if matches!(step, Step::Done | Step::GiveUp) {
            return (client.got, step, world.data);
        }
    }
}

fn fate(may_lose: bool) -> impl Strategy<Value = Fate> {
    // Delays beyond the first silence, so that what is sent again meets what was late.
    let delay = prop_oneof![4 => 1..5_u64, 1 => 5..1500_u64];
    let losses = u32::from(may_lose);
    prop_oneof![
        losses => Just(Fate::Lose),
        4 => delay.clone().prop_map(Fate::Come),
        2 => (delay.clone(), delay).prop_map(|(one, other)| Fate::Twice(one, other)),
    ]
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|at| u8::try_from(at * 7 % 251).unwrap())
        .collect()
}

proptest! {
    #[test]
    fn a_transfer_ends_with_the_whole_file_or_is_given_up(
        bytes in 0..3000_usize,
        block in 8..600_u64,
        window in 0..9_u64,
        fates in vec(fate(true), 0..400),
    ) {
        let options = Options {
            blksize: Some(block),
            windowsize: Some(window),
            ..Options::default()
        };
        let (file, plan) = (content(bytes), Plan::agree(&options, bytes as u64));
        let (got, end, _) = run(&plan, &file, fates);
        prop_assert!(file.starts_with(&got));
        if end == Step::Done {
            prop_assert_eq!(got, file);
        }
    }

    #[test]
    fn few_losses_are_survived(
        bytes in 0..3000_usize,
        window in 1..9_u64,
        mut fates in vec(fate(false), 0..60),
        losses in vec(0..60_usize, 0..=3),
    ) {
        for at in losses {
            if let Some(fate) = fates.get_mut(at) {
                *fate = Fate::Lose;
            }
        }
        let (file, plan) = (content(bytes), sized(bytes as u64, 100, window));
        let (got, end, _) = run(&plan, &file, fates);
        prop_assert_eq!(end, Step::Done);
        prop_assert_eq!(got, file);
    }

    #[test]
    fn doubled_packets_double_no_block(bytes in 0..5000_usize, fates in vec((1..5_u64, 1..5_u64), 0..200)) {
        let fates = fates.into_iter().map(|(one, other)| Fate::Twice(one, other)).collect();
        let (file, plan) = (content(bytes), sized(bytes as u64, 100, 1));
        let (got, end, data) = run(&plan, &file, fates);
        prop_assert_eq!((got, end), (file, Step::Done));
        prop_assert_eq!(data, plan.blocks());
    }

    #[test]
    fn no_acknowledgement_breaks_anything(
        bytes in 0..100_000_000_u64,
        window in 0..80_u64,
        events in vec(prop_oneof![any::<u16>().prop_map(Some), (0..70_u16).prop_map(Some), Just(None)], 0..300),
    ) {
        let plan = sized(bytes, 512, window);
        let blocks = plan.blocks();
        let mut transfer = Transfer::new(plan);
        transfer.start();
        for event in events {
            let step = match event {
                Some(number) => transfer.ack(number),
                None => transfer.silence(),
            };
            prop_assert!(transfer.arrived() <= bytes);
            match step {
                Step::Blocks(range) => {
                    prop_assert!(*range.start() >= 1 && *range.end() <= blocks && range.count() as u64 <= MAX_WINDOW);
                }
                Step::Done | Step::GiveUp => break,
                Step::Wait | Step::Oack => {}
            }
        }
    }
}
