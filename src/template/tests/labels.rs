use super::*;

/// Ways of a label into the output of a script.
const CARRIED: &[&str] = &[
    "{{ labels.serial }}",
    "{{labels.serial}}",
    "{{- labels.serial -}}",
    "{{ labels['serial'] }}",
    "{{ labels.serial|trim }}",
    "{{ labels.serial or 'x' }}",
    "{{ labels.nothing or labels.serial }}",
    "{{ '' ~ labels.serial }}",
    "{{ labels.serial ~ '' }}",
    "{{ labels.serial + '' }}",
    "{{ labels.serial * 1 }}",
    "{{ labels.serial if true else '' }}",
    "{{ values.flag and labels.serial }}",
    "{{ labels.serial[0:] }}",
    "{{ [labels.serial][0] }}",
    "{{ {'a': labels.serial}.a }}",
    "{{ {labels.serial: 1}|first }}",
    "{{ (labels.serial, 1)[0] }}",
    "{{ 'x'|replace('x', labels.serial) }}",
    "{{ ''|default(labels.serial, true) }}",
    "{{ dict(a=labels.serial).a }}",
    "{{ [labels.serial, '']|join }}",
    "{% set x = labels.serial %}{{ x }}",
    "{% set x = labels.serial %}{% set y = x ~ '' %}{{ y }}",
    "{% set x %}{{ labels.serial }}{% endset %}{{ x }}",
    "{% set x %}{{ labels.serial }}{% endset %}{{ x if values.flag else labels.serial }}",
    "{% set x, y = 1, labels.serial %}{{ y }}",
    "{% set n = namespace(v='') %}{% set n.v = labels.serial %}{{ n.v }}",
    "{% set n = namespace(v=labels.serial) %}{{ n.v }}",
    "{% with x = labels.serial %}{{ x }}{% endwith %}",
    "{% for x in [labels.serial] %}{{ x }}{% endfor %}",
    "{% for x in [labels.serial] %}{% for y in [x] %}{{ y }}{% endfor %}{% endfor %}",
    "{% for k, v in {'a': labels.serial}|items %}{{ v }}{% endfor %}",
    "{% for x in [labels.serial, ''] %}{% if loop.first %}{% else %}{{ loop.previtem }}{% endif %}{% endfor %}",
    "{% for x in [1] %}{{ loop.cycle(labels.serial) }}{% endfor %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(labels.serial) }}",
    "{% macro m(a, b='') %}{{ b }}{% endmacro %}{{ m(1, b=labels.serial) }}",
    "{% macro m(a=labels.serial) %}{{ a }}{% endmacro %}{{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[labels.serial]) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(**{'a': labels.serial}) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{% macro o(b) %}{{ m(b) }}{% endmacro %}{{ o(labels.serial) }}",
    "{% macro m() %}{{ caller(labels.serial) }}{% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}",
    "{% macro m() %}{{ labels.serial }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ labels.serial }}{% endmacro %}{% set x = m() %}{{ x }}",
    "{% macro m() %}{{ labels.serial }}{% endmacro %}{{ m() if values.flag else labels.serial }}",
    "{% filter trim %}{{ labels.serial }}{% endfilter %}",
    "{% filter replace('x', labels.serial) %}x{% endfilter %}",
    "{% set x|replace('x', labels.serial) %}x{% endset %}{{ x }}",
    "{% include 'inc' %}",
    "{% set v = labels.serial %}{% include 'var' %}",
    "{% import 'lib' as lib %}{{ lib.show(labels.serial) }}",
    "{% import 'lib' as lib %}{{ lib.label }}",
    "{% from 'lib' import show %}{{ show(labels.serial) }}",
    "{% from 'lib' import show as s %}{{ s(labels.serial) }}",
    "{% from 'lib' import label as l %}{{ l }}",
];

