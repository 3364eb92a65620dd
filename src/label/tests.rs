//! Every rule of queries as a table of exact answers.

use super::*;

fn no_labels() -> FixedLabels {
    FixedLabels::default()
}

fn fixed(entries: &[&str]) -> Result<FixedLabels, String> {
    let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
    FixedLabels::parse(&entries)
}

/// The labels as a query that shows every MAC, `!` behind what `--label` set.
fn show(labels: &Labels) -> String {
    let show = |entry: &Sent| {
        let mark = if entry.fixed { "!" } else { "" };
        format!("{}={}{mark}", entry.key, entry.value(&labels.text))
    };
    let shown: Vec<String> = labels.entries.iter().map(show).collect();
    shown.join("&")
}

#[track_caller]
fn check(query: &str, expected: &str) {
    let labels = Labels::parse(query, &no_labels()).unwrap();
    assert_eq!(show(&labels), expected, "query {query:?}");
}

const UUID: &str = "c4a94672-05a1-4eda-a186-b4aa4544b146";

#[test]
fn splits_at_ampersands_and_the_first_equals_sign() {
    for (query, expected) in [
        ("", ""),
        ("&&", ""),
        ("=", ""),
        ("=x", ""),
        ("site", ""),
        ("site=", ""),
        ("site=a", "site=a"),
        ("site=a=b=c", "site=a=b=c"),
        ("&site=a&&rack=1&", "rack=1&site=a"),
        ("site=a;rack=1", "site=a;rack=1"),
        ("site=a?b#c", "site=a?b#c"),
    ] {
        check(query, expected);
    }
}

#[test]
fn decodes_percent_escapes_by_our_own_rules() {
    for (query, expected) in [
        ("site=a%20b", "site=a b"),
        ("site=a+b", "site=a+b"),
        ("site=a%2Bb", "site=a+b"),
        ("site=a%2bb", "site=a+b"),
        ("site=a%26b%3Dc", "site=a&b=c"),
        ("s%69te=a", "site=a"),
        ("site=100%", "site=100%"),
        ("site=%", "site=%"),
        ("site=%4", "site=%4"),
        ("site=%zz", "site=%zz"),
        ("site=%%41", "site=%A"),
        ("site=%2541", "site=%41"),
        ("site=%C3%9C", "site=Ü"),
        ("site=Ü", "site=Ü"),
        ("site=%FFFFFFC3%FFFFFF9C", "site=Ü"),
        ("site=%FFFFFFFFFFFFC3%FFFFFFFFFFFF9C", "site=Ü"),
        ("site=%FFFFFFFFFFFFC3%FFFFFF9Cx", "site=Üx"),
        ("site=%FFFFFF41", ""),
        ("site=%FFFFFFC", ""),
        ("site=%C3", ""),
        ("site=%C3x", ""),
        ("site=%FF", ""),
    ] {
        check(query, expected);
    }
}

#[test]
fn reads_hex_values() {
    for (query, expected) in [
        ("serial.hex=534e3432", "serial=SN42"),
        ("serial.hex=534E3432", "serial=SN42"),
        ("SERIAL.HEX=534e3432", "serial=SN42"),
        ("serialNumber.hex=534e3432", "serial=SN42"),
        ("serial%2Ehex=%3534e3432", "serial=SN42"),
        ("serial.hex=41264220", "serial=A&B"),
        ("serial.hex=534e00", "serial=SN"),
        ("serial.hex=c39c", "serial=Ü"),
        ("serial.hex=c3", ""),
        ("serial.hex=", ""),
        ("serial.hex=5", ""),
        ("serial.hex=534", ""),
        ("serial.hex=zz", ""),
        ("serial.hex=53%204e", ""),
        ("serial.hex=53:4e", ""),
        ("serial.hex=+5", ""),
        ("serial.hex=4e2f41", ""),
        (".hex=41", ""),
        ("hex=41", "hex=41"),
        ("site.hex.hex=41", "site.hex=A"),
        ("mac.hex=35323534303061626364656 6", ""),
        ("mac.hex=353235343030616263646566", "mac=52:54:00:ab:cd:ef"),
        ("buildarch.hex=616d643634", "buildarch=x86_64"),
    ] {
        check(query, expected);
    }
}

