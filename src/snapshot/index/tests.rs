//! The index against a search through everything, and how many places it looks at.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::label::FixedLabels;
use crate::snapshot::SelectorValues;

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
    /// Which bits are left of hashes.
    static HASH_BITS: Cell<u64> = const { Cell::new(u64::MAX) };
}

pub(super) fn count_look() {
    LOOKS.set(LOOKS.get() + 1);
}

pub(in crate::snapshot) fn narrowed(hash: u64) -> u64 {
    hash & HASH_BITS.get()
}

fn rule(name: &str, selectors: &[(&str, &[&str])], entries: Vec<Entry>) -> Rule {
    let mut selectors: Vec<_> = selectors
        .iter()
        .map(|(key, values)| {
            let mut values: Vec<Box<str>> = values.iter().map(|one| (*one).into()).collect();
            values.sort();
            SelectorValues {
                key: (*key).into(),
                values,
            }
        })
        .collect();
    selectors.sort_by(|one, other| one.key.cmp(&other.key));
    let names = |one: &SelectorValues| Identity::from_key(&one.key).is_some();
    let tier = if entries.is_empty() && !selectors.iter().any(names) {
        Tier::Class
    } else {
        Tier::Named
    };
    Rule {
        name: name.into(),
        tier,
        priority: 0,
        selectors,
        entries: entries.into(),
        choices: Vec::new(),
    }
}

fn entry(values: &[(Identity, &str)]) -> Entry {
    let values = values
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()));
    Entry::new("", values.collect())
}

fn labels(query: &str) -> Labels {
    Labels::parse(query, &FixedLabels::default()).unwrap()
}

/// Who wins, with the entry; `Err` for an identity conflict.
type Outcome = Result<Option<(String, Option<usize>)>, ()>;

fn found(index: &Index, rules: &[Rule], labels: &Labels) -> Outcome {
    match index.find_named(rules, labels) {
        Ok(found) => Ok(found.map(|found| (found.rule.name.to_string(), found.entry))),
        Err(NoMatch::IdentityConflict { assignment }) => {
            let rule = rules.iter().find(|rule| *rule.name == *assignment);
            let entries = rule.unwrap().entries.iter();
            let mut identities = entries.map(Entry::identities);
            assert!(identities.any(|one| matches(one, labels) && one.are_contradicted(labels)));
            Err(())
        }
        Err(other) => panic!("{other:?}"),
    }
}

fn matches(identities: crate::label::Identities<'_>, labels: &Labels) -> bool {
    let sent = |(key, value)| labels.identities(key).any(|sent| sent == value);
    identities.iter().any(sent)
}

/// The same, found by a look at everything.
fn slowly_found(rules: &[Rule], labels: &Labels) -> Outcome {
    let mut contradicted = false;
    let mut all = Vec::new();
    for rule in rules.iter().filter(|rule| rule.tier == Tier::Named) {
        let selected = rule.selectors.iter().filter_map(|one| {
            let key = Identity::from_key(&one.key)?;
            Some((
                key,
                one.values.iter().map(|value| &**value).collect::<Vec<_>>(),
            ))
        });
        let selected: Vec<_> = selected.collect();
        let mut places: Vec<_> = (0..rule.entries.len()).map(Some).collect();
        if places.is_empty() {
            places.push(None);
        }
        for place in places {
            let mut keys = selected.clone();
            if let Some(place) = place {
                let identities = rule.entries[place].identities();
                if !matches(identities, labels) {
                    continue;
                }
                if identities.are_contradicted(labels) {
                    contradicted = true;
                    continue;
                }
                keys.extend(identities.iter().map(|(key, value)| (key, vec![value])));
            }
            if !rule.accepts(labels) {
                continue;
            }
            let positions = keys.iter().filter_map(|(key, values)| {
                let position = labels
                    .identities(*key)
                    .position(|one| values.contains(&one))?;
                Some((*key, position))
            });
            let strongest = positions.min().unwrap();
            let standing = (Reverse(rule.priority), Reverse(rule.keys()), strongest);
            all.push((standing, rule.name.to_string(), place));
        }
    }
    match (all.into_iter().min(), contradicted) {
        (Some((_, name, place)), _) => Ok(Some((name, place))),
        (None, true) => Err(()),
        (None, false) => Ok(None),
    }
}