#[test]
fn escapes_labels_in_scripts() {
    let script = case();
    let escaped = "SN%201%3B%26";
    for text in CARRIED {
        let case = case()
            .file("dir/inc", "{{ labels.serial }}")
            .file("dir/var", "{% set v = v|default('') %}{{ v }}")
            .file(
                "dir/lib",
                "{% set label = labels.serial %}{% macro show(it) %}{{ it }}{% endmacro %}",
            );
        case.prints(text, escaped);
    }
    script.prints("{{ labels.serial|safe }}|{{ labels.serial|lower|safe }}|{{ labels.serial|safe|default('x') }}", "SN 1;&|sn 1;&|SN 1;&");
    script.prints(
        "{{ labels.serial|sh }} {{ labels.serial|urlencode }} {{ labels.serial|tojson }}",
        "'SN 1;&' SN%201%3B%26 \"SN 1;&\"",
    );
    // A filter after an escaping one undoes the escaping, so its output is escaped again.
    script.prints(
        "{{ labels.serial|sh|trim(\"'\") }} {{ labels.serial|sh|upper }}",
        "SN%201%3B%26 %27SN%201%3B%26%27",
    );
    script.prints(
        "{{ labels.serial|sh|first }} {{ labels.serial|tojson|split(' ')|last }}",
        "%27 1%3B%26%22",
    );
    case()
        .label("x", "aZ0-._~:@/+,=%\u{e9}")
        .prints("{{ labels.x }}", "aZ0-._~:@/+,=%25%C3%A9");
}

#[test]
fn keeps_what_is_no_label() {
    let spaced = "http://m/x y";
    for text in [
        "{{ values.mirror }}",
        "{{ values.mirror if labels.serial == 'SN 1;&' else '' }}",
        "{{ values.mirror if labels.serial else '' }}",
        "{{ {'north': values.mirror}[labels.site] }}",
        "{% set x = values.mirror %}{{ x }}{{ labels.nothing }}",
        "{% if labels.serial is startingwith('SN') %}{{ values.mirror }}{% endif %}",
        "{% for x in [values.mirror] if labels.site == 'north' %}{{ x }}{% endfor %}",
    ] {
        check(text, spaced);
    }
    check(
        "{{ values.sites[labels.site] }} {{ 'a b' if labels.site in ['north'] }} {{ labels.serial == 'SN 1;&' }}",
        "http://n a b true",
    );
    check(
        "{% if labels.site == 'north' and not labels.nothing %}n{% elif labels.site %}o{% else %}e{% endif %}",
        "n",
    );
}

#[test]
fn escapes_labels_in_json_and_nowhere_else() {
    let json = case().kind(Kind::Json);
    json.prints(r#"{"h": "{{ labels.hostname }}"}"#, r#"{"h": "a\"b\\\nc"}"#);
    json.prints(
        r#"{"h": {{ labels.hostname|tojson }}, "m": "{{ values.mirror }}"}"#,
        r#"{"h": "a\"b\\\nc", "m": "http://m/x y"}"#,
    );
    let other = case().kind(Kind::Other);
    other.prints("{{ labels.hostname }}", "a\"b\\\nc");
    other.prints(
        "{{ labels.hostname|yaml }} {{ labels.hostname|sh }}",
        "\"a\\\"b\\\\\\nc\" 'a\"b\\\nc'",
    );
    case()
        .kind(Kind::Other)
        .label("x", "it's")
        .prints("{{ labels.x|sh }}", r"'it'\''s'");
    other.prints(
        "{{ values.flag|yaml }} {{ values.n|yaml }} {{ values.b|tojson }}",
        r#"true 3 {"a":{"deep":"yes"},"z":1}"#,
    );
    other.prints(
        "{{ {'b': '<&>', 'a': none}|tojson }}",
        r#"{"a":null,"b":"<&>"}"#,
    );
    let wild = case().kind(Kind::Other).label("x", "\u{7}\u{85}\u{2028}\t");
    wild.prints("{{ labels.x|yaml }}", r#""\x07\x85\u2028\t""#);
}

#[test]
fn warns_of_bare_labels() {
    let case = case();
    let bare = |text: &str| -> Vec<String> {
        case.usage(text)
            .bare_labels
            .iter()
            .map(|place| case.slice(text, place))
            .collect()
    };
    assert_eq!(
        bare("{{ labels.x }} {{- 'a' ~ labels.y -}} {{ labels.z|sh }} {{ values.n }}"),
        ["labels.x", "'a' ~ labels.y"]
    );
    assert_eq!(
        bare("{% set a = labels.x %}{{ a|upper }}{{ a|yaml }}{{ a == 'b' }}"),
        ["a|upper"]
    );
    assert_eq!(
        bare("{% filter replace('a', labels.x) %}{% endfilter %}"),
        ["replace('a', labels.x)"]
    );
}
