//! Whatever stands in a file: no panic, an end, and every place that is told exists.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gitboot::compile::{Options, compile};
use gitboot::diagnostic::Diagnostics;
use gitboot::manifest::parse;
use gitboot::snapshot::Snapshot;
use gitboot::tree::{Entry, RepoPath, Revision, Tree};
use proptest::prelude::*;

/// Far more than any of these small files takes, on a busy machine too.
const SOON: Duration = Duration::from_secs(10);

fn tree(files: &BTreeMap<&str, Vec<u8>>) -> Tree {
    let entries = files.iter().map(|(path, bytes)| {
        let path = RepoPath::parse(path).unwrap();
        (path, Entry::File(bytes.clone().into()))
    });
    Tree::new(
        Revision::new("0123456789abcdef0123456789abcdef01234567"),
        entries.collect(),
    )
}

/// Compiles, and checks what holds for every tree.
fn check(
    files: &BTreeMap<&str, Vec<u8>>,
) -> Result<(Option<Snapshot>, Diagnostics), TestCaseError> {
    let tree = tree(files);
    let options = Options::default();
    let start = Instant::now();
    let manifests = parse(&tree, options.budget);
    let (snapshot, diagnostics) = compile(&tree, &manifests, &options);
    prop_assert!(start.elapsed() < SOON);
    prop_assert_eq!(snapshot.is_some(), diagnostics.error_count() == 0);
    prop_assert!(!diagnostics.render_human().is_empty() || diagnostics.is_empty());
    let json: serde_json::Value = serde_json::from_str(&diagnostics.render_json()).unwrap();
    prop_assert!(json.is_object() || json.is_array());
    for one in diagnostics.iter() {
        let Some(location) = one.location() else {
            continue;
        };
        let bytes = files.get(location.path.as_str()).unwrap();
        let text = String::from_utf8_lossy(bytes);
        // Everything that ends a line for a YAML reader, and what does so anywhere else.
        let breaks: &[char] = if location.path.is_yaml() {
            &['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']
        } else {
            &['\n']
        };
        let joined = text.replace("\r\n", "\n");
        let lines: Vec<&str> = joined.split(breaks).collect();
        prop_assert!(
            location.line >= 1 && location.line <= lines.len(),
            "{}",
            one
        );
        let longest = lines.iter().map(|line| line.chars().count()).max().unwrap();
        prop_assert!(
            location.column >= 1 && location.column <= longest + 1,
            "{}",
            one
        );
        prop_assert!(!location.excerpt.contains('\n'));
    }
    Ok((snapshot, diagnostics))
}

/// A bit of everything that a manifest may hold.
const VALID: &str = "\
# A comment
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata:
  name: flatcar
  labels: {os: flatcar, assignment/ipxe-buildarch: x86_64}
  annotations: {a: b}
spec:
  ipxe: |
    #!ipxe
    kernel {{ values.mirror }}/vmlinuz x={{ ignition }} s={{ config_dir }}
    boot
  additionalConfig:
    ignition: {file: body.txt, template: false}
    motd: \"hello {{ labels.serial|yaml }}\\n\"
    user-data:
      inline: |
        #cloud-config
        hostname: {{ values.deep.name }}
      contentType: text/cloud-config
  additionalContent:
    - {name: hidden, exposed: false, inline: text}
  values: &values
    mirror: http://mirror.example
    deep: {name: x, list: [1, 2.5, null, true]}
  valuesFrom:
    - file: /values.yaml
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: named}
spec:
  profile: flatcar
  subjectSelectors:
    site: [lab, prod]
    buildarch: amd64
  machines:
    - name: one
      mac: [\"52:54:00:00:00:01\", 52-54-00-00-00-02]
      values: {<<: {a: 1}, ip: 192.0.2.1}
    - {uuid: 47c6da67-7477-4970-aa03-84e48ff4f6ad, serial: SN1}
  priority: -5
---
apiVersion: v1
kind: List
metadata: {resourceVersion: ''}
items:
  - apiVersion: gitboot.dev/v1alpha1
    kind: Assignment
    metadata: {name: rest, uid: x}
    spec: {profileSelectors: {os: flatcar}, isDefault: true}
    status: {}
";

fn with_manifest(bytes: Vec<u8>) -> BTreeMap<&'static str, Vec<u8>> {
    BTreeMap::from([
        ("a.yaml", bytes),
        ("body.txt", b"{\"x\": 1}".to_vec()),
        ("values.yaml", b"deep: {other: 1}\n".to_vec()),
    ])
}

#[test]
fn the_manifest_that_is_mutated_below_is_good() {
    let (snapshot, diagnostics) = check(&with_manifest(VALID.into())).unwrap();
    let codes: Vec<_> = diagnostics
        .iter()
        .map(gitboot::diagnostic::Diagnostic::code)
        .collect();
    assert!(snapshot.is_some());
    assert_eq!(codes, ["incomplete-seed"]);
}

/// Texts behind which the YAML reader gives out the rest of a document as another one, or a place that is in no file.
#[test]
fn texts_that_the_parser_gives_up_twice() {
    for text in [
        "{a: {{ x }}, b: *a}",
        "{a: {{ x }}, b: *a}\n---\nc: d\n",
        "{a: !t x, b: *a}\n",
        "a: !t [x\n",
        "? [a]\n: [b\n---\nc: d\n",
        "[{{ x }}, [*a, b], {c: *a}]\n",
        "a: b\nc",
        "a: \"b",
        "a: b\u{2028}c: 012\r\u{85}d",
    ] {
        let (snapshot, diagnostics) = check(&with_manifest(text.into())).unwrap();
        assert!(snapshot.is_none(), "{text:?}");
        assert!(diagnostics.error_count() > 0);
        let ours = format!(
            "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: x}}\nspec: {{}}\n---\n{text}"
        );
        assert!(
            check(&with_manifest(ours.into())).unwrap().0.is_none(),
            "{text:?}"
        );
    }
}

