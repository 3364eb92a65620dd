use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A template and what is around it.
struct Case {
    files: BTreeMap<&'static str, String>,
    labels: BTreeMap<String, String>,
    values: serde_json::Value,
    configs: BTreeMap<String, String>,
    kind: Kind,
    dialect: Dialect,
    in_script: bool,
}

fn case() -> Case {
    let labels = [
        ("serial", "SN 1;&"),
        ("site", "north"),
        ("hostname", "a\"b\\\nc"),
        ("buildarch", "arm64"),
    ];
    let configs = [
        ("ignition", "http://h/config/1"),
        ("user-data", "http://h/config/2"),
        ("motd", "http://h/config/3"),
    ];
    Case {
        files: BTreeMap::new(),
        labels: labels.map(|(key, value)| (key.into(), value.into())).into(),
        values: json!({
            "mirror": "http://m/x y", "flag": true, "off": false, "none": null, "n": 3, "f": 1.5, "big": 12_345_678_901_u64,
            "dns": ["1.1.1.1", "9.9.9.9"], "vlans": {"10": "ten"}, "sites": {"north": "http://n", "south": "http://s"},
            "b": {"z": 1, "a": {"deep": "yes"}}, "users": [{"name": "ann", "id": 2}, {"name": "bob", "id": 1}],
        }),
        configs: configs
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
        kind: Kind::Script,
        dialect: Dialect::Current,
        in_script: true,
    }
}

impl Case {
    fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    fn older(mut self) -> Self {
        self.dialect = Dialect::Older;
        self
    }

    fn file(mut self, path: &'static str, text: &str) -> Self {
        self.files.insert(path, text.into());
        self
    }

    fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    fn parse(&self, text: &str) -> Result<Template, Vec<Problem>> {
        let source = Source {
            path: RepoPath::parse("dir/main").unwrap(),
            text: text.into(),
        };
        let configs: BTreeSet<String> = self.configs.keys().cloned().collect();
        let scope = Scope {
            configs: &configs,
            dialect: self.dialect,
            in_script: self.in_script,
        };
        parse(
            &source,
            &scope,
            &|path| match self.files.get(path.as_str()) {
                Some(text) => Ok(Arc::from(text.as_str())),
                None => Err(IncludeError::Missing),
            },
        )
    }

    fn render(&self, text: &str) -> Result<String, Problem> {
        let template = self
            .parse(text)
            .unwrap_or_else(|problems| panic!("{text:?}: {problems:?}"));
        let context = Context {
            labels: &self.labels,
            values: &Values::from_json(&self.values),
            configs: &self.configs,
            config_dir: "http://h/config/0/",
            base_url: "http://h",
            profile: "worker",
            assignment: "rack",
            machine: "",
            revision: "4f2a91c",
        };
        template.render(self.kind, &context)
    }

    #[track_caller]
    fn prints(&self, text: &str, expected: &str) {
        assert_eq!(self.render(text).as_deref(), Ok(expected), "{text}");
    }

    /// The problems of a text that does not parse, each with the text it points at.
    #[track_caller]
    fn problems(&self, text: &str) -> Vec<(String, ProblemKind)> {
        let problems = self.parse(text).expect_err(text);
        problems
            .into_iter()
            .map(|problem| (self.slice(text, &problem.place), problem.kind))
            .collect()
    }

    #[track_caller]
    fn refuses(&self, text: &str, at: &str, kind: ProblemKind) {
        assert_eq!(self.problems(text), [(at.to_owned(), kind)], "{text}");
    }

    /// Does not parse, with words that hold `part`.
    #[track_caller]
    fn unsupported(&self, text: &str, part: &str) {
        match self.problems(text).as_slice() {
            [(_, ProblemKind::Unsupported(words) | ProblemKind::Syntax(words))]
                if words.contains(part) => {}
            other => panic!("{text}: {other:?}"),
        }
    }

    /// Parses, and fails to render.
    #[track_caller]
    fn fails(&self, text: &str, at: &str, kind: &ProblemKind) {
        let problem = self.render(text).expect_err(text);
        assert_eq!(
            (self.slice(text, &problem.place).as_str(), &problem.kind),
            (at, kind),
            "{text}"
        );
    }

    fn slice(&self, text: &str, place: &Place) -> String {
        let text = match place.path.as_str() {
            "dir/main" => text,
            path => &self.files[path],
        };
        text.get(place.range.clone())
            .unwrap_or("(out of the text)")
            .to_owned()
    }

