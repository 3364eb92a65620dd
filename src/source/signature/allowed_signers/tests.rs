use super::*;
use proptest::prelude::*;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
const OTHER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqtj";

fn parse(text: &str) -> Result<AllowedSigners, String> {
    AllowedSigners::parse_in(text.as_bytes(), &TimeZone::UTC).map_err(|error| error.to_string())
}

fn key() -> KeyData {
    PublicKey::from_openssh(KEY).unwrap().key_data().clone()
}

/// Who signs with [`KEY`] at this time.
fn principal(text: &str, time: i64) -> Result<String, String> {
    let signers = parse(text)?;
    assert!(signers.lists(&key()));
    signers
        .principal(&key(), time)
        .map_err(|error| error.to_string())
}

#[test]
fn the_first_principal_of_the_line_is_named() {
    let cases = [
        (format!("ann {KEY}"), "ann"),
        (format!("# ann\n\n \t\n  ann\t{KEY} a comment\r\n"), "ann"),
        (format!("ann,cem {KEY}"), "ann"),
        (format!("!eve,ann {KEY}"), "ann"),
        (format!("*@example.com {KEY}"), "*@example.com"),
        (format!("\"ann example\" {KEY}"), "ann example"),
        (format!("ann namespaces=\"git\" {KEY}"), "ann"),
        (format!("ann namespaces=\"file\" {KEY}\ncem {KEY}"), "cem"),
        (format!("ann NAMESPACES=\"g*,file\" {KEY}"), "ann"),
    ];
    for (text, expected) in cases {
        assert_eq!(principal(&text, 0).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_key_is_valid_between_its_times() {
    let day = 1_704_067_200; // 2024-01-01 in UTC
    let not_yet = "the key that signed the commit was not valid yet at its committer time: line 1, `a`, `valid-after`";
    let expired = "the key that signed the commit was not valid any more at its committer time: line 1, `a`, `valid-before`";
    let cases = [
        ("valid-after=\"20240101\"", day, Ok(())),
        ("valid-after=\"20240101\"", day - 1, Err(not_yet)),
        ("valid-before=\"20240101Z\"", day, Ok(())),
        ("valid-before=\"20240101Z\"", day + 1, Err(expired)),
        ("valid-before=\"202401010001utc\"", day + 60, Ok(())),
        ("valid-before=\"20240101000001z\"", day + 2, Err(expired)),
        (
            "valid-after=\"20240101\",valid-before=\"20240102\"",
            day + 86_401,
            Err(expired),
        ),
    ];
    for (options, time, expected) in cases {
        let found = principal(&format!("a {options} {KEY}"), time);
        assert_eq!(
            found.as_ref().map(drop).map_err(String::as_str),
            expected,
            "{options} at {time}"
        );
    }
}

#[test]
fn a_time_without_a_zone_is_local() {
    let zone = TimeZone::fixed(jiff::tz::offset(2));
    let text = format!("a valid-after=\"2024010102\" {KEY}");
    assert!(AllowedSigners::parse_in(text.as_bytes(), &zone).is_err());
    let text = format!("a valid-after=\"202401010200\" {KEY}");
    let signers = AllowedSigners::parse_in(text.as_bytes(), &zone).unwrap();
    assert!(signers.principal(&key(), 1_704_067_200).is_ok());
    assert!(signers.principal(&key(), 1_704_067_199).is_err());
}

/// Lists with one wrong line, and what is said of it.
const WRONG: &[(&str, &str)] = &[
    ("ann", "line 1: there is no key after the principals"),
    (
        "\"ann",
        "line 1: the quote before the principals is not closed",
    ),
    (
        "a\"b\" ssh-ed25519 A",
        "line 1: a quote stands inside the principals; quote them as a whole",
    ),
    ("!ann ssh-ed25519 A", "line 1: no principal is allowed here"),
    (
        "ann ssh-ed25519 AAAA",
        "line 1: the `ssh-ed25519` key is damaged",
    ),
    (
        "ann ssh-ed25519",
        "line 1: the `ssh-ed25519` key is damaged",
    ),
    (
        "ann ssh-dss AAAA",
        "line 1: keys of the type `ssh-dss` are not supported",
    ),
    (
        "ann ssh-ed25519-cert-v01@openssh.com A",
        "line 1: keys of the type `ssh-ed25519-cert-v01@openssh.com` are not supported",
    ),
    (
        "ann cert-authority K",
        "line 1: `cert-authority` is not supported: list the keys that sign, not the one that certifies them",
    ),
    ("ann foo K", "line 1: the option `foo` is not known"),
    (
        "ann namespaces=\"git K",
        "line 1: a quote in the options is not closed",
    ),
    (
        "ann namespaces=\"git\"",
        "line 1: there is no key after the options",
    ),
    (
        "ann namespaces=git K",
        "line 1: the value of the option `namespaces` must stand in quotes",
    ),
    (
        "ann namespaces K",
        "line 1: the option `namespaces` has no value",
    ),
    (
        "ann namespaces=\"a\",namespaces=\"b\" K",
        "line 1: the option `namespaces` stands here twice",
    ),
    (
        "ann namespaces=\"a\"x K",
        "line 1: a comma must follow the option `namespaces`",
    ),
    (
        "ann namespaces=\"a\", K",
        "line 1: the option `` is not known",
    ),
    (
        "ann valid-after=\"20240102\",valid-before=\"20240101\" K",
        "line 1: `valid-before` is not later than `valid-after`",
    ),
    (
        "ann valid-after=\"20241301\" K",
        "line 1: `valid-after` is no time: `20241301`; write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with a Z for UTC",
    ),
    (
        "# one\n\nann namespaces=\"git\" K",
        "line 3: `K` stands where the type of a key is expected",
    ),
];

#[test]
fn a_wrong_line_is_named() {
    for (text, expected) in WRONG {
        assert_eq!(parse(text).unwrap_err(), *expected, "{text}");
    }
    let text = format!("ann {KEY}\n{KEY}");
    assert_eq!(
        parse(&text).unwrap_err(),
        "line 2: the line starts with a key; the principals whose key it is come first"
    );
}

#[test]
fn an_empty_list_allows_nobody() {
    let signers = parse("# nobody\n").unwrap();
    assert!(!signers.lists(&key()));
    let signers = parse(&format!("ann {OTHER}")).unwrap();
    assert!(!signers.lists(&key()));
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in ".*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_line_is_too_much(
        words in proptest::collection::vec(
            prop_oneof![
                "[a-z\"\\\\=,!* \t]{0,6}",
                Just("namespaces=\"git\"".to_owned()),
                Just("valid-after=\"20240101\"".to_owned()),
                "valid-before=\"[0-9]{6,15}Z?\"",
                Just(KEY.to_owned()),
            ],
            0..6,
        ),
        between in "[ ,\n]",
    ) {
        let _ = parse(&words.join(&between));
    }

    #[test]
    fn no_byte_is_too_much(bytes: Vec<u8>) {
        let _ = AllowedSigners::parse_in(&bytes, &TimeZone::UTC);
    }
}