#[test]
fn cuts_trailing_nuls_and_blanks_around() {
    for (query, expected) in [
        ("site=%20%09a%20%09", "site=a"),
        ("site=a%00", "site=a"),
        ("site=a%00%20%00%09%00", "site=a"),
        ("site=a%20b", "site=a b"),
        ("site=%00", ""),
        ("site=%20%09%00", ""),
        ("site=%00a", ""),
        ("site=a%00b", ""),
        ("site=a%09b", ""),
        ("site=a%0A", ""),
        ("site=a%0D%0Ab", ""),
        ("site=a%7F", ""),
        ("site=a%C2%85b", ""),
        ("site=%C2%A0a", "site=\u{a0}a"),
        ("site=a%E2%80%A8", "site=a\u{2028}"),
    ] {
        check(query, expected);
    }
}

#[test]
fn leaves_out_values_over_256_bytes() {
    let longest = "x".repeat(256);
    check(&format!("site={longest}"), &format!("site={longest}"));
    check(
        &format!("site=%20{longest}%20%00"),
        &format!("site={longest}"),
    );
    check(&format!("site={longest}x"), "");
    check(&format!("site={}", "%C3%9C".repeat(129)), "");
    check(&format!("serial.hex={}", "41".repeat(257)), "");
}

#[test]
fn leaves_out_keys_that_are_none() {
    let longest = "k".repeat(64);
    check(&format!("{longest}=a"), &format!("{longest}=a"));
    check(&format!("{longest}.hex=41"), &format!("{longest}=A"));
    check(&format!("{longest}k=a"), "");
    check("%C3=a", "");
    check("a%00=a", "");
    check("a%0Ab=a", "");
    check("a%C2%85=a", "");
    check("%C3%9C=a", "ü=a");
    check("a%20b=a", "a b=a");
    // One machine's odd parameter does not take the others with it.
    check("%00=a&site=b", "site=b");
}

#[test]
fn knows_the_aliases_of_keys() {
    for (canonical, spellings) in [
        ("uuid", &["uuid", "UUID", "uuids", "uuidList"][..]),
        (
            "serial",
            &["Serial", "serials", "serialNumber", "serialNumbers"],
        ),
        ("mac", &["MAC", "macs", "macAddress", "macAddresses"]),
        ("asset", &["asset", "Asset"]),
        ("buildarch", &["buildarch", "buildArch", "arch"]),
        ("assets", &["assets"]),
        ("machine", &["machine"]),
        ("net0/mac", &["net0/MAC"]),
        ("ü", &["Ü"]),
    ] {
        for spelling in spellings {
            assert_eq!(canonical_key(spelling).as_deref(), Some(canonical));
        }
    }
    for none in ["", "a\nb", "\u{85}", &"k".repeat(65)] {
        assert_eq!(canonical_key(none), None, "key {none:?}");
    }
}