    fn usage(&self, text: &str) -> Usage {
        self.parse(text)
            .unwrap_or_else(|problems| panic!("{text:?}: {problems:?}"))
            .usage()
            .clone()
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    case().prints(text, expected);
}

fn unknown_variable(name: &str, similar: Option<&str>) -> ProblemKind {
    ProblemKind::UnknownVariable {
        name: name.into(),
        similar: similar.map(str::to_owned),
    }
}

#[test]
fn leaves_text_alone() {
    for text in [
        "",
        "a\n",
        "a\r\n\n\n",
        "${net0/mac}",
        "${#list} ${#}",
        "{# no comment #}",
        "{ {",
        "} }}",
        "%} #} é\n",
    ] {
        check(text, text);
    }
    check("{%# a {{ comment #%}b\n", "b\n");
    check("a {%#- x -#%} b", "ab");
    check("{% if true %}\nx\n{% endif %}\n", "\nx\n\n");
    check(
        "{% raw %}{{ values.x }}${#y}{% endraw %}",
        "{{ values.x }}${#y}",
    );
}

#[test]
fn prints_scalars() {
    check(
        "{{ values.flag }} {{ values.off }} {{ 1 == 1 }} {{ not values.flag }}",
        "true false true false",
    );
    check(
        "{{ values.n }} {{ values.f }} {{ values.big }} {{ 4 / 2 }} {{ 7 // 2 }}",
        "3 1.5 12345678901 2.0 3",
    );
    check("{{ 'on ' ~ values.flag ~ ' ' ~ values.n }}", "on true 3");
    check(
        "{{ values.flag|string }} {{ [true, 1]|join(',') }} {{ values.flag|lower }}",
        "true true,1 true",
    );
    check(
        "{{ values.b.a.deep }} {{ values['b']['a'].deep }} {{ values.dns[1] }} {{ values.vlans[10] }}",
        "yes yes 9.9.9.9 ten",
    );
    check(
        "{{ 'x' if values.off }}|{{ 'x' if values.off else 'y' }}",
        "|y",
    );
    check(
        "{% for k in values.b %}{{ k }} {% endfor %}{% for k, v in values.sites|items %}{{ k }}={{ v }} {% endfor %}",
        "a z north=http://n south=http://s ",
    );
    let case = case();
    case.fails(
        "a {{ values.none }}",
        "values.none",
        &ProblemKind::PrintsNull,
    );
    case.fails(
        "{{ values.dns }}",
        "values.dns",
        &ProblemKind::PrintsCollection { what: "a list" },
    );
    case.fails(
        "{{ 'a' ~ values.b }}",
        "'a' ~ values.b",
        &ProblemKind::PrintsCollection { what: "a map" },
    );
    case.fails(
        "{{ values.nothing }}",
        "values.nothing",
        &ProblemKind::Undefined,
    );
    case.fails(
        "{{ values.nothing.at.all }}",
        "values.nothing.at",
        &ProblemKind::Undefined,
    );
    case.fails(
        "{{ 'a' ~ values.nothing }}",
        "'a' ~ values.nothing",
        &ProblemKind::Undefined,
    );
    case.fails(
        "{{ values.dns[7] }}",
        "values.dns[7]",
        &ProblemKind::Undefined,
    );
}

#[test]
fn calculates() {
    check(
        "{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 2 * 3 + 1 }} {{ 1 + 2 + 3 - 1 }} {{ -2 + 5 }}",
        "7 9 7 5 3",
    );
    check(
        "{{ 1.5 + 1 }} {{ 2 * 1.5 }} {{ true + 1 }} {{ 2 ** 3 * 2 }}",
        "2.5 3.0 2 16",
    );
    check("{{ 'a' + 'b' ~ 'c' * 2 ~ 1 + '2' }}", "abcc12");
    check(
        "{{ ('a' ~ 'b')|upper ~ 'c' }} {{ 'a' ~ 'b'|upper }} {{ ((1 + 2)) * ((3)) }}",
        "ABc aB 9",
    );
    check("{{ 'a'~'b'~'c' }}{{'x'*3~'y'}}", "abcxxxy");
    check(
        "{{ ([1] + [2, 3])|join('-') }} {{ 3 * 'ab' }} {{ 'ab' * 0 }}",
        "1-2-3 ababab ",
    );
    check(
        "{{ [1, 'a' ~ 'b', [2 * 2]][2][0] }} {{ {'k': 'a' ~ 'b'}['k'] }} {{ (1, 2 + 3)[1] }}",
        "4 ab 5",
    );
    check(
        "{% set t = 1, 2 + 3 %}{{ t[1] }}{% set u = (1), (2 + 2) %}{{ u[1] }}{% set a, b = 1, values.n %}{{ b }}",
        "543",
    );
    let case = case();
    let failed = |words: &str| ProblemKind::Failed(words.to_owned());
    case.fails(
        "{{ 1 // 0 }}",
        "1 // 0",
        &failed("the calculation has no result"),
    );
    case.fails(
        "{{ 170141183460469231731687303715884105727 + 1 }}",
        "170141183460469231731687303715884105727 + 1",
        &failed("the calculation has no result"),
    );
    case.fails(
        "{{ 'a' + 1 }}",
        "'a' + 1",
        &failed("`+` does not work on a string and a number"),
    );
    check(
        "{% if 4 is divisibleby(0) %}y{% else %}n{% endif %}{{ 4 is divisibleby 2 }}",
        "ntrue",
    );
}

#[test]
fn knows_the_built_in_names() {
    check(
        "{{ profile.name }}/{{ assignment.name }}/{{ machine.name }}/{{ revision }}",
        "worker/rack//4f2a91c",
    );
    check(
        "{{ base_url }} {{ config_dir }}",
        "http://h http://h/config/0/",
    );
    check(
        "{{ ignition }} {{ configs['user-data'] }} {{ configs.motd }}",
        "http://h/config/1 http://h/config/2 http://h/config/3",
    );
    check(
        "{{ labels.site }}{{ labels['site'] }}{{ labels.nothing }}{{ labels.Site }}{{ labels.arch }}",
        "northnorthnortharm64",
    );
    let mut case = case();
    case.configs.insert("values".into(), "never".into());
    case.prints("{{ values.n }}{{ configs['values'] }}", "3never");
    case.in_script = false;
    case.refuses(
        "{{ revision }}",
        "revision",
        ProblemKind::RevisionOutOfScope,
    );
    case.refuses(
        "{{ secrets.x }}",
        "secrets",
        unknown_variable("secrets", None),
    );
}

#[test]
fn escapes_labels_in_scripts() {
    let script = case();
    let escaped = "SN%201%3B%26";
    for text in [
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
    ] {
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

#[test]
fn refuses_unknown_names_in_every_branch() {
    let case = case();
    case.refuses(
        "{% if false %}{{ ignitoin }}{% endif %}",
        "ignitoin",
        unknown_variable("ignitoin", Some("ignition")),
    );
    case.refuses(
        "{{ vlues.x }}",
        "vlues",
        unknown_variable("vlues", Some("values")),
    );
    case.refuses(
        "{% set host = 1 %}{{ hots }}",
        "hots",
        unknown_variable("hots", Some("host")),
    );
    case.refuses(
        "{% for x in [] %}{{ y }}{% endfor %}",
        "y",
        unknown_variable("y", None),
    );
    case.refuses("{{ loop.index }}", "loop", unknown_variable("loop", None));
    case.refuses(
        "{% if nothing is defined %}{% endif %}",
        "nothing",
        unknown_variable("nothing", None),
    );
    let config = |name: &str, similar: Option<&str>| ProblemKind::UnknownConfig {
        name: name.into(),
        similar: similar.map(str::to_owned),
    };
    case.refuses(
        "{{ configs['user-dta'] }}",
        "configs['user-dta']",
        config("user-dta", Some("user-data")),
    );
    case.refuses("{{ configs.zzz }}", "configs.zzz", config("zzz", None));
    let similar = |name: &str| Some(name.to_owned());
    case.refuses(
        "{{ 1|uper }}",
        "uper",
        ProblemKind::UnknownFilter {
            name: "uper".into(),
            similar: similar("upper"),
        },
    );
    case.refuses(
        "{{ [1]|map('uper')|list }}",
        "map('uper')",
        ProblemKind::UnknownFilter {
            name: "uper".into(),
            similar: similar("upper"),
        },
    );
    case.refuses(
        "{{ 1 is defind }}",
        "defind",
        ProblemKind::UnknownTest {
            name: "defind".into(),
            similar: similar("defined"),
        },
    );
    case.refuses(
        "{{ rnage(3) }}",
        "rnage",
        ProblemKind::UnknownFunction {
            name: "rnage".into(),
            similar: similar("range"),
        },
    );
    case.refuses(
        "{{ debug() }}",
        "debug",
        ProblemKind::UnknownFunction {
            name: "debug".into(),
            similar: None,
        },
    );
    case.refuses(
        "{{ configs('x') }}",
        "configs",
        ProblemKind::UnknownFunction {
            name: "configs".into(),
            similar: None,
        },
    );
    let field = |of: &str, name: &str, similar: Option<&str>| ProblemKind::UnknownField {
        of: of.into(),
        name: name.into(),
        similar: similar.map(str::to_owned),
    };
    case.refuses(
        "{{ profile.nam }}",
        "profile.nam",
        field("profile", "nam", Some("name")),
    );
    case.refuses(
        "{% for x in [1] %}{{ loop.idx }}{% endfor %}",
        "loop.idx",
        field("loop", "idx", None),
    );
    let all = case.problems("{{ a1 }}{{ b1|c1 }}{% if d1 %}{% endif %}");
    assert_eq!(
        all.iter().map(|(at, _)| at.as_str()).collect::<Vec<_>>(),
        ["a1", "b1", "c1", "d1"]
    );
}

#[test]
fn refuses_computed_keys() {
    let case = case();
    for (text, at) in [
        ("{{ labels[values.n] }}", "labels[values.n]"),
        ("{{ labels }}", "labels"),
        ("{{ labels|items }}", "labels"),
        ("{% set x = labels %}", "labels"),
        ("{% for k in labels %}{% endfor %}", "labels"),
        ("{{ labels['a' ~ 'b'] }}", "labels['a' ~ 'b']"),
    ] {
        case.refuses(text, at, ProblemKind::ComputedKey { of: "labels" });
    }
    case.refuses(
        "{{ configs[labels.x] }}",
        "configs[labels.x]",
        ProblemKind::ComputedKey { of: "configs" },
    );
    case.refuses(
        "{{ configs|length }}",
        "configs",
        ProblemKind::ComputedKey { of: "configs" },
    );
    case.refuses(
        "{{ labels[''] }}",
        "labels['']",
        ProblemKind::NoLabelName(String::new()),
    );
}

#[test]
fn says_what_is_not_supported() {
    let case = case().file("dir/lib", "{% macro m() %}{% endmacro %}{% set v = 1 %}");
    for (text, part) in [
        ("{% autoescape true %}{% endautoescape %}", "autoescape"),
        ("{% extends 'x' %}", "include"),
        ("{% block a %}{% endblock %}", "include"),
        ("{% include 'lib' ignore missing %}", "ignore missing"),
        ("{% set values = 1 %}", "built-in"),
        ("{% for labels in [] %}{% endfor %}", "built-in"),
        ("{% macro range() %}{% endmacro %}", "built-in"),
        (
            "{% set a = 1 %}{% macro a() %}{% endmacro %}",
            "another name",
        ),
        ("{% macro a() %}{% endmacro %}{{ a }}", "write `a(…)`"),
        ("{% set a = 1 %}{{ a(1) }}", "no macro"),
        ("{{ values.b.items() }}", "`|items`"),
        ("{{ 'a'.upper() }}", "`|upper`"),
        ("{% set a = 'x' %}{{ a.upper() }}", "`|upper`"),
        ("{{ ignition.upper() }}", "`|upper`"),
        ("{{ profile }}", "profile.name"),
        ("{{ range }}", "range(…)"),
        ("{{ namespace() }}", "stands alone"),
        ("{% set n = namespace() %}{% set m = n %}", "n.field"),
        ("{% set n = namespace() %}{% set n.a = [n] %}", "n.field"),
        ("{% set n = 1 %}{% set n.a = 2 %}", "namespace"),
        ("{% for x in [] recursive %}{% endfor %}", "recursive"),
        ("{% for x in [1] %}{{ loop }}{% endfor %}", "loop.index"),
        (
            "{% for x in [1] %}{{ loop.cycle() }}{% endfor %}",
            "loop.cycle",
        ),
        ("{{ 'abc'[5:10:-1] }}", "reverse"),
        ("{{ 'abc'[::values.n] }}", "reverse"),
        ("{% import 'lib' as l %}{{ l }}", "l.field"),
        ("{% import 'lib' as l %}{{ l.m }}", "l.m(…)"),
        ("{% import 'lib' as l %}{{ l.v() }}", "no macro"),
        ("{{ [1]|map(labels.x) }}", "literal"),
        ("{{ [1]|select(labels.x) }}", "literal"),
        ("{{ 'a' }", "expected"),
        ("{{ }}", "expected"),
        ("{% if true %}", "expected"),
        ("{% frob %}", "unknown statement"),
    ] {
        case.unsupported(text, part);
    }
    let field = ProblemKind::UnknownField {
        of: "l".into(),
        name: "mn".into(),
        similar: None,
    };
    assert_eq!(
        case.problems("{% import 'lib' as l %}{{ l.mn }}")[0].1,
        field
    );
    case.refuses(
        "{% from 'lib' import zz %}",
        "zz",
        unknown_variable("zz", None),
    );
}

#[test]
fn includes_relative_to_the_file() {
    let case = case()
        .file("dir/a", "a{% include 'sub/b' %}")
        .file("dir/sub/b", "b{% include '../c' %}{% include '/top' %}")
        .file("dir/c", "c{{ values.n }}")
        .file("top", "t\n");
    case.prints("{% include 'a' %}{% include './a' %}", "abc3t\nabc3t\n");
    let template = case.parse("{% include 'a' %}").unwrap();
    let paths: Vec<_> = template
        .sources()
        .iter()
        .map(|source| source.path.as_str())
        .collect();
    assert_eq!(paths, ["dir/main", "dir/a", "dir/c", "dir/sub/b", "top"]);
    let missing = |reference: &str, why| ProblemKind::IncludeNotFound {
        reference: reference.into(),
        why,
    };
    case.refuses(
        "{% include 'nope' %}",
        "'nope'",
        missing("nope", IncludeError::Missing),
    );
    case.refuses(
        "{% include '../../x' %}",
        "'../../x'",
        missing(
            "../../x",
            IncludeError::Path(crate::tree::PathError::Outside),
        ),
    );
    case.refuses(
        "{% include values.n %}",
        "values.n",
        ProblemKind::IncludeNotLiteral,
    );
    case.refuses(
        "{% include ['a', 'c'] %}",
        "['a', 'c']",
        ProblemKind::IncludeNotLiteral,
    );
}

#[test]
fn reports_problems_of_included_files_where_they_stand() {
    let case = case()
        .file("dir/inc", "é {{ nope }}")
        .file("dir/late", "é\n{{ 'a' ~ values.none }}");
    case.refuses(
        "{% include 'inc' %}",
        "nope",
        unknown_variable("nope", None),
    );
    let problem = case
        .render("{{ 'x' ~ 'y' }}{% include 'late' %}")
        .unwrap_err();
    assert_eq!(
        (problem.place.path.as_str(), problem.kind),
        ("dir/late", ProblemKind::PrintsNull)
    );
    assert_eq!(
        &case.files["dir/late"][problem.place.range],
        "'a' ~ values.none"
    );
    let text = "{{ 'a' ~ labels.serial ~ 'b' }}\n{{ labels.x * 2 }} {{ values.zip }}";
    case.fails(text, "values.zip", &ProblemKind::Undefined);
}

#[test]
fn refuses_circles() {
    let cycle = |path: &str| ProblemKind::IncludeCycle {
        path: RepoPath::parse(path).unwrap(),
    };
    case().refuses("{% include 'main' %}", "'main'", cycle("dir/main"));
    let two = case()
        .file("dir/a", "{% include 'b' %}")
        .file("dir/b", "{% import 'a' as a %}");
    assert_eq!(
        two.problems("{% include 'a' %}"),
        [("'a'".to_owned(), cycle("dir/a"))]
    );
    let names: Vec<&'static str> = vec![
        "dir/0", "dir/1", "dir/2", "dir/3", "dir/4", "dir/5", "dir/6", "dir/7", "dir/8",
    ];
    let chain = |depth: usize| {
        let mut case = case();
        for (index, name) in names[..depth].iter().enumerate() {
            let text = if index + 1 == depth {
                "end".to_owned()
            } else {
                format!("{{% include '{}' %}}", index + 1)
            };
            case = case.file(name, &text);
        }
        case
    };
    chain(8).prints("{% include '0' %}", "end");
    assert!(chain(9).parse("{% include '0' %}").is_err());
}

#[test]
fn macros_and_imports_work() {
    let case = case().file("dir/lib", "{% set base = 'B' %}{% macro arg(name, value='v') -%}\n{{ base }}{{ name }}={{ value }}{%- endmacro %}");
    case.prints(
        "{% import 'lib' as lib %}{{ lib.arg('a') }} {{ lib.arg('b', value=2) }} {{ lib.base }}",
        "Ba=v Bb=2 B",
    );
    case.prints(
        "{% from 'lib' import arg, base as b %}{{ arg('x')|upper }}{{ b }}",
        "BX=VB",
    );
    case.prints("{% macro box() %}[{{ caller() }}]{% endmacro %}{% call box() %}{{ values.n }}{% endcall %}", "[3]");
    case.prints("{% macro opt() %}{% if caller is defined %}y{% else %}n{% endif %}{% endmacro %}{{ opt() }}", "n");
    case.prints("{% macro fact(n) %}{% if n > 0 %}{{ n }} {{ fact(n - 1) }}{% endif %}{% endmacro %}{{ fact(3) }}", "3 2 1 ");
    case.prints("{% set n = namespace(sum=0) %}{% for x in [1, 2, 3] %}{% set n.sum = n.sum + x %}{% endfor %}{{ n.sum }}", "6");
    case.prints(
        "{% for x in values.dns -%}  {{ loop.index }}{{ x }} {%- endfor %}",
        "11.1.1.129.9.9.9",
    );
    case.prints("{% for x in [] %}a{% else %}none{% endfor %}", "none");
    case.prints("{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{% filter upper %}x{{ values.n }}{% endfilter %}", "3X3");
    case.prints("{% set ignition = 'mine' %}{{ ignition }}", "mine");
    assert!(
        case.usage("{% set ignition = 'mine' %}{{ ignition }}")
            .configs
            .is_empty()
    );
}

#[test]
fn filters_work() {
    check(
        "{{ values.users|map(attribute='name')|join(', ') }} {{ values.users|sum(attribute='id') }}",
        "ann, bob 3",
    );
    check(
        "{{ values.users|sort(attribute='id')|first|attr('name') }} {{ values.users|join(',', attribute='id') }}",
        "bob 2,1",
    );
    check(
        "{{ 'a,b'|split(',')|join('+') }} {{ [3, 1, 2]|sort|join }} {{ [1, 2]|reverse|join }} {{ 'ab'|reverse }}",
        "a+b 123 21 ba",
    );
    check(
        "{{ 'x'|default('y') }}{{ ''|default('y', true) }} {{ 'A'|lower }}{{ ' a '|trim }} {{ 'aXa'|replace('X', '--') }}",
        "xy aa a--a",
    );
    check(
        "{{ 'a\nb'|indent(2) }}|{{ [1, 2, 3]|batch(2)|first|join }}|{{ [1, 1]|unique|length }}|{{ '7'|int + 1 }}",
        "a\n  b|12|1|8",
    );
    check(
        "{{ range(3)|join }} {{ range(1, 7, 2)|join }} {{ range(3, 0, -1)|join }} {{ range(0)|join }}",
        "012 135 321 ",
    );
    check(
        "{{ [1, 2, 3]|select('odd')|join }} {{ values.users|selectattr('id', 'eq', 1)|map(attribute='name')|join }}",
        "13 bob",
    );
    check(
        "{{ 2.5|round }} {{ 'x'|sh }} {{ 'a b'|urlencode }} {{ values.b|length }} {{ values.dns|last }}",
        "2.0 'x' a%20b 2 9.9.9.9",
    );
    check(
        "{{ values.nothing|default('d') }} {{ values.sites['east']|default('none') }}",
        "d none",
    );
}

#[test]
fn reads_the_older_spellings() {
    let older = case().older();
    older.prints(
        "kernel {{ .ignition }} {{.motd}} {{- .motd -}} x",
        "kernel http://h/config/1 http://h/config/3http://h/config/3x",
    );
    older.prints(
        "{{ .AdditionalContent.ignition }} {{ index . \"user-data\" }}{{index . \"motd\"}}",
        "http://h/config/1 http://h/config/2http://h/config/3",
    );
    older.prints(
        "{% if true %}{{ .motd }}{% endif %}{{ labels.site }}{{ configs['motd'] }}",
        "http://h/config/3northhttp://h/config/3",
    );
    assert_eq!(
        older.usage("{{ .motd }}").configs,
        ["motd".to_owned()].into()
    );
    let unknown = ProblemKind::UnknownConfig {
        name: "nope".into(),
        similar: None,
    };
    older.refuses("é {{ .nope }}", ".nope", unknown);
    for text in [
        "{{ if .x }}a{{ end }}",
        "{{ .A.B }}",
        "{{ range $i := .x }}",
        "{{ .x | quote }}",
        "{{/* c */}}",
        "{{ $x }}",
    ] {
        let problems = older.problems(text);
        let all_go = problems.iter().all(
            |(_, kind)| matches!(kind, ProblemKind::Unsupported(words) if words.contains("Go")),
        );
        assert!(all_go, "{text}: {problems:?}");
    }
    assert!(matches!(
        &case().problems("{{ .x }}")[..],
        [(_, ProblemKind::Syntax(_))]
    ));
}

/// Runs on a stack of 1 MiB, half of what the threads of a server have.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn deep_nesting_is_an_error() {
    on_a_small_stack(|| {
        for text in [
            format!("{{{{ {}1 }}}}", "(".repeat(100_000)),
            format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000)),
            format!("{{{{ {}1{} }}}}", "[".repeat(10_000), "]".repeat(10_000)),
            format!("{{{{ {}1 }}}}", "not ".repeat(100_000)),
            format!("{{{{ {}1 }}}}", "-".repeat(100_000)),
            format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(50_000)),
            format!("{{{{ 1{} }}}}", "~1".repeat(100_000)),
            format!("{{{{ 1{} }}}}", "|int".repeat(100_000)),
            format!("{{{{ values{} }}}}", ".a".repeat(100_000)),
            format!("{{{{ values{} }}}}", "[0]".repeat(100_000)),
            format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(20_000)),
            format!(
                "{{% set {}a{} = 1 %}}",
                "(".repeat(100_000),
                ")".repeat(100_000)
            ),
            "{% if 1 %}".repeat(20_000),
            "{% for x in [] %}".repeat(20_000),
            format!(
                "{}{}",
                "{% if 1 %}".repeat(20_000),
                "{% endif %}".repeat(20_000)
            ),
        ] {
            assert!(case().parse(&text).is_err(), "{}…", &text[..40]);
        }
    });
}