/// One slip of the hand.
#[derive(Clone, Debug)]
enum Slip {
    Delete(usize),
    Duplicate(usize),
    Swap(usize, usize),
    Indent(usize),
    Insert(usize, String),
    Byte(usize, u8),
    Cut(usize),
}

impl Slip {
    fn strategy() -> impl Strategy<Value = Self> {
        let text = prop_oneof![
            Just("\u{feff}".to_owned()),
            Just("\r".to_owned()),
            Just("\u{2028}".to_owned()),
            Just("\u{85}x: y".to_owned()),
            Just("---".to_owned()),
            Just("...".to_owned()),
            Just("  x: !tag y".to_owned()),
            Just("  <<: 5".to_owned()),
            Just("  ? [a]\n  : b".to_owned()),
            Just("*values".to_owned()),
            Just("  z: *values".to_owned()),
            Just("\t".to_owned()),
            "[ \\-:{}\\[\\],&*#?|>%@`\"'a0\\.~!]{1,8}",
        ];
        prop_oneof![
            any::<usize>().prop_map(Self::Delete),
            any::<usize>().prop_map(Self::Duplicate),
            any::<(usize, usize)>().prop_map(|(one, other)| Self::Swap(one, other)),
            any::<usize>().prop_map(Self::Indent),
            (any::<usize>(), text).prop_map(|(at, text)| Self::Insert(at, text)),
            any::<(usize, u8)>().prop_map(|(at, byte)| Self::Byte(at, byte)),
            any::<usize>().prop_map(Self::Cut),
        ]
    }

    fn apply(&self, text: Vec<u8>) -> Vec<u8> {
        if let Self::Byte(at, byte) = self {
            let mut text = text;
            let length = text.len();
            if let Some(old) = text.get_mut(at % length.max(1)) {
                *old = *byte;
            }
            return text;
        }
        if let Self::Cut(at) = self {
            let mut text = text;
            let length = text.len();
            text.truncate(at % (length + 1));
            return text;
        }
        let mut lines: Vec<Vec<u8>> = text
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let count = lines.len();
        match self {
            Self::Delete(at) => {
                lines.remove(at % count);
            }
            Self::Duplicate(at) => lines.insert(at % count, lines[at % count].clone()),
            Self::Swap(one, other) => lines.swap(one % count, other % count),
            Self::Indent(at) => lines[at % count].insert(0, b' '),
            Self::Insert(at, text) => lines.insert(at % count, text.clone().into_bytes()),
            Self::Byte(..) | Self::Cut(_) => unreachable!(),
        }
        lines.join(&b'\n')
    }
}

/// YAML of any shape.
fn shape() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-z]{0,4}",
        Just("~".to_owned()),
        Just("012".to_owned()),
        Just("1.30".to_owned()),
        Just("{{ x }}".to_owned()),
        Just("gitboot.dev/v1alpha1".to_owned()),
        Just("Profile".to_owned()),
        Just("Assignment".to_owned()),
        Just("*a".to_owned()),
        Just("&a x".to_owned()),
        Just("!t x".to_owned()),
        Just("\"\\u00e9\\n\"".to_owned()),
    ];
    let key = prop::sample::select(vec![
        "apiVersion",
        "kind",
        "metadata",
        "name",
        "labels",
        "spec",
        "ipxe",
        "inline",
        "file",
        "additionalConfig",
        "additionalContent",
        "values",
        "valuesFrom",
        "profile",
        "profileSelectors",
        "subjectSelectors",
        "machines",
        "mac",
        "uuid",
        "priority",
        "isDefault",
        "<<",
        "status",
        "a",
        "items",
    ]);
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|entries| {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{key}: {value}"))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&with_manifest(bytes))?;
    }

    #[test]
    fn any_text(text in "(\\PC|[\\-:{}\\[\\], \\n\\r\\t&*#?|>%@`\"'!\u{85}\u{2028}\u{feff}]){0,120}") {
        check(&with_manifest(text.clone().into_bytes()))?;
        let ours = format!("apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: x}}\nspec:\n  values:\n    a: {text}");
        check(&with_manifest(ours.into_bytes()))?;
    }

    #[test]
    fn slips_of_the_hand(slips in prop::collection::vec(Slip::strategy(), 1..5)) {
        let text = slips.iter().fold(VALID.as_bytes().to_vec(), |text, slip| slip.apply(text));
        let (_, diagnostics) = check(&with_manifest(text.clone()))?;
        let (_, again) = check(&with_manifest(text))?;
        prop_assert_eq!(diagnostics, again);
    }

    #[test]
    fn trees_of_any_shape(spec in shape(), whole in shape(), kind in prop::sample::select(vec!["Profile", "Assignment", "List"])) {
        let text = format!("apiVersion: gitboot.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n---\n{whole}\n");
        check(&with_manifest(text.into_bytes()))?;
    }

    /// A template may hold anything too, and so may a file of values.
    #[test]
    fn bodies_and_values_of_any_shape(body in "(\\PC|[{}%#$\\-\\n\\r]){0,80}", values in shape()) {
        let mut files = with_manifest(VALID.replace(", template: false", "").into());
        files.insert("body.txt", body.into_bytes());
        files.insert("values.yaml", values.into_bytes());
        check(&files)?;
    }
}