#[test]
fn writes_every_mac_alike() {
    let good = [
        ("52:54:00:ab:cd:ef", "52:54:00:ab:cd:ef"),
        ("52-54-00-AB-CD-EF", "52:54:00:ab:cd:ef"),
        ("5254.00AB.cdef", "52:54:00:ab:cd:ef"),
        ("525400ABCDEF", "52:54:00:ab:cd:ef"),
        (" 525400abcdef\t", "52:54:00:ab:cd:ef"),
        ("0011223344556677", "00:11:22:33:44:55:66:77"),
        ("00-11-22-33-44-55-66-77", "00:11:22:33:44:55:66:77"),
        ("0011.2233.4455.6677", "00:11:22:33:44:55:66:77"),
        (
            "80000208FE800000000000000002C90300A1B2C3",
            "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:a1:b2:c3",
        ),
        (
            "8000.0208.fe80.0000.0000.0000.0002.c903.00a1.b2c3",
            "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:a1:b2:c3",
        ),
    ];
    for (text, expected) in good {
        assert_eq!(parse_mac(text).as_deref(), Some(expected), "MAC {text:?}");
    }
    for text in [
        "",
        "52",
        "52:54:00:ab:cd",
        "52:54:00:ab:cd:e",
        "52:54:00:ab:cd:ef:",
        ":52:54:00:ab:cd:ef",
        "52:54:00:ab:cd:ef:01",
        "52:54:00:ab-cd-ef",
        "52-54-00:ab:cd:ef",
        "5254:00ab:cdef",
        "5254-00ab-cdef",
        "5254.00ab:cdef",
        "5254.00ab.cdef.",
        "52.54.00.ab.cd.ef",
        "52 54 00 ab cd ef",
        "525400abcde",
        "525400abcdeg",
        "525400abcdefa",
        "5254000abcdef0",
        "2:54:0:ab:cd:ef",
        "525400:abcdef",
        "80000208fe800000000000000002c90300a1b2c3:",
        "80000208fe800000000000000002c90300a1b2c3d4",
        "ＡＢ:54:00:ab:cd:ef",
    ] {
        assert_eq!(parse_mac(text), None, "MAC {text:?}");
        check(&format!("mac={text}&site=a"), "site=a");
    }
    assert_eq!(normalise("mac", "52:54"), Err(Rejection::MalformedMac));
}

#[test]
fn writes_every_uuid_alike() {
    for text in [
        UUID,
        "C4A94672-05A1-4EDA-A186-B4AA4544B146",
        "c4a9467205a14edaa186b4aa4544b146",
        "{c4a94672-05a1-4eda-a186-b4aa4544b146}",
        "{c4a9467205a14edaa186b4aa4544b146}",
        "urn:uuid:c4a94672-05a1-4eda-a186-b4aa4544b146",
        "URN:UUID:C4A94672-05A1-4EDA-A186-B4AA4544B146",
    ] {
        assert_eq!(normalise("uuid", text).as_deref(), Ok(UUID));
        check(&format!("uuid={text}"), &format!("uuid={UUID}"));
    }
    for text in [
        "c4a94672",
        "c4a94672-05a1-4eda-a186-b4aa4544b14",
        "c4a94672-05a1-4eda-a186-b4aa4544b1466",
        "c4a94672-05a1-4edaa186-b4aa4544b146",
        "c4a9467205a14edaa186b4aa4544b1466",
        "c4a94672-05a14edaa186b4aa4544b146",
        "{c4a94672-05a1-4eda-a186-b4aa4544b146",
        "c4a94672-05a1-4eda-a186-b4aa4544b146}",
        "urn:c4a94672-05a1-4eda-a186-b4aa4544b146",
        "g4a94672-05a1-4eda-a186-b4aa4544b146",
        "--------------------------------",
        "é4a94672-05a1-4eda-a186-b4aa4544b146",
    ] {
        let answer = normalise("uuid", text);
        assert_eq!(answer, Err(Rejection::MalformedUuid), "UUID {text:?}");
        check(&format!("uuid={text}"), "");
    }
}

#[test]
fn leaves_out_junk_identities_only() {
    let junk = [
        ("uuid", "00000000-0000-0000-0000-000000000000"),
        ("uuid", "{FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF}"),
        ("uuid", "03000200040005000006000700080009"),
        ("mac", "00:00:00:00:00:00"),
        ("mac", "ff-ff-ff-ff-ff-ff"),
        ("mac", "0000000000000000"),
        ("mac", "ffffffffffffffffffffffffffffffffffffffff"),
        ("serial", "To be filled by O.E.M."),
        ("serial", "TO BE FILLED BY O.E.M."),
        ("serial", " default string "),
        ("serial", "System Serial Number"),
        ("serial", "Chassis Serial Number"),
        ("serial", "Not Specified"),
        ("serial", "Not Applicable"),
        ("asset", "No Asset Tag"),
        ("asset", "None"),
        ("asset", "n/a"),
        ("asset", "Unknown"),
        ("asset", "invalid"),
        ("asset", "0"),
        ("asset", "0123456789"),
        ("asset", "123456789\0"),
        ("uuid", "None"),
    ];
    for (key, value) in junk {
        assert_eq!(normalise(key, value), Err(Rejection::Junk), "{key} {value}");
        let trimmed = value.trim_matches([' ', '\0']);
        assert_eq!(normalise("product", value).as_deref(), Ok(trimmed));
        check(&format!("{key}={value}"), "");
    }
    for serial in ["00", "1234567890", "To be filled by O.E.M", "Default"] {
        assert_eq!(normalise("serial", serial).as_deref(), Ok(serial));
    }
}