#[test]
fn what_the_guards_admit_fits_the_stack() {
    on_a_small_stack(|| {
        let case = case();
        let chain = limits::CHAIN / 2 - 1;
        case.prints(
            &format!("{{{{ 1{} }}}}", "~1".repeat(chain)),
            &"1".repeat(chain + 1),
        );
        case.prints(&format!("{{{{ 'a'{} }}}}", "|trim".repeat(chain)), "a");
        case.prints(
            &format!("{{{{ 1{} }}}}", " + 1".repeat(chain)),
            &(chain + 1).to_string(),
        );
        case.prints(
            &format!("{{{{ {}1 }}}}", "not ".repeat(limits::CHAIN - 2)),
            "true",
        );
        case.prints(
            &format!("{{{{ {}1{} }}}}", "(".repeat(70), ")".repeat(70)),
            "1",
        );
        case.prints(
            &format!(
                "{{% if 0 %}}{}{{% endif %}}",
                "{% elif 1 %}x".repeat(limits::ELIFS)
            ),
            "x",
        );
        case.prints(
            &format!("{}x{}", "{% if 1 %}".repeat(60), "{% endif %}".repeat(60)),
            "x",
        );
        let many: String = (0..5_000).map(|item| format!("{item},")).collect();
        case.prints(&format!("{{{{ [{many}values.n]|length }}}}"), "5001");
    });
}

