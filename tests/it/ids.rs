//! Config ids and URLs: what may change them, what may not, and that a URL fetches exactly what its script meant.

use std::fmt::Write as _;

use gitboot::id::ConfigId;
use gitboot::label::{FixedLabels, Labels};
use gitboot::render::{self, BaseUrl};
use gitboot::snapshot::{Config, Snapshot};
use proptest::prelude::*;

use crate::support::fixture::snapshot;

const BASE: &str = "http://boot.example:8080";

fn labels(query: &str) -> Labels {
    Labels::parse(query, &FixedLabels::default()).unwrap()
}

fn base(url: &str) -> BaseUrl {
    BaseUrl::parse(url).unwrap()
}

fn id(snapshot: &Snapshot, query: &str, name: &str) -> ConfigId {
    let matched = snapshot.find(&labels(query)).unwrap();
    matched.config(name).unwrap().id
}

/// The id of the config `c` in a fixture.
fn id_in(text: &str) -> ConfigId {
    id(&snapshot(text), "serial=SN1", "c")
}

fn script(snapshot: &Snapshot, labels: &Labels, url: &str) -> String {
    let matched = snapshot.find(labels).unwrap();
    let bytes = render::script(&matched, labels, &base(url)).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn body(config: &Config, labels: &Labels) -> String {
    let bytes = render::config(config, labels, &base(BASE)).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A repository with one config, `c`, given in YAML, and whatever stands in the Profile's `spec` besides.
fn with_config(config: &str, spec: &str) -> String {
    format!(
        "//- all.yaml
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {{name: p}}
spec:
  ipxe: |
    #!ipxe
    imgfetch {{{{ configs[\"c\"] }}}}
  additionalConfig:
    c: {config}
{spec}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {{name: a}}
spec: {{profile: p, isDefault: true}}
"
    )
}

#[test]
fn the_same_bytes_have_the_same_id_wherever_they_come_from() {
    let expected = id_in(&with_config("\"hello world\\n\"", ""));
    let profile = |name: &str, config: &str, rest: &str| {
        format!(
            "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: {name}}}\nspec: {{additionalConfig: {{c: {config}}}, {rest}}}\n"
        )
    };
    let assignment = |spec: &str| {
        format!(
            "apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: b}}\nspec: {{{spec}}}\n"
        )
    };
    let default = assignment("profile: q, isDefault: true");
    let others = [
        // Another Profile, another Assignment, in other files and in another order.
        format!(
            "//- a/b.yaml\n{default}//- z.yml\n{}",
            profile("q", "\"hello world\\n\"", "")
        ),
        // From a file, as a template and as it is.
        format!(
            "//- a.yaml\n{default}---\n{}//- c.txt\nhello world\n",
            profile("q", "{file: c.txt}", "")
        ),
        format!(
            "//- x/a.yaml\n{default}---\n{}//- y/d.txt\nhello world\n",
            profile("q", "{file: /y/d.txt}", "")
        ),
        format!(
            "//- a.yaml\n{default}---\n{}//- c.txt\nhello world\n",
            profile("q", "{file: c.txt, template: false}", "")
        ),
        // The type said instead of guessed.
        format!(
            "//- a.yaml\n{default}---\n{}",
            profile(
                "q",
                "{inline: \"hello world\\n\", contentType: text/plain; charset=utf-8}",
                ""
            )
        ),
        // Rendered from values, from an include, and from the text of a config that is not exposed.
        format!(
            "//- a.yaml\n{default}---\n{}",
            profile("q", "\"hello {{ values.who }}\\n\"", "values: {who: world}")
        ),
        format!(
            "//- a.yaml\n{default}---\n{}//- i\nhello world\n",
            profile("q", "\"{% include 'i' %}\"", "")
        ),
        format!(
            "//- a.yaml\n{default}---\n{}",
            profile(
                "q",
                "\"hello {{ w }}\\n\"",
                "additionalContent: [{name: w, inline: world}]"
            )
        ),
        // For a machine among others, with values of its own.
        format!(
            "//- a.yaml\n{}---\n{}",
            assignment(
                "profile: q, machines: [{serial: SN1, values: {who: world}}, {serial: SN2, values: {who: you}}]"
            ),
            profile("q", "\"hello {{ values.who }}\\n\"", "")
        ),
        // Of an older group, where nothing is a template by default.
        format!(
            "//- a.yaml\n{default}---\n{}",
            profile("q", "\"hello world\\n\"", "").replace("gitboot.dev", "shaper.amahdha.com")
        ),
    ];
    for other in others {
        assert_eq!(id_in(&other), expected, "{other}");
    }
}

#[test]
fn other_bytes_or_another_type_have_another_id() {
    let configs = [
        "\"hello\\n\"",
        "\"hello\"",
        "\"hello\\n\\n\"",
        "{inline: \"hello\\n\", contentType: text/plain}",
        "{inline: \"hello\\n\", contentType: text/x-shellscript}",
        "\"{{ base_url }}hello\\n\"",
        "\"hello{{ base_url }}\\n\"",
        "\"{{ base_url|upper }}hello\\n\"",
        "\"{{ labels.serial|yaml }}hello\\n\"",
        "\"{{ labels.serial|sh }}hello\\n\"",
    ];
    let ids: std::collections::BTreeSet<ConfigId> = configs
        .iter()
        .map(|config| id_in(&with_config(config, "")))
        .collect();
    assert_eq!(ids.len(), configs.len());
}

#[test]
fn an_id_is_a_uuid_of_version_8() {
    let text = id_in(&with_config("hello", "")).to_string();
    assert_eq!(text.len(), 36);
    assert_eq!(text.as_bytes()[14], b'8');
    assert!(b"89ab".contains(&text.as_bytes()[19]));
    assert_eq!(text, text.to_lowercase());
}

/// With a label in it, the id is made of the template, what it includes, and what it mentions.
#[test]
fn a_template_with_labels_has_an_id_of_what_it_mentions() {
    let spec = |values: &str| format!("  values: {values}");
    let config = "\"{{ labels.serial|yaml }} {{ values.a.b }} {{ values.list[1] }}\"";
    let expected = id_in(&with_config(config, &spec("{a: {b: 1}, list: [x, y]}")));
    let same = [
        "{list: [z, y, w], a: {b: 1, c: 2}, d: 3}",
        "{list: [x, y], a: {b: 1}, d: {e: [f]}}",
    ];
    for values in same {
        assert_eq!(
            id_in(&with_config(config, &spec(values))),
            expected,
            "{values}"
        );
    }
    let other = [
        "{a: {b: 2}, list: [x, y]}",
        "{a: {b: \"1\"}, list: [x, y]}",
        "{a: {b: 1}, list: [x, z]}",
    ];
    for values in other {
        assert_ne!(
            id_in(&with_config(config, &spec(values))),
            expected,
            "{values}"
        );
    }
}

#[test]
fn two_mentioned_values_are_never_taken_for_one() {
    let config = "\"{{ labels.serial|yaml }} {{ values.a.b }} {{ values['a.b'] }}\"";
    let ids: std::collections::BTreeSet<ConfigId> = [
        "{a: {b: 1}, a.b: 1}",
        "{a: {b: 2}, a.b: 1}",
        "{a: {b: 1}, a.b: 2}",
    ]
    .iter()
    .map(|values| id_in(&with_config(config, &format!("  values: {values}"))))
    .collect();
    assert_eq!(ids.len(), 3);
}

/// Canonical JSON takes `1.0` for `1`, and integers beyond 53 bits for their neighbours; templates print all of them apart.
#[test]
fn numbers_that_print_apart_are_never_taken_for_one() {
    let values = [
        "1",
        "1.0",
        "'1'",
        "true",
        "0",
        "0.0",
        "-0.0",
        "1.5",
        "9007199254740992",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551614",
        "[1, 1.0]",
        "[1.0, 1]",
        "{a: 1}",
        "{a: 1.0}",
        "{0: 1.0}",
        "[1.0]",
    ];
    let ids: std::collections::BTreeSet<ConfigId> = values
        .iter()
        .map(|value| {
            id_in(&with_config(
                "\"{{ labels.serial|yaml }} {{ values.v|tojson }}\"",
                &format!("  values: {{v: {value}}}"),
            ))
        })
        .collect();
    assert_eq!(ids.len(), values.len());
}

#[test]
fn a_computed_look_up_mentions_all_values() {
    let config = "\"{{ labels.serial|yaml }} {{ values.of[labels.serial|default('x', true)]|default('') }}\"";
    let with = |values: &str| id_in(&with_config(config, &format!("  values: {values}")));
    let expected = with("{of: {SN1: x}}");
    assert_eq!(with("{of: {SN1: x}}"), expected);
    assert_ne!(with("{of: {SN1: y}}"), expected);
    assert_ne!(with("{of: {SN1: x}, other: 1}"), expected);
}

#[test]
fn names_count_where_a_template_with_labels_mentions_them() {
    let text = |config: &str, profile: &str, assignment: &str, machine: &str| {
        format!(
            "//- a.yaml
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {{name: {profile}}}
spec: {{additionalConfig: {{c: \"{{{{ labels.site|yaml }}}} {config}\"}}}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {{name: {assignment}}}
spec: {{profile: {profile}, machines: [{{name: {machine}, serial: SN1}}]}}
"
        )
    };
    let renamed = [("q", "a", "m"), ("p", "b", "m"), ("p", "a", "n")];
    for (changes, config) in [
        ([false, false, false], ""),
        ([true, false, false], "{{ profile.name }}"),
        ([false, true, false], "{{ assignment.name }}"),
        ([false, false, true], "{{ machine.name }}"),
    ] {
        let expected = id_in(&text(config, "p", "a", "m"));
        for ((profile, assignment, machine), changed) in renamed.iter().zip(changes) {
            let id = id_in(&text(config, profile, assignment, machine));
            assert_eq!(
                id != expected,
                changed,
                "{config}: {profile} {assignment} {machine}"
            );
        }
    }
}

/// Moving a template with all it includes changes nothing, however their paths sort afterwards.
#[test]
fn the_place_of_included_files_does_not_count() {
    let text = |folder: &str, include: &str, common: &str| {
        with_config(&format!("{{file: {folder}/c.txt}}"), "")
            + &format!(
                "//- {folder}/c.txt\n{{{{ labels.serial|yaml }}}}{{% include '{include}' %}}{{% include '/common.txt' %}}\n//- {folder}/{include}\none\n//- common.txt\n{common}\n"
            )
    };
    let expected = id_in(&text("x", "i.txt", "two"));
    assert_eq!(id_in(&text("b", "i.txt", "two")), expected);
    assert_eq!(id_in(&text("a/b/c", "i.txt", "two")), expected);
    assert_ne!(id_in(&text("x", "i.txt", "three")), expected);
}

#[test]
fn swapped_includes_are_another_template() {
    let text = |one: &str, other: &str| {
        with_config(
            "\"{{ labels.serial|yaml }}{% include 'a' %}{% include 'b' %}\"",
            "",
        ) + &format!("//- a\n{one}\n//- b\n{other}\n")
    };
    assert_ne!(id_in(&text("1", "2")), id_in(&text("2", "1")));
}

#[test]
fn a_config_that_names_another_changes_with_it() {
    for naming in [
        "{{ configs['other'] }}",
        "{{ other }} {{ labels.serial|yaml }}",
        "{{ hidden }}",
        "{{ hidden }}{{ labels.serial|yaml }}",
    ] {
        let with = |other: &str, hidden: &str, third: &str| {
            id_in(&with_config(
                &format!("\"{naming}\""),
                &format!(
                    "    other: {other}\n    third: {third}\n  additionalContent: [{{name: hidden, inline: {hidden}}}]"
                ),
            ))
        };
        let names_other = naming.contains("other");
        let expected = with("x", "x", "x");
        assert_eq!(with("y", "x", "x") != expected, names_other, "{naming}");
        assert_eq!(with("x", "y", "x") != expected, !names_other, "{naming}");
        assert_eq!(with("x", "x", "y"), expected, "{naming}");
    }
}

#[test]
fn a_circle_of_configs_is_told() {
    for (config, rest) in [
        ("\"{{ c }}\"", ""),
        ("\"{{ d }}\"", "    d: \"{{ e }}\"\n    e: \"{{ c }}\""),
        ("\"{{ config_dir }}\"", ""),
    ] {
        let (snapshot, diagnostics) = crate::support::fixture::build(&with_config(config, rest));
        assert!(snapshot.is_none());
        assert_eq!(
            diagnostics.error_count(),
            1,
            "{}",
            diagnostics.render_human()
        );
    }
}

#[test]
fn the_base_url_is_no_part_of_an_id() {
    let snapshot = snapshot(&with_config(
        "\"{{ base_url }} {{ other }}\"",
        "    other: x",
    ));
    let labels = labels("");
    let config = snapshot.find(&labels).unwrap().config("c").unwrap().clone();
    for url in ["http://a", "https://b.example/path", "http://[::1]:8080"] {
        let script = script(&snapshot, &labels, url);
        assert_eq!(
            script,
            format!("#!ipxe\nimgfetch {url}/config/{}\n", config.id)
        );
        let body = render::config(&config, &labels, &base(url)).unwrap();
        let other = id(&snapshot, "", "other");
        assert_eq!(body, format!("{url} {url}/config/{other}"));
    }
    assert!(config.prints_base_url);
}

#[test]
fn what_filters_make_of_the_base_url_tells_configs_apart() {
    // Both filters leave the URL alone that ids are made with.
    let config = |to: &str| format!("\"{{{{ base_url|replace('http://', '{to}') }}}}/x\"");
    let https = snapshot(&with_config(&config("https://"), ""));
    let tftp = snapshot(&with_config(&config("tftp://"), ""));
    let of = |snapshot: &Snapshot| {
        let matched = snapshot.find(&labels("")).unwrap();
        let config = matched.config("c").unwrap();
        (body(config, &labels("")), config.id)
    };
    let ((https, one), (tftp, other)) = (of(&https), of(&tftp));
    assert_eq!(https, "https://boot.example:8080/x");
    assert_eq!(tftp, "tftp://boot.example:8080/x");
    assert_ne!(one, other);
}

/// Configs `c`, `n0`, `n1`, …, each of which prints those before it that `names` says.
fn nested(count: usize, exposed: bool, names: impl Fn(usize) -> Vec<usize>) -> String {
    let mut spec = "  additionalContent:\n".to_owned();
    for number in 0..count {
        let mut text = "{{ labels.serial }}".to_owned();
        for other in names(number) {
            write!(
                text,
                "{{% if labels.asset %}}{{{{ n{other} }}}}{{% endif %}}"
            )
            .unwrap();
        }
        writeln!(
            spec,
            "    - {{name: n{number}, exposed: {exposed}, inline: '{text}'}}"
        )
        .unwrap();
    }
    with_config(&format!("\"{{{{ n{} }}}}\"", count - 1), &spec)
}

#[test]
fn configs_stand_in_each_other_a_bounded_number_of_times() {
    let check = |text: &str, expected: Option<&str>| {
        let (snapshot, diagnostics) = crate::support::fixture::build(text);
        let errors: Vec<&str> = (diagnostics.iter())
            .filter(|one| one.severity() == gitboot::diagnostic::Severity::Error)
            .map(gitboot::diagnostic::Diagnostic::message)
            .collect();
        assert_eq!(errors, expected.into_iter().collect::<Vec<_>>());
        assert_eq!(snapshot.is_some(), expected.is_none());
    };
    let before = |number: usize| number.checked_sub(1).into_iter().collect();
    for exposed in [false, true] {
        // `c` itself is the last one.
        check(&nested(31, exposed, before), None);
        check(
            &nested(32, exposed, before),
            Some("config `c` stands on configs that name each other more than 32 deep"),
        );
    }
    // Each prints the two before it: the tenth would be rendered from more than a hundred.
    let two_before = |number: usize| (number.saturating_sub(2)..number).collect();
    check(&nested(5, false, two_before), None);
    check(
        &nested(12, false, two_before),
        Some("config `n8` is made by rendering more than 64 templates"),
    );
    // URLs cost nothing.
    check(&nested(12, true, two_before), None);
}

#[test]
fn what_is_not_exposed_has_no_id() {
    let text = with_config(
        "\"{{ hidden }}\"",
        "  additionalContent: [{name: hidden, exposed: false, inline: secret}, {name: shown, exposed: true, inline: public}]",
    );
    let snapshot = snapshot(&text);
    let matched = snapshot.find(&labels("")).unwrap();
    assert!(matched.config("hidden").is_none());
    assert_eq!(body(matched.config("c").unwrap(), &labels("")), "secret");
    let bodies: Vec<String> = snapshot
        .configs()
        .map(|(_, config)| body(config, &labels("")))
        .collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(snapshot.counts().configs, 2);
}

#[test]
fn a_directory_is_the_names_and_ids_in_it() {
    let text = |profile: &str, configs: &str| {
        format!(
            "//- a.yaml
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {{name: {profile}}}
spec:
  ipxe: |
    #!ipxe
    kernel x ds=nocloud;s={{{{ config_dir }}}}
  additionalConfig: {configs}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {{name: a}}
spec: {{profile: {profile}, isDefault: true}}
"
        )
    };
    let directory = |profile: &str, configs: &str| {
        let snapshot = snapshot(&text(profile, configs));
        let script = script(&snapshot, &labels("serial=SN1"), BASE);
        let (_, rest) = script.split_once("/config/").unwrap();
        let (id, rest) = rest.split_once('/').unwrap();
        assert!(ConfigId::parse(id).is_some());
        assert!(snapshot.config_dir(ConfigId::parse(id).unwrap()).is_some());
        (id.to_owned(), rest.trim_end().to_owned())
    };
    let (expected, rest) = directory("p", "{user-data: x, meta-data: y}");
    assert_eq!(rest, "");
    assert_eq!(directory("q", "{meta-data: y, user-data: x}").0, expected);
    assert_ne!(directory("p", "{user-data: x, meta-data: z}").0, expected);
    assert_ne!(directory("p", "{user-data: x, meta-date: y}").0, expected);
    assert_ne!(directory("p", "{user-data: y, meta-data: x}").0, expected);
    assert_ne!(directory("p", "{user-data: x}").0, expected);
    let (_, rest) = directory(
        "p",
        "{user-data: \"{{ labels.serial|yaml }}\", meta-data: y}",
    );
    assert_eq!(rest, "serial=SN1/");
}

#[test]
fn a_url_carries_the_labels_that_are_used_and_no_others() {
    let text = with_config(
        "\"{{ labels.site|yaml }} {{ labels.Asset|yaml }} {{ labels.serial|yaml }} {{ other }}\"",
        "    other: \"{{ labels.rack|yaml }} {{ labels.room|yaml }}\"",
    );
    let snapshot = snapshot(&text);
    let fixed = FixedLabels::parse(&["room=5".to_owned()]).unwrap();
    let labels = Labels::parse(
        "unused=1&site=a b&serial=SN-1&rack=7&mac=52:54:00:00:00:01",
        &fixed,
    )
    .unwrap();
    let script = script(&snapshot, &labels, BASE);
    let id = id(&snapshot, "", "c");
    assert_eq!(
        script,
        format!("#!ipxe\nimgfetch {BASE}/config/{id}?rack=7&serial=SN-1&site.hex=612062\n")
    );
}

/// `key.hex=…`, which says any text to the letter.
fn exactly(key: &str, value: &str) -> String {
    let mut query = format!("{key}.hex=");
    for byte in value.bytes() {
        write!(query, "{byte:02x}").unwrap();
    }
    query
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,20}",
        "[ -~]{0,40}",
        "[A-Za-z0-9._~:-]{0,20}",
        "(&|=|%|%41|\\+|#|/|\\?|;|\\$\\{mac\\}|\\{\\{ x \\}\\}|\"|'|\\\\|é|😀| ){0,12}",
    ]
}

/// A URL out of a script: the id, and the query behind it.
fn fetched<'s>(snapshot: &'s Snapshot, url: &str) -> (&'s Config, Labels) {
    let path = url
        .strip_prefix(BASE)
        .unwrap()
        .strip_prefix("/config/")
        .unwrap();
    let (id, query) = path.split_once('?').unwrap_or((path, ""));
    let config = snapshot.config(ConfigId::parse(id).unwrap()).unwrap();
    (config, labels(query))
}

const ROUND_TRIP: &str = "\
//- a.yaml
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: p}
spec:
  ipxe: |
    #!ipxe
    imgfetch {{ plain }}
    imgfetch {{ nested }}
    imgfetch {{ configs[\"data.json\"] }}
    imgfetch {{ computed }}
    imgfetch {{ config_dir }}
  additionalConfig:
    plain: \"{{ labels.serial|safe }} {{ labels.mac|safe }} {{ labels[\\\"odd key\\\"]|safe }} {{ labels[\\\"a.hex\\\"]|safe }}\"
    nested: \"{{ plain }} {{ labels.site|sh }} {{ hidden }}\"
    data.json: '{\"serial\": \"{{ labels.serial }}\", \"url\": \"{{ nested }}\"}'
    computed: \"{% if labels.site == 'x' %}{{ values.known[labels.site] }}{% else %}none{% endif %}\"
    fixed: \"nothing of a machine\"
  additionalContent:
    - {name: hidden, inline: \"{{ labels.asset|safe }}\"}
  values: {known: {x: y}}
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: a}
spec: {profile: p, isDefault: true}
";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_url_fetches_what_its_script_meant(
        values in prop::collection::vec(prop::option::weighted(0.8, hostile()), 5),
        macs in prop::sample::subsequence(vec!["52:54:00:00:00:01", "52:54:00:00:00:02"], 0..=2),
    ) {
        let snapshot = snapshot(ROUND_TRIP);
        let keys = ["serial", "site", "asset", "odd key", "a.hex"];
        let sent = keys.iter().zip(&values).filter_map(|(key, value)| Some(exactly(key, value.as_ref()?)));
        let macs = macs.iter().map(|mac| format!("mac={mac}"));
        let query: Vec<String> = sent.chain(macs).collect();
        let full = labels(&query.join("&"));
        let matched = snapshot.find(&full).unwrap();
        let script = script(&snapshot, &full, BASE);
        let urls: Vec<&str> = script.lines().skip(1).map(|line| line.strip_prefix("imgfetch ").unwrap()).collect();
        let names = ["plain", "nested", "data.json", "computed"];
        prop_assert_eq!(urls.len(), names.len() + 1);
        for (name, url) in names.iter().zip(&urls) {
            let config = matched.config(name).unwrap();
            let (fetched, seen) = fetched(&snapshot, url);
            prop_assert_eq!(fetched.id, config.id);
            prop_assert_eq!(body(fetched, &seen), body(config, &full), "{}", url);
        }
        let data = body(matched.config("data.json").unwrap(), &full);
        let data: serde_json::Value = serde_json::from_str(&data).unwrap();
        prop_assert_eq!(data["serial"].as_str(), Some(full.get("serial").unwrap_or_default()));

        let directory = urls.last().unwrap().strip_prefix(BASE).unwrap().strip_prefix("/config/").unwrap();
        let parts: Vec<&str> = directory.split('/').collect();
        prop_assert!(matches!(parts.as_slice(), [_, ""] | [_, _, ""]), "{}", directory);
        let seen = labels(if parts.len() == 3 { parts[1] } else { "" });
        let pinned = snapshot.config_dir(ConfigId::parse(parts[0]).unwrap()).unwrap();
        prop_assert!(pinned.configs.keys().eq(matched.configs().map(|(name, _)| name)));
        for (name, config) in &pinned.configs {
            prop_assert_eq!(body(config, &seen), body(matched.config(name).unwrap(), &full));
        }
    }

    /// Two repositories give a template with labels the same id exactly when it can never print anything else.
    #[test]
    fn ids_are_equal_when_what_is_mentioned_is(
        one in prop::collection::vec(0..3_u8, 4),
        other in prop::collection::vec(0..3_u8, 4),
        mentioned in prop::sample::subsequence(vec!["a", "b.x", "b.y", "c"], 0..=4),
    ) {
        let text = |values: &[u8]| {
            let [a, x, y, c] = values else { unreachable!() };
            let prints = mentioned.iter().map(|path| format!("{{{{ values.{path} }}}} "));
            let prints = prints.collect::<Vec<_>>().concat();
            with_config(
                &format!("\"{{{{ labels.serial|yaml }}}} {prints}\""),
                &format!("  values: {{a: {a}, b: {{x: {x}, y: {y}}}, c: s{c}}}"),
            )
        };
        let paths = ["a", "b.x", "b.y", "c"];
        let same = paths
            .iter()
            .zip(one.iter().zip(&other))
            .all(|(path, (one, other))| one == other || !mentioned.contains(path));
        prop_assert_eq!(id_in(&text(&one)) == id_in(&text(&other)), same);
    }
}
