//! Rules about what would boot wrongly: what they leave alone, and that counting is as good as comparing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gitboot::diagnostic::Diagnostics;
use proptest::prelude::*;

use crate::support::fixture::{GOOD, build};
use crate::support::process::run_in;

const HEAD: &str = "apiVersion: gitboot.dev/v1alpha1\nkind:";

fn told(diagnostics: &Diagnostics, code: &str) -> Vec<String> {
    diagnostics
        .iter()
        .filter(|one| one.code() == code)
        .map(|one| one.message().to_owned())
        .collect()
}

/// The warnings about a script.
fn about(script: &str) -> String {
    let script = script.replace('\n', "\n    ");
    let text = format!(
        "//- a.yaml\n{HEAD} Profile\nmetadata: {{name: p}}\nspec:\n  values: {{a: x, yes: true}}\n  ipxe: |\n    {script}\n---\n\
         {HEAD} Assignment\nmetadata: {{name: p}}\nspec: {{profile: p, machines: [{{mac: \"52:54:00:00:00:01\"}}]}}\n"
    );
    build(&format!("{text}{GOOD}")).1.render_human()
}

#[test]
fn scripts_that_boot_are_left_alone() {
    for script in [
        "#!ipxe\nchain --autofree http://x || shell",
        "#!ipxe\n:retry\nmenu Title\nitem --gap -- ----\nitem a A\nchoose --default a x && goto ${x} || goto retry",
        "#!ipxe\n{% if values.yes %}kernel{% else %}chain{% endif %} http://x",
        "#!ipxe\n{% if values.yes %}\nkernel http://x a=b{% endif %}\nboot",
        "#!ipxe\nkernel http://x/vmlinuz \\\n   initrd={{ values.a }} \\\n   quiet\ninitrd --name {{ values.a }} http://x/i\nboot",
        "#!ipxe\nkernel http://x/vmlinuz initrd=i-{{ values.a }}.img\ninitrd http://x/i-{{ values.a }}.img\nboot",
        "#!ipxe\nkernel http://x/vmlinuz {{ values.a }}\ninitrd --name main http://x/i\nboot",
        "#!ipxe\nset args initrd=main\nkernel http://x/vmlinuz ${args}\ninitrd --name main http://x/i\nboot",
        "#!ipxe\nkernel http://x/vmlinuz\ninitrd http://x/initrd.img\nboot",
        "#!ipxe\nkernel http://x/vmlinuz initrd=initrd.magic\ninitrd --name a http://x/a\nboot",
        "#!ipxe\nkernel http://x/vmlinuz\nimgargs vmlinuz initrd=main\ninitrd -n main http://x/a\nboot",
        "#!ipxe\nkernel http://x/vmlinuz{% if values.yes %} initrd=main{% endif %}\ninitrd --name=main http://x/a\nboot",
        "#!ipxe\n{% set x %}not a command{% endset %}echo {{ x }}",
        "#!ipxe\n{% macro m() %}\nnot a command\n{% endmacro %}\necho {{ m() }}",
        "#!ipxe\n{%- if values.yes %} \\\n{%- endif %}\necho a\\\n b",
    ] {
        assert_eq!(about(script), "", "{script}");
    }
}

#[test]
fn a_blank_line_ends_a_continued_one() {
    // A statement on a line of its own leaves that line empty.
    let said = about(
        "#!ipxe\nkernel http://x/vmlinuz \\\n{% if values.yes %}\n  console=ttyS0 \\\n{% endif %}\n  quiet\nboot",
    );
    assert!(said.contains("no command `console=ttyS0`"), "{said}");
    assert!(said.contains("no command `quiet`"), "{said}");
}

#[test]
fn the_example_has_nothing_to_warn_of() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let ran = run_in(root, &["validate", "--strict", "example-repo"], &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

/// A class: its selectors by key, as numbers.
type Class = BTreeMap<u8, Vec<u8>>;

fn class() -> impl Strategy<Value = Class> {
    let values = prop::collection::btree_set(0_u8..4, 1..3);
    let values = values.prop_map(|values| values.into_iter().collect());
    prop::collection::btree_map(0_u8..4, values, 1..4)
}

fn manifests(classes: &[(Class, i16)]) -> String {
    let mut text = "//- a.yaml\n".to_owned();
    for (number, (class, priority)) in classes.iter().enumerate() {
        // Names in another order than places.
        let name = (number * 7) % 10;
        let _ = writeln!(
            text,
            "{HEAD} Assignment\nmetadata: {{name: c{name}}}\nspec:\n  profile: good\n  priority: {priority}\n  subjectSelectors:"
        );
        for (key, values) in class {
            let values: Vec<String> = values.iter().map(|value| format!("v{value}")).collect();
            let _ = writeln!(text, "    key{key}: [{}]", values.join(", "));
        }
        text.push_str("---\n");
    }
    text + GOOD
}

fn meet(one: &Class, other: &Class) -> bool {
    one.iter().all(|(key, values)| {
        other
            .get(key)
            .is_none_or(|others| values.iter().any(|value| others.contains(value)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn overlaps_are_those_that_comparing_each_with_each_finds(classes in prop::collection::vec((class(), 0_i16..2), 1..10)) {
        let name = |number: usize| format!("c{}", (number * 7) % 10);
        let keys = |class: &Class| class.keys().copied().collect::<Vec<_>>();
        let mut expected = Vec::new();
        for (number, (class, priority)) in classes.iter().enumerate() {
            let others = classes.iter().enumerate().filter(|(_, (other, other_priority))| {
                other_priority == priority && other.len() == class.len() && keys(other) != keys(class) && meet(class, other)
            });
            let mut others: Vec<String> = others.map(|(other, _)| name(other)).collect();
            others.sort();
            if others.iter().any(|other| *other < name(number)) {
                let first: Vec<String> = others.iter().take(3).map(|other| format!("`{other}`")).collect();
                let more = match others.len() - first.len() {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                expected.push(format!(
                    "a machine could be selected by Assignment `{}` and by {}{more}, at equal rank", name(number), first.join(", ")
                ));
            }
        }
        prop_assert_eq!(told(&build(&manifests(&classes)).1, "class-overlap"), expected);
    }

    #[test]
    fn never_wins_is_told_of_those_that_one_other_covers(classes in prop::collection::vec((class(), 0_i16..3), 1..10)) {
        let mut expected = Vec::new();
        for (number, (class, priority)) in classes.iter().enumerate() {
            let covers = |other: &Class| other.iter().all(|(key, wide)| {
                class.get(key).is_some_and(|values| values.iter().all(|value| wide.contains(value)))
            });
            if classes.iter().any(|(other, other_priority)| other_priority > priority && covers(other)) {
                expected.push(format!("Assignment `c{}` can never win", (number * 7) % 10));
            }
        }
        let said = told(&build(&manifests(&classes)).1, "never-wins");
        let said: Vec<String> = said.iter().map(|one| one.split(':').next().unwrap().to_owned()).collect();
        prop_assert_eq!(said, expected);
    }
}