#[test]
fn bombs_end() {
    let loops = |depth: usize, body: &str| {
        format!(
            "{}{body}{}",
            "{% for x in range(10000) %}".repeat(depth),
            "{% endfor %}".repeat(depth)
        )
    };
    let text = "x".repeat(100_000);
    let bombs = [
        loops(3, ""),
        loops(3, &text),
        format!("{{% set a %}}{}{{% endset %}}", loops(2, &text)),
        loops(2, "{{ values.mirror }}"),
        "{{ 'a' * 10**9 }}".into(),
        "{{ 'a' * 100000000 }}".into(),
        "{{ range(10**9) }}".into(),
        "{{ range(-9223372036854775808, 9223372036854775807) }}".into(),
        format!(
            "{{% set a = 'aaaaaaaa' %}}{}",
            "{% set a = a ~ a %}".repeat(60)
        ),
        format!(
            "{{% set a = 'aaaaaaaa' %}}{}",
            "{% set a = a + a %}".repeat(60)
        ),
        format!(
            "{{% set a = 'aaaaaaaa' %}}{}",
            "{% set a %}{{ a }}{{ a }}{% endset %}".repeat(60)
        ),
        format!(
            "{{% set a = 'aaaaaaaa' %}}{}",
            "{% set a = a|replace('a', a) %}".repeat(9)
        ),
        format!("{{% set a = [1, 2] %}}{}", "{% set a = a + a %}".repeat(60)),
        format!(
            "{{% set a = [1, 2] %}}{}",
            "{% set a = [a, a] %}".repeat(60)
        ),
        format!(
            "{{% set a = [1, 2] %}}{}",
            "{% set a = {'a': a, 'b': a} %}".repeat(60)
        ),
        format!("{{% set a = [1, 2] %}}{}", "{% set a = a, a %}".repeat(60)),
        format!(
            "{{% set a = [1, 2] %}}{}",
            "{% set a = dict(a=a, b=a) %}".repeat(60)
        ),
        format!("{{% set a = [1] %}}{}", "{% set a = [a] %}".repeat(20_000)),
        format!(
            "{{% set a = [1] %}}{}",
            "{% set a = a|batch(1) %}".repeat(20_000)
        ),
        format!(
            "{{% set n = namespace(a=[1]) %}}{}",
            "{% set n.a = [n.a] %}".repeat(20_000)
        ),
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".into(),
        "{% macro m(a) %}{{ m([a]) }}{% endmacro %}{{ m(1) }}".into(),
        format!(
            "{{% macro m() %}}{text}{{% endmacro %}}{{% set a = [{}1] %}}",
            "m(),".repeat(1_900)
        ),
        format!(
            "{{{{ range(10000)|batch(1)|map('join', '{text}')|list|length }}}}{{{{ range(10000)|join('{text}') }}}}"
        ),
        "{{ 'a\nb'|indent(1000000000) }}".into(),
        "{{ [1]|batch(1000000000, 1) }}".into(),
        "{{ [1]|slice(1000000000) }}".into(),
        "{{ [1] * 1000000000 }}".into(),
        format!(
            "{{% set a = range(10000) %}}{}",
            "{% set b = a|sort|list|unique|length %}".repeat(2_000)
        ),
        "{% include 'half' %}".repeat(20),
        format!(
            "{{% set a %}}{}{{% endset %}}",
            "{% include 'half' %}".repeat(10_000)
        ),
    ];
    on_a_small_stack(move || {
        let case = case().file("dir/half", &"x".repeat(500_000));
        for bomb in &bombs {
            let start = std::time::Instant::now();
            let result = case
                .parse(bomb)
                .map(drop)
                .map_err(|problems| problems[0].kind.clone());
            let result = result.and_then(|()| case.render(bomb).map_err(|problem| problem.kind));
            let seconds = start.elapsed().as_secs();
            assert!(
                result.is_err() && seconds < 20,
                "{}… {seconds} s {}",
                &bomb[..60.min(bomb.len())],
                result.is_ok()
            );
        }
    });
}

