//! What holds for everything that a stranger can send.

use super::*;
use proptest::prelude::*;

fn no_labels() -> FixedLabels {
    FixedLabels::default()
}

/// Queries that come near every rule: known and odd keys, values with escapes, separators and junk.
fn near_query() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        "(uuid|serial|mac|asset|arch|buildarch|site|macAddress)(\\.hex){0,2}",
        "[a-zA-Z%.0-9]{0,6}",
        ".{0,4}",
    ];
    let value = prop_oneof![
        "[0-9a-fA-F:.{}-]{0,40}",
        "([0-9a-f]{2}[:-]){5}[0-9a-f]{2}",
        "(%[0-9A-F]{2}|%FFFFFF[89A-F][0-9A-F]|%|[ab=+]){0,8}",
        "(None|0|[0-9a-f]{8}-0000-0000-0000-000000000000)",
        ".{0,12}",
    ];
    let pairs = prop::collection::vec((key, value), 0..8);
    pairs.prop_map(|pairs| {
        let parameters: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        parameters.join("&")
    })
}

proptest! {
    #[test]
    fn survives_any_text(query in any::<String>(), key in any::<String>()) {
        let _ = Labels::parse(&query, &no_labels());
        let _ = Labels::parse_with_mac(&query, "52:54:00:00:00:01", &no_labels());
        let _ = FixedLabels::parse(std::slice::from_ref(&query));
        let _ = parse_mac(&query);
        let _ = normalise(&key, &query);
    }

    #[test]
    fn keeps_its_promises_for_any_query(query in near_query()) {
        let Ok(labels) = Labels::parse(&query, &no_labels()) else { return Ok(()) };
        prop_assert!(labels.entries.is_sorted_by_key(|entry| entry.key.clone()));
        for (key, value) in labels.iter() {
            let canonical = canonical_key(key);
            prop_assert_eq!(canonical.as_deref(), Some(key));
            let normal = normalise(key, value);
            prop_assert_eq!(normal.as_deref(), Ok(value));
            prop_assert_eq!(labels.get(key), Some(value));
        }
    }

    #[test]
    fn reads_back_what_it_writes(query in near_query()) {
        let Ok(labels) = Labels::parse(&query, &no_labels()) else { return Ok(()) };
        let mut written = String::new();
        encode_query(labels.iter(), &mut written);
        let again = Labels::parse(&written, &no_labels()).unwrap();
        prop_assert!(again.iter().eq(labels.iter()), "written as {}", written);
        prop_assert!(written.bytes().all(|byte| byte.is_ascii_graphic()));
    }

    #[test]
    fn reads_back_any_label(key in any::<String>(), value in any::<String>()) {
        let Some(key) = canonical_key(&key) else { return Ok(()) };
        let Ok(value) = normalise(&key, &value) else { return Ok(()) };
        let mut written = String::new();
        encode_query([(key.as_str(), value.as_str())].into_iter(), &mut written);
        let labels = Labels::parse(&written, &no_labels()).unwrap();
        prop_assert!(labels.iter().eq([(key.as_str(), value.as_str())]), "written as {}", written);
    }

    #[test]
    fn has_normal_forms_that_stay(key in any::<String>(), value in any::<String>()) {
        if let Some(canonical) = canonical_key(&key) {
            prop_assert_eq!(canonical_key(&canonical), Some(canonical));
        }
        for key in ["uuid", "mac", "serial", "buildarch", "site"] {
            if let Ok(normal) = normalise(key, &value) {
                prop_assert_eq!(normalise(key, &normal), Ok(normal));
            }
        }
    }

    #[test]
    fn reads_a_mac_in_every_spelling(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 6),
        prop::collection::vec(any::<u8>(), 8),
        prop::collection::vec(any::<u8>(), 20),
    ]) {
        let is_junk = bytes.iter().all(|b| *b == 0) || bytes.iter().all(|b| *b == 0xff);
        let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let groups: Vec<String> = pairs.chunks(2).map(<[String]>::concat).collect();
        let expected = (!is_junk).then(|| pairs.join(":"));
        for text in [pairs.join(":"), pairs.join("-"), pairs.concat(), groups.join(".")] {
            prop_assert_eq!(parse_mac(&text), expected.clone());
            prop_assert_eq!(parse_mac(&text.to_uppercase()), expected.clone());
        }
    }

    #[test]
    fn does_not_depend_on_the_order_of_keys(query in near_query()) {
        let mut reversed: Vec<&str> = query.split('&').collect();
        reversed.reverse();
        let forward = Labels::parse(&query, &no_labels());
        let backward = Labels::parse(&reversed.join("&"), &no_labels());
        match (forward, backward) {
            (Ok(forward), Ok(backward)) => {
                let without_mac = |labels: &Labels| -> Vec<(String, String)> {
                    let pairs = labels.iter().filter(|(key, _)| *key != "mac");
                    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
                };
                prop_assert_eq!(without_mac(&forward), without_mac(&backward));
                let sorted = |labels: &Labels| -> Vec<String> {
                    let mut macs: Vec<String> = labels.macs().map(str::to_owned).collect();
                    macs.sort();
                    macs
                };
                prop_assert_eq!(sorted(&forward), sorted(&backward));
            }
            (forward, backward) => prop_assert!(forward.is_err() && backward.is_err()),
        }
    }
}
