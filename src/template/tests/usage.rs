use super::*;

#[test]
fn lists_what_is_used() {
    let case = case().file("dir/inc", "{{ values.n }}{{ labels.asset }}");
    let usage = case.usage("{% if false %}{{ labels.arch }}{{ labels['serial'] }}{{ values.b.a.deep|upper }}{% endif %}{{ ignition }}{{ configs['user-data'] }}{{ values.sites[labels.site] }}{% include 'inc' %}{{ machine.name }}");
    assert_eq!(
        usage.labels,
        ["asset", "buildarch", "serial", "site"]
            .map(str::to_owned)
            .into()
    );
    assert_eq!(
        usage.configs,
        ["ignition", "user-data"].map(str::to_owned).into()
    );
    let values: Vec<_> = usage
        .values
        .iter()
        .map(|value| {
            (
                value.path.join("."),
                value.place.path.as_str(),
                value.computed,
                value.printed,
            )
        })
        .collect();
    assert_eq!(
        values,
        [
            ("b.a.deep".to_owned(), "dir/main", false, false),
            ("sites".to_owned(), "dir/main", true, false),
            ("n".to_owned(), "dir/inc", false, true),
        ]
    );
    assert!(usage.machine_name && !usage.profile_name && !usage.assignment_name);
    assert!(!usage.revision && !usage.base_url && !usage.config_dir);
}

#[test]
fn lists_the_literal_prefix_of_values() {
    let case = case();
    let text = "{{ values }}{{ values|tojson }}{{ values['b'].a }}{{ values.dns[0] }}{{ values.dns[-1] }}{{ values['x' ~ 'y'] }}";
    let values: Vec<_> = case
        .usage(text)
        .values
        .iter()
        .map(|value| {
            (
                value.path.join("."),
                case.slice(text, &value.place),
                value.computed,
                value.printed,
            )
        })
        .collect();
    let owned = |path: &str, place: &str, computed, printed| {
        (path.to_owned(), place.to_owned(), computed, printed)
    };
    assert_eq!(
        values,
        [
            owned("", "values", true, false),
            owned("", "values", true, false),
            owned("b.a", "values['b'].a", false, true),
            owned("dns.0", "values.dns[0]", false, true),
            owned("dns", "values.dns", true, false),
            owned("", "values", true, false),
        ]
    );
    let usage = case.usage(
        "{{ revision }}{{ base_url }}{{ config_dir }}{{ profile.name }}{{ assignment['name'] }}",
    );
    assert!(
        usage.revision
            && usage.base_url
            && usage.config_dir
            && usage.profile_name
            && usage.assignment_name
    );
}

#[test]
fn knows_when_the_base_url_is_plain() {
    let case = case()
        .file("dir/inc", "{{ ignition }}")
        .file("dir/none", "x");
    for text in [
        "no url",
        "{{ ignition }}",
        "{{ configs['motd'] ~ '?a=' ~ values.n }}",
        "{% if labels.site == 'x' %}{{ config_dir }}{% endif %}{{ base_url }}/x",
        "{% for x in [1, 2] %}{{ ignition }}{% endfor %}",
        "{% include 'inc' %}",
        "{% set x %}{% include 'none' %}{% endset %}{{ x }}",
    ] {
        assert!(case.usage(text).base_is_plain, "{text}");
    }
    for text in [
        "{{ ignition|upper }}",
        "{{ base_url[0:3] }}",
        "{% if ignition == 'x' %}{% endif %}",
        "{% set x = configs['motd'] %}{{ x }}",
        "{% set x %}{{ ignition }}{% endset %}{{ x }}",
        "{% macro m() %}{{ base_url }}{% endmacro %}{{ m() }}",
        "{{ ignition ~ labels.serial }}",
        "{{ base_url ~ labels.serial }}",
        "{{ base_url == labels.serial }}",
        "{{ [ignition]|join }}",
        "{% set x %}{% include 'inc' %}{% endset %}{{ x|upper }}",
        "{{ (config_dir ~ 'x')|upper }}",
    ] {
        assert!(!case.usage(text).base_is_plain, "{text}");
    }
}