#[test]
fn aliases_architectures_in_their_exact_spelling() {
    for (value, expected) in [
        ("aarch64", "arm64"),
        ("amd64", "x86_64"),
        ("AMD64", "AMD64"),
        ("x86_64", "x86_64"),
        ("sparc", "sparc"),
    ] {
        assert_eq!(normalise("buildarch", value).as_deref(), Ok(expected));
        check(&format!("arch={value}"), &format!("buildarch={expected}"));
    }
    assert_eq!(normalise("site", "amd64").as_deref(), Ok("amd64"));
    for known in "i386 x86_64 arm32 arm64 riscv32 riscv64 loong64".split(' ') {
        assert!(is_buildarch(known), "{known} is one");
    }
    for unknown in ["", "amd64", "aarch64", "X86_64"] {
        assert!(!is_buildarch(unknown), "{unknown} is none");
    }
}

#[test]
fn names_what_is_wrong_with_a_value() {
    for (key, value, expected) in [
        ("site", "", Rejection::Empty),
        ("site", " \t\0 ", Rejection::Empty),
        ("site", "a\nb", Rejection::Control),
        ("site", "\0a", Rejection::Control),
        ("mac", "nonsense", Rejection::MalformedMac),
        ("uuid", "nonsense", Rejection::MalformedUuid),
    ] {
        assert_eq!(normalise(key, value), Err(expected), "{key}={value:?}");
    }
    let long = "x".repeat(257);
    assert_eq!(normalise("serial", &long), Err(Rejection::TooLong));
}

#[test]
fn keeps_every_distinct_mac_in_order() {
    let query = "mac=52:54:00:00:00:09&net0=x&mac=52-54-00-00-00-01&MAC=525400000009\
                 &macs=none&mac=&mac=52:54:00:00:00:05";
    let labels = Labels::parse(query, &no_labels()).unwrap();
    let macs = [
        "52:54:00:00:00:09",
        "52:54:00:00:00:01",
        "52:54:00:00:00:05",
    ];
    assert_eq!(labels.macs().len(), 3);
    assert!(labels.macs().eq(macs));
    assert_eq!(labels.get("mac"), Some("52:54:00:00:00:09"));
    let pairs = [("mac", "52:54:00:00:00:09"), ("net0", "x")];
    assert!(labels.iter().eq(pairs));
    let none = Labels::parse("a=1&z=2", &no_labels()).unwrap();
    assert_eq!(none.macs().len(), 0);
}

#[test]
fn refuses_a_key_repeated_with_different_values() {
    for (query, key) in [
        ("site=a&site=b", "site"),
        ("serial=a&serialNumber=A", "serial"),
        ("serial=A&serial.hex=42", "serial"),
        (
            "uuid=c4a94672-05a1-4eda-a186-b4aa4544b146&uuid=47c6da67-7477-4970-aa03-84e48ff4f6ad",
            "uuid",
        ),
    ] {
        let answer = Labels::parse(query, &no_labels());
        assert_eq!(answer, Err(LabelError::Repeated(key.to_owned())));
    }
    for (query, expected) in [
        ("site=a&site=a", "site=a"),
        ("site=a&Site=a%20", "site=a"),
        ("serial=A&serial.hex=41", "serial=A"),
        ("arch=amd64&buildarch=x86_64", "buildarch=x86_64"),
        ("serial=A&serial=None&serial=", "serial=A"),
        ("site=a&site=%00b", "site=a"),
    ] {
        check(query, expected);
    }
    let message = LabelError::Repeated("site".to_owned()).to_string();
    assert_eq!(message, "label `site` is repeated with different values");
}

