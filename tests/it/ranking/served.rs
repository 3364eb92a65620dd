//! What a server sends over a real socket, whatever way a machine spells itself, against the model: its own script to the
//! letter, or none. Some fleets hold values that stand at a crowd of machines.
//!
//! `PROPTEST_CASES` says for how long.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::generate::{MACS, UUIDS, documents, machine, repository};
use super::model::{Assignment, Entry, Machine, Outcome, Repository};
use super::{files, without_mistakes};
use crate::http::Server;
use crate::support::fixture::snapshot;
use crate::support::http::Client;

/// Who is asked for, and a crowd of others: more than the index looks at one by one.
static MEMBERS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let others = (0..40)
        .map(|number| -> &'static str { format!("50000000-0000-4000-8000-{number:012x}").leak() });
    UUIDS.into_iter().chain(others).collect()
});

/// An Assignment of many machines that share values and nothing else, as their UUIDs differ.
fn crowd() -> impl Strategy<Value = Assignment> {
    let shared = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let members = prop::collection::vec(shared, 20..MEMBERS.len());
    let site = prop::option::of(prop::sample::select(vec!["lab", "prod"]));
    (members, site, 0..4_usize).prop_map(|(members, site, profile)| {
        let entries = members.into_iter().zip(MEMBERS.iter());
        let entries = entries.map(|((serial, asset, mac, other), uuid)| {
            let mut keys = BTreeMap::from([("uuid", vec![*uuid])]);
            let mut add = |is_listed: bool, key, values: &[&'static str]| {
                if is_listed {
                    keys.insert(key, values.to_vec());
                }
            };
            add(serial, "serial", &["SN1"]);
            add(asset, "asset", if other { &["A1", "A2"] } else { &["A1"] });
            add(
                mac,
                "mac",
                &[MACS[0], MACS[usize::from(other)]][..=usize::from(other)],
            );
            Entry { name: None, keys }
        });
        let selectors = site.map(|site| ("site", vec![site]));
        Assignment {
            selectors: selectors.into_iter().collect(),
            machines: entries.collect(),
            is_default: false,
            ..Assignment::default_of(&format!("p{profile}"))
        }
    })
}

/// A fleet without mistakes and up to two crowds, each of a priority of its own.
fn fleet() -> impl Strategy<Value = Repository> {
    let crowds = prop::collection::vec((crowd(), any::<bool>()), 0..3);
    (repository(5), crowds).prop_map(|(repository, crowds)| {
        let mut repository = without_mistakes(repository);
        for ((mut crowd, is_first), number) in crowds.into_iter().zip(10_i16..) {
            crowd.name = format!("crowd{number}");
            crowd.priority = if is_first { number } else { -number };
            repository.assignments.push(crowd);
        }
        repository
    })
}

/// One of many spellings of a label, by a number.
fn spelled(key: &str, value: &str, how: usize) -> String {
    let bare: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let escaped: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let alternatives = match key {
        "uuid" => vec![
            format!("UUID={}", value.to_ascii_uppercase()),
            format!("uuid=%7b{value}}}"),
            format!("uuidList={bare}"),
            format!("uuid=urn:uuid:{value}"),
        ],
        "mac" => vec![
            format!("Mac={}", value.replace(':', "-")),
            format!("macAddress={}", bare.to_ascii_uppercase()),
            format!("mac={}.{}.{}", &bare[..4], &bare[4..8], &bare[8..]),
            format!("%6dac={escaped}"),
        ],
        "serial" => vec![
            format!("serialNumber={value}%00%00"),
            format!("SERIAL.hex={hex}"),
            format!("serial={escaped}"),
        ],
        "buildarch" => vec![
            format!("arch={value}"),
            format!(
                "buildarch={}",
                if value == "arm64" { "aarch64" } else { "amd64" }
            ),
        ],
        _ => vec![
            format!("{key}=%20{value}++").replace("++", "%20"),
            format!("{key}.hex={hex}"),
            format!("{key}={escaped}"),
        ],
    };
    let plain = format!("{key}={value}");
    alternatives
        .get(how % (alternatives.len() + 1))
        .cloned()
        .unwrap_or(plain)
}

/// Labels that are none.
const NOISE: [&str; 8] = [
    "",
    "=",
    "uuid=",
    "uuid=00000000-0000-0000-0000-000000000000",
    "mac=junk",
    "mac=ffffffffffff",
    "serial=to%20be%20filled%20by%20o.e.m.",
    "asset.hex=zz",
];

/// What a machine asks for: labels in any order, its MACs in theirs.
fn target(machine: &Machine, how: &[usize]) -> String {
    let mut how = how.iter().copied().cycle();
    let mut next = move || how.next().unwrap_or_default();
    let mut path = "/ipxe".to_owned();
    let mut macs = machine.macs.clone();
    if let ([mac], true) = (macs.as_slice(), next() % 2 == 0) {
        path = format!("/ipxe/{}", mac.replace(':', "-"));
        // Those of the query do not count then.
        macs = vec!["52:54:00:00:00:03"];
    }
    let mut parts: Vec<String> = machine
        .labels
        .iter()
        .map(|(key, value)| spelled(key, value, next()))
        .collect();
    for _ in 0..next() % 4 {
        parts.push(NOISE[next() % NOISE.len()].to_owned());
    }
    let mut at = 0;
    for mac in macs {
        at += next() % (parts.len() - at + 1);
        parts.insert(at, spelled("mac", mac, next()));
        at += 1;
    }
    let turned = if path == "/ipxe" {
        0
    } else {
        next() % parts.len().max(1)
    };
    parts.rotate_left(turned);
    format!("{path}?{}", parts.join("&"))
}

thread_local! {
    static SERVER: std::cell::RefCell<Server> = std::cell::RefCell::new(Server::start());
}

fn check(
    client: &mut Client,
    fleet: &Repository,
    machine: &Machine,
    how: &[usize],
) -> Result<(), TestCaseError> {
    let target = target(machine, how);
    let response = client.get(&target);
    match fleet.find(machine) {
        Outcome::Found {
            assignment,
            profile,
            machine,
        } => {
            let script = format!(
                "#!ipxe\necho <{profile}|{assignment}|{}>\n",
                machine.unwrap_or_default()
            );
            prop_assert_eq!(
                (response.status, response.text()),
                (200, script.as_str()),
                "{}",
                target
            );
        }
        outcome => prop_assert_eq!(
            response.status,
            404,
            "{} {:?} {:?}",
            target,
            outcome,
            response
        ),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn a_machine_gets_its_own_script_however_it_spells_itself(
        fleet in fleet(),
        machines in prop::collection::vec((machine(), prop::collection::vec(any::<usize>(), 24)), 24),
    ) {
        let documents: Vec<String> = documents(&fleet)
            .iter()
            .map(|text| text.replace("{{ machine.name }}", "<{{ profile.name }}|{{ assignment.name }}|{{ machine.name }}>"))
            .collect();
        let snapshot = snapshot(&files(&documents, &vec![0; documents.len()]));
        SERVER.with_borrow_mut(|server| {
            server.publish(snapshot);
            let mut client = server.connect();
            for (machine, how) in &machines {
                check(&mut client, &fleet, machine, how)?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
