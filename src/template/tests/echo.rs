//! What counts as printing and nothing else.

use super::*;

#[test]
fn only_what_prints_and_nothing_else_does() {
    let check = |text: &str, expected: bool| {
        let template = template(text);
        assert_eq!(template.only_prints(), expected, "{text}");
    };
    for text in [
        "no label at all",
        "{{ labels.serial }} and {{ labels.site | sh }}",
        "{{ labels.serial ~ '-' ~ labels.site | upper }}",
        "{{ labels['serial'] }} {{ values.a.b }} {{ values.list[0] }}",
        "{{ labels.serial | default('none') }} {{ labels.serial | replace('a', 'b') }}",
        "{{ base_url }} {{ configs['motd'] }}",
    ] {
        check(text, true);
    }
    for text in [
        "{{ values.a[labels.serial] }}",
        "{{ values.a[labels.serial ~ ''] }}",
        "{{ values.a | attr(labels.serial) }}",
        "{{ values.list | map(attribute=labels.serial) | join }}",
        "{% if labels.serial == 'x' %}x{% endif %}",
        "{{ 'x' if labels.serial == 'x' else 'y' }}",
        "{{ labels.serial == 'x' }}",
        "{{ labels.serial in values.list }}",
        "{{ labels.serial is in values.list }}",
        "{{ labels.serial and values.a.b }}",
        "{% set x = values.a[labels.serial] %}{{ x }}",
        "{% for x in values.list %}{{ labels.serial }}{% endfor %}",
    ] {
        check(text, false);
    }
}

/// The template of a text that must be right.
fn template(text: &str) -> Template {
    let path = RepoPath::parse("t").unwrap();
    let source = Source {
        path,
        text: text.into(),
    };
    let configs = BTreeSet::from(["motd".to_owned()]);
    let scope = Scope {
        configs: &configs,
        dialect: Dialect::Current,
        in_script: false,
    };
    parse(&source, &scope, &|_| Err(IncludeError::Missing))
        .unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}