#[test]
fn limits_say_what_they_are() {
    let case = case().file("dir/half", &"x".repeat(1_000_000));
    case.fails(
        &"{% include 'half' %}".repeat(5),
        "",
        &ProblemKind::OutputTooLarge,
    );
    let text = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    assert_eq!(case.render(text).unwrap_err().kind, ProblemKind::Fuel);
    let big = "x".repeat(limits::SOURCE_BYTES + 1);
    case.refuses(&big, "", ProblemKind::TooLarge);
}

#[test]
fn templates_are_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Template>();
    shared::<Values>();
}

#[test]
fn finds_values_like_a_template() {
    let values = case().values;
    let find = |path: &str| {
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        look_up(&values, &path).cloned()
    };
    assert_eq!(find("b.a.deep"), Some(json!("yes")));
    assert_eq!(find("dns.1"), Some(json!("9.9.9.9")));
    assert_eq!(find("vlans.10"), Some(json!("ten")));
    for path in ["dns.2", "dns.01", "dns.x", "n.x", "nothing"] {
        assert_eq!(find(path), None, "{path}");
    }
    for (json, text) in [
        ("1.0", "1.0"),
        ("1.5", "1.5"),
        ("-3", "-3"),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        assert_eq!(printed_number(&serde_json::from_str(json).unwrap()), text);
    }
}