#[test]
fn refuses_more_than_64_labels() {
    let labels = |count: usize| -> Vec<String> { (0..count).map(|n| format!("k{n}=v")).collect() };
    let macs = |count: usize| -> Vec<String> {
        (0..count)
            .map(|n| format!("mac=5254000000{n:02x}"))
            .collect()
    };
    let count = |parameters: &[String], fixed: &FixedLabels| {
        Labels::parse(&parameters.join("&"), fixed).map(|labels| labels.entries.len())
    };
    let absent: Vec<String> = (0..99).map(|n| format!("a{n}=&mac=x&b{n}=%00")).collect();
    let fixed = fixed(&["site=a", "rack=1"]).unwrap();
    assert_eq!(count(&labels(64), &no_labels()), Ok(64));
    assert_eq!(count(&labels(65), &no_labels()), Err(LabelError::TooMany));
    assert_eq!(count(&macs(65), &no_labels()), Err(LabelError::TooMany));
    let mixed = [labels(32), macs(32)].concat();
    assert_eq!(count(&mixed, &no_labels()), Ok(64));
    let repeated = [mixed.clone(), mixed.clone(), absent].concat();
    assert_eq!(count(&repeated, &no_labels()), Ok(64));
    assert_eq!(count(&mixed, &fixed), Ok(66));
    let overridden = [mixed, vec!["site=b".to_owned()]].concat();
    assert_eq!(count(&overridden, &fixed), Ok(66));
    assert_eq!(
        LabelError::TooMany.to_string(),
        format!("more than {MAX_LABELS} labels")
    );
}

#[test]
fn takes_the_mac_of_the_path_alone() {
    let parse = |query: &str| Labels::parse_with_mac(query, "52:54:00:00:00:01", &no_labels());
    let labels = parse("mac=52:54:00:00:00:02&site=a&macAddress=525400000003").unwrap();
    assert_eq!(show(&labels), "mac=52:54:00:00:00:01&site=a");
    assert_eq!(show(&parse("").unwrap()), "mac=52:54:00:00:00:01");
    let query = |count: usize| -> String {
        let parameters: Vec<String> = (0..count).map(|n| format!("k{n}=v")).collect();
        parameters.join("&")
    };
    assert!(parse(&query(63)).is_ok());
    assert_eq!(parse(&query(64)), Err(LabelError::TooMany));
}

#[test]
fn lets_fixed_labels_replace_what_the_machine_says() {
    let fixed = fixed(&["Site= lab ", "arch=amd64", "rack.hex=31"]).unwrap();
    let query = "site=a&site=b&buildarch=arm64&arch=i386&serial=S1&zone=z";
    let labels = Labels::parse(query, &fixed).unwrap();
    let expected = "buildarch=x86_64!&rack=1!&serial=S1&site=lab!&zone=z";
    assert_eq!(show(&labels), expected);
    assert_eq!(labels.get("site"), Some("lab"));
    assert_eq!(labels.get("none"), None);
    for (key, is_fixed) in [("site", true), ("serial", false), ("none", false)] {
        assert_eq!(labels.is_fixed(key), is_fixed, "{key}");
    }
    let with_mac = Labels::parse_with_mac("site=a", "52:54:00:00:00:01", &fixed).unwrap();
    let expected = "buildarch=x86_64!&mac=52:54:00:00:00:01&rack=1!&site=lab!";
    assert_eq!(show(&with_mac), expected);
}

