use super::*;

/// A problem in one line: its place, what is unknown, and what is like it.
fn unknown(text: &str) -> String {
    let problems = case().problems(text);
    let [(at, kind)] = problems.as_slice() else {
        panic!("{text}: {problems:?}")
    };
    let (what, similar) = match kind {
        ProblemKind::UnknownVariable { name, similar } => (format!("variable {name}"), similar),
        ProblemKind::UnknownConfig { name, similar } => (format!("config {name}"), similar),
        ProblemKind::UnknownFilter { name, similar } => (format!("filter {name}"), similar),
        ProblemKind::UnknownTest { name, similar } => (format!("test {name}"), similar),
        ProblemKind::UnknownFunction { name, similar } => (format!("function {name}"), similar),
        ProblemKind::UnknownField { of, name, similar } => {
            (format!("field {name} of {of}"), similar)
        }
        other => panic!("{text}: {other:?}"),
    };
    format!("{at}: {what}, {}", similar.as_deref().unwrap_or("-"))
}

#[test]
fn refuses_unknown_names_in_every_branch() {
    for (text, expected) in [
        (
            "{% if false %}{{ ignitoin }}{% endif %}",
            "ignitoin: variable ignitoin, ignition",
        ),
        ("{{ vlues.x }}", "vlues: variable vlues, values"),
        ("{% set host = 1 %}{{ hots }}", "hots: variable hots, host"),
        ("{% for x in [] %}{{ y }}{% endfor %}", "y: variable y, -"),
        ("{{ loop.index }}", "loop: variable loop, -"),
        (
            "{% if nothing is defined %}{% endif %}",
            "nothing: variable nothing, -",
        ),
        (
            "{{ configs['user-dta'] }}",
            "configs['user-dta']: config user-dta, user-data",
        ),
        ("{{ configs.zzz }}", "configs.zzz: config zzz, -"),
        ("{{ 1|uper }}", "uper: filter uper, upper"),
        (
            "{{ [1]|map('uper')|list }}",
            "map('uper'): filter uper, upper",
        ),
        ("{{ [1]|select('od')|list }}", "select('od'): test od, odd"),
        ("{{ 1 is defind }}", "defind: test defind, defined"),
        ("{{ rnage(3) }}", "rnage: function rnage, range"),
        ("{{ debug() }}", "debug: function debug, -"),
        ("{{ configs('x') }}", "configs: function configs, -"),
        (
            "{{ profile.nam }}",
            "profile.nam: field nam of profile, name",
        ),
        (
            "{% for x in [1] %}{{ loop.idx }}{% endfor %}",
            "loop.idx: field idx of loop, -",
        ),
    ] {
        assert_eq!(unknown(text), expected, "{text}");
    }
    let all = case().problems("{{ a1 }}{{ b1|c1 }}{% if d1 %}{% endif %}");
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