/// Pieces of templates, so that random texts get past the lexer.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "{{",
        "}}",
        "{%",
        "%}",
        "{{-",
        "-%}",
        "{%#",
        "#%}",
        "{% if ",
        "{% endif %}",
        "{% for x in ",
        "{% endfor %}",
        "{% set x = ",
        "{% set x %}",
        "{% endset %}",
        "{% macro m(a) %}",
        "{% endmacro %}",
        "{% else %}",
        "{% raw %}",
        "{% endraw %}",
        "{% include 'inc' %}",
        "labels.x",
        "values.b",
        "values.n",
        "x",
        "m(",
        "a",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'",
        "\"",
        "1",
        "0",
        "-",
        "~",
        "+",
        "*",
        "/",
        "**",
        "%",
        "|",
        "|upper",
        "|join(",
        "|sh",
        "|int",
        "|round",
        " is ",
        " in ",
        " not ",
        " if ",
        " else ",
        " and ",
        "==",
        "<",
        ":",
        ",",
        ".",
        "=",
        "é",
        "\n",
        "\u{0}",
        " ",
        "$",
        "\\",
        "ignition",
        "range(",
        "loop.index",
        "true",
        "none",
        "{{ .x }}",
        "{{ index . \"motd\" }}",
    ];
    prop_oneof![
        8 => prop::sample::select(pieces.map(str::to_owned).to_vec()),
        1 => "\\PC{0,4}",
    ]
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(pieces in prop::collection::vec(piece(), 0..24), older: bool) {
        let mut case = case().file("dir/inc", "{{ labels.x }}{{ x }}");
        if older {
            case = case.older();
        }
        let text = pieces.concat();
        match case.parse(&text) {
            Ok(_) => {
                if let Err(problem) = case.render(&text) {
                    prop_assert_ne!(case.slice(&text, &problem.place), "(out of the text)");
                }
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert_ne!(case.slice(&text, &problem.place), "(out of the text)");
                }
            }
        }
    }

    #[test]
    fn arbitrary_expressions_never_panic(pieces in prop::collection::vec(piece(), 0..8)) {
        let text = format!("{{{{ {} }}}}", pieces.concat());
        let case = case();
        if case.parse(&text).is_ok() {
            let _ = case.render(&text);
        }
    }

    #[test]
    fn a_label_stays_in_its_place_in_a_script(value: String, template in prop::sample::select(vec![
        "{{ labels.x }}", "{{ labels.x|upper }}", "{{ labels.x[1:] }}", "{{ labels.x|trim }}", "{{ labels.x ~ labels.x }}",
        "{{ labels.x|sh|replace(\"'\", '') }}", "{{ labels.x|list|join('') }}", "{% for c in labels.x|list %}{{ c }}{% endfor %}",
        "{% set v = labels.x|title %}{{ v }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(labels.x) }}", "{{ labels.x|split('a')|last }}",
        "{{ labels.x|reverse }}", "{{ labels.x|first|default('') }}", "{{ labels.x|urlencode }}", "{{ labels.x|int(7) }}", "{{ labels.x|indent(2, true) }}",
        "{{ labels.x|capitalize }}", "{{ labels.x|lines|join(';') }}", "{{ labels.x|float(0) }}", "{{ labels.x|replace('a', labels.x) }}",
    ])) {
        let printed = case().label("x", &value).render(template).unwrap();
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@/+,=%".contains(&byte);
        prop_assert!(printed.bytes().all(safe), "{printed:?}");
    }

    #[test]
    fn a_script_gives_the_label_back(value: String) {
        let printed = case().label("x", &value).render("{{ labels.x }}").unwrap();
        let mut bytes = Vec::new();
        let mut rest = printed.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            if byte == b'%' {
                let hex = std::str::from_utf8(&tail[..2]).unwrap();
                prop_assert_eq!(hex.to_ascii_uppercase(), hex);
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &tail[2..];
            } else {
                bytes.push(byte);
                rest = tail;
            }
        }
        prop_assert_eq!(bytes, value.into_bytes());
    }

    #[test]
    fn json_gives_the_label_back(value: String) {
        let case = case().kind(Kind::Json).label("x", &value);
        for template in [
            r#"{"a": "{{ labels.x }}"}"#,
            r#"{"a": {{ labels.x|tojson }}}"#,
            r#"{"a": "{% set v = labels.x %}{{ v }}"}"#,
            r#"{"a": "{% macro m(v) %}{{ v }}{% endmacro %}{{ m(labels.x) }}"}"#,
        ] {
            let printed = case.render(template).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).ok(), Some(json!({ "a": value })));
        }
    }

    #[test]
    fn yaml_gives_the_label_back(value: String) {
        let printed = case().kind(Kind::Other).label("x", &value).render("{{ labels.x|yaml }}").unwrap();
        prop_assert!(!printed.contains('\n'));
        prop_assert_eq!(serde_yaml::from_str::<String>(&printed).ok(), Some(value));
    }
}