#[test]
fn says_why_a_fixed_label_is_refused() {
    for (entries, expected) in [
        (
            &["site"][..],
            "`--label site`: an entry is written `key=value`",
        ),
        (&["site="], "`--label site=`: the label is empty"),
        (&["site= \t"], "`--label site= \\t`: the label is empty"),
        (
            &["site=a\nb"],
            "`--label site=a\\nb`: the label holds control characters",
        ),
        (
            &["=a"],
            "`--label =a`: the label has a key that is empty, over 64 bytes long or not printable",
        ),
        (
            &["a=1", "site=x", "Site=y"],
            "`--label Site=y`: `site` is given before with another value",
        ),
        (
            &["site.hex=4"],
            "`--label site.hex=4`: the label is not an even number of hex digits",
        ),
        (
            &["serialNumber=a"],
            "`--label serialNumber=a`: `uuid`, `serial`, `mac` and `asset` say who a machine is, so they cannot be the same for all",
        ),
        (
            &["mac="],
            "`--label mac=`: `uuid`, `serial`, `mac` and `asset` say who a machine is, so they cannot be the same for all",
        ),
    ] {
        assert_eq!(fixed(entries), Err(expected.to_owned()));
    }
    assert_eq!(fixed(&["site=a", "SITE=a "]), fixed(&["site=a"]));
    assert_eq!(fixed(&[]), Ok(no_labels()));
}

#[test]
fn reports_what_a_command_line_loses() {
    let pairs = [
        ("mac", "52-54-00-00-00-01"),
        ("MAC", "nonsense"),
        ("serial", "None"),
        ("serial.hex", "5"),
        ("asset.hex", "c3"),
        ("site", " a+b%20c "),
        ("hostname", ""),
        ("", "x"),
    ];
    let (labels, dropped) = Labels::from_pairs(pairs, &no_labels()).unwrap();
    assert_eq!(show(&labels), "mac=52:54:00:00:00:01&site=a+b%20c");
    let dropped: Vec<_> = dropped.iter().map(|d| (d.key.as_str(), d.reason)).collect();
    let expected = [
        ("MAC", DropReason::Value(Rejection::MalformedMac)),
        ("serial", DropReason::Value(Rejection::Junk)),
        ("serial.hex", DropReason::MalformedHex),
        ("asset.hex", DropReason::NotUtf8),
        ("hostname", DropReason::Value(Rejection::Empty)),
        ("", DropReason::BadKey),
    ];
    assert_eq!(dropped, expected);
    let repeated = Labels::from_pairs([("a", "1"), ("a", "2")], &no_labels());
    assert_eq!(repeated, Err(LabelError::Repeated("a".to_owned())));
}

#[test]
fn knows_the_identity_keys() {
    let keys: Vec<String> = Identity::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["uuid", "serial", "mac", "asset"]);
    for identity in Identity::ALL {
        assert_eq!(Identity::from_key(identity.key()), Some(identity));
    }
    assert_eq!(Identity::from_key("macs"), None);
    assert!(Identity::Uuid < Identity::Serial);
}

#[test]
fn writes_queries_as_config_urls_carry_them() {
    for (pairs, expected) in [
        (&[][..], ""),
        (&[("site", "a-b.c_d~e:9")], "site=a-b.c_d~e:9"),
        (&[("a", "1"), ("b", "2 3")], "a=1&b.hex=322033"),
        (&[("serial", "A&B=C+D")], "serial.hex=4126423d432b44"),
        (&[("a", "Ü"), ("b", "/")], "a.hex=c39c&b.hex=2f"),
        (&[("net0/mac", "x")], "net0%2Fmac=x"),
        (&[("a b&ü", "x")], "a%20b%26%C3%BC=x"),
        (&[("site.hex", "a")], "site.hex.hex=61"),
    ] {
        let mut query = String::new();
        encode_query(pairs.iter().copied(), &mut query);
        assert_eq!(query, expected);
    }
    let mut url = "http://host/config/x?".to_owned();
    encode_query([("a", "1")].into_iter(), &mut url);
    assert_eq!(url, "http://host/config/x?a=1");
}

#[test]
fn is_shared_between_threads() {
    fn check<T: Send + Sync + Clone>() {}
    check::<Labels>();
    check::<FixedLabels>();
}