const UUIDS: [&str; 4] = [
    "10000000-0000-4000-8000-00000000000a",
    "20000000-0000-4000-8000-00000000000b",
    "30000000-0000-4000-8000-00000000000c",
    "40000000-0000-4000-8000-00000000000d",
];
const SERIALS: [&str; 3] = ["SN1", "SN2", "SN3"];
const MACS: [&str; 4] = [
    "52:54:00:00:00:01",
    "52:54:00:00:00:02",
    "52:54:00:00:00:03",
    "52:54:00:00:00:04",
];
const ASSETS: [&str; 2] = ["A1", "A2"];

fn values_of(key: &str) -> &'static [&'static str] {
    match key {
        "uuid" => &UUIDS,
        "serial" => &SERIALS,
        "mac" => &MACS,
        "asset" => &ASSETS,
        _ => &["x", "y"],
    }
}

fn some_values(
    keys: &'static [&'static str],
    most: usize,
) -> impl Strategy<Value = Vec<(&'static str, Vec<&'static str>)>> {
    subsequence(keys, 0..=most).prop_flat_map(|keys| {
        let values: Vec<_> = keys
            .into_iter()
            .map(|key| (Just(key), subsequence(values_of(key), 1..=2).prop_shuffle()))
            .collect();
        values
    })
}

fn some_entry() -> impl Strategy<Value = Entry> {
    let keys = some_values(&["uuid", "serial", "mac", "asset"], 4);
    keys.prop_filter_map("it has an identity", |keys| {
        let values = keys.into_iter().flat_map(|(key, values)| {
            let key = Identity::from_key(key).unwrap();
            values.into_iter().map(move |value| (key, value.to_owned()))
        });
        let values: Vec<_> = values.collect();
        (!values.is_empty()).then(|| Entry::new("", values))
    })
}

fn some_rules() -> impl Strategy<Value = Vec<Rule>> {
    let selectors = prop_oneof![
        2 => Just(Vec::new()),
        2 => some_values(&["site", "rack"], 2),
        1 => some_values(&["uuid", "serial", "mac", "asset", "site"], 3),
    ];
    let entries = prop_oneof![
        1 => Just(Vec::new()),
        2 => prop::collection::vec(some_entry(), 1..4),
        2 => prop::collection::vec(some_entry(), 8..40),
    ];
    let one = (selectors, entries, -1..=1_i16);
    let names = Just((0..16_usize).collect::<Vec<_>>()).prop_shuffle();
    (prop::collection::vec(one, 1..16), names).prop_map(|(all, names)| {
        let rules = all.into_iter().zip(names);
        let rules = rules
            .filter(|((selectors, entries, _), _)| !selectors.is_empty() || !entries.is_empty());
        rules
            .map(|((selectors, entries, priority), name)| {
                let selectors: Vec<_> = selectors
                    .iter()
                    .map(|(key, values)| (*key, values.as_slice()))
                    .collect();
                let mut rule = rule(&format!("a{name}"), &selectors, entries);
                rule.priority = priority;
                rule
            })
            .collect()
    })
}

fn some_query() -> impl Strategy<Value = String> {
    let one = |key: &'static str, weight: f64| {
        let value = select(values_of(key));
        prop::option::weighted(
            weight,
            value.prop_map(move |value| format!("{key}={value}&")),
        )
    };
    let macs = subsequence(&MACS[..], 0..=3).prop_shuffle();
    (
        one("uuid", 0.4),
        one("serial", 0.5),
        one("asset", 0.7),
        one("site", 0.7),
        one("rack", 0.7),
        macs,
    )
        .prop_map(|(a, b, c, d, e, macs)| {
            let macs = macs.into_iter().map(|mac| format!("mac={mac}&"));
            [a, b, c, d, e].into_iter().flatten().chain(macs).collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn crowds_change_nothing(
        rules in some_rules(),
        queries in prop::collection::vec(some_query(), 16),
    ) {
        let indexes = [0, 1, 4, CROWD, usize::MAX].map(|limit| Index::with_crowd(&rules, limit));
        for query in queries {
            let labels = labels(&query);
            let expected = slowly_found(&rules, &labels);
            for index in &indexes {
                prop_assert_eq!(found(index, &rules, &labels), expected.clone(), "{}", query);
                let entries = index.entries(&rules, &labels);
                prop_assert_eq!(&entries, &indexes[4].entries(&rules, &labels));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn values_that_meet_at_one_hash_are_told_apart(
        rules in some_rules(),
        queries in prop::collection::vec(some_query(), 16),
        bits in select(vec![0, 1, 7, 63]),
    ) {
        HASH_BITS.set(bits);
        // Without crowds: by them, values that really meet may lose a match, but nobody gets another's.
        let index = Index::with_crowd(&rules, usize::MAX);
        let found = queries.iter().map(|query| found(&index, &rules, &labels(query)));
        let found: Vec<_> = found.collect();
        HASH_BITS.set(u64::MAX);
        for (query, found) in queries.iter().zip(found) {
            prop_assert_eq!(found, slowly_found(&rules, &labels(query)), "{}", query);
        }
    }
}

const SMALL: usize = 800;
const LARGE: usize = 4_000;

/// More looks than a machine with one value of each key may cost, whoever else has them.
const LOOKS_LIMIT: usize = 4 * CROWD;

/// How many places were looked at.
fn looks(index: &Index, rules: &[Rule], query: &str) -> usize {
    let labels = labels(query);
    LOOKS.set(0);
    let _ = found(index, rules, &labels);
    LOOKS.get()
}

fn uuid(number: usize) -> String {
    format!("10000000-0000-4000-8000-{number:012x}")
}

fn mac(number: usize) -> String {
    format!(
        "52:54:00:{:02x}:{:02x}:{:02x}",
        number >> 16,
        number >> 8 & 255,
        number & 255
    )
}

/// Fleets in which somebody shares values with everybody else, by what they are made of.
fn fleets(size: usize) -> Vec<(&'static str, Vec<Rule>)> {
    use Identity::{Asset, Mac, Serial, Uuid};
    let each = |make: &dyn Fn(usize) -> Entry| (0..size).map(make).collect::<Vec<_>>();
    let tagged = each(&|n| entry(&[(Uuid, &uuid(n)), (Mac, &mac(n)), (Asset, "HOT")]));
    let dongle = each(&|n| entry(&[(Uuid, &uuid(n)), (Mac, "52:54:ff:00:00:01"), (Mac, &mac(n))]));
    let batches = each(&|n| {
        let serial = format!("BATCH{}", n / 20);
        entry(&[(Uuid, &uuid(n)), (Serial, &serial), (Asset, "HOT")])
    });
    let twice = |n: usize| entry(&[(Uuid, &uuid(n)), (Serial, "HOT"), (Asset, "HOT")]);
    let sites = |entries: &dyn Fn(usize) -> Vec<Entry>, identity: Option<(&str, &str)>| {
        let rules = (0..size).map(|n| {
            let own = format!("s{n}");
            let values = [own.as_str()];
            let mut selectors = vec![("site", &values[..])];
            let asked = identity.map(|(key, value)| (key, [value]));
            selectors.extend(asked.iter().map(|(key, value)| (*key, &value[..])));
            rule(&format!("a{n}"), &selectors, entries(n))
        });
        rules.collect::<Vec<_>>()
    };
    let hot = |_| vec![entry(&[(Asset, "HOT")])];
    let hotter = |_| vec![entry(&[(Serial, "HOT"), (Asset, "HOT")])];
    let at_site = |entries: &[Entry]| {
        let entries = entries.to_vec();
        vec![rule("rack", &[("site", &["s900"])], entries)]
    };
    vec![
        ("one tag for all, at a site", at_site(&tagged)),
        ("one dongle for all, at a site", at_site(&dongle)),
        ("batches, at a site", at_site(&batches)),
        ("one tag for all", vec![rule("rack", &[], tagged)]),
        ("one dongle for all", vec![rule("rack", &[], dongle)]),
        ("batches", vec![rule("rack", &[], batches)]),
        ("two values for all", vec![rule("rack", &[], each(&twice))]),
        ("a site each", sites(&hot, None)),
        ("a site each, two values", sites(&hotter, None)),
        ("a site each, with a uuid", sites(&|n| vec![twice(n)], None)),
        (
            "a site each, selected",
            sites(&|_| Vec::new(), Some(("asset", "HOT"))),
        ),
        (
            "a site each, selected machines",
            sites(&hot, Some(("serial", "HOT"))),
        ),
    ]
}

#[test]
fn what_everybody_has_costs_no_more_in_a_larger_fleet() {
    let someone = format!("uuid={}", uuid(700));
    let stranger = format!("uuid={}", uuid(SMALL + LARGE));
    let mut queries = Vec::new();
    for who in [
        "",
        &someone,
        &stranger,
        "mac=52540000000a",
        "mac=5254ee000001",
    ] {
        for hot in [
            "asset=HOT",
            "serial=HOT",
            "asset=HOT&serial=HOT",
            "asset=HOT&serial=BATCH7",
            "mac=5254ff000001",
            "asset=HOT&serial=SN",
        ] {
            for site in ["", "site=s900", "site=nowhere"] {
                queries.push(format!("{who}&{hot}&{site}"));
            }
        }
    }
    for ((what, small), (_, large)) in fleets(SMALL).iter().zip(&fleets(LARGE)) {
        let (index, larger) = (Index::new(small), Index::new(large));
        for query in &queries {
            let few = looks(&larger, large, query);
            assert!(few <= LOOKS_LIMIT, "{what}: {query} looks at {few} places");
            assert!(
                few <= looks(&index, small, query) + CROWD,
                "{what}: {query}"
            );
        }
    }
    // The measure is none if nothing is counted.
    let fleets = fleets(SMALL);
    let (_, tagged) = fleets
        .iter()
        .find(|(what, _)| *what == "one tag for all")
        .unwrap();
    let one_by_one = Index::with_crowd(tagged, usize::MAX);
    assert_eq!(looks(&one_by_one, tagged, "asset=HOT"), SMALL);
    for query in &queries {
        let expected = slowly_found(tagged, &labels(query));
        assert_eq!(
            found(&Index::new(tagged), tagged, &labels(query)),
            expected,
            "{query}"
        );
    }
}

#[test]
fn many_values_of_one_machine_are_one_place() {
    let macs: Vec<String> = (0..60).map(mac).collect();
    let values: Vec<_> = macs
        .iter()
        .map(|mac| (Identity::Mac, mac.as_str()))
        .collect();
    let rules = [rule("rack", &[], vec![entry(&values)])];
    let query = format!("mac={}", macs.join("&mac="));
    assert_eq!(looks(&Index::new(&rules), &rules, &query), 1);
    let (conflict, known) = (format!("{query}&uuid={}", uuid(1)), labels(&query));
    assert_eq!(looks(&Index::new(&rules), &rules, &conflict), 1);
    let expected = slowly_found(&rules, &known);
    assert_eq!(found(&Index::new(&rules), &rules, &known), expected);
}
