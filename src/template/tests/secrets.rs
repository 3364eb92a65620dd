//! Secrets: in scope in configs, and in no message.

use super::super::engine;
use super::*;

fn config() -> Case {
    let mut case = case();
    case.kind = Kind::Other;
    case.in_script = false;
    case
}

#[test]
fn configs_print_secrets() {
    let config = config();
    config.prints(
        "{{ secrets.token }} {{ secrets['pin'] + 1 }}",
        "hunter2 1235",
    );
    config.prints("{{ secrets.db.password|tojson }}", r#""p\"w""#);
    config.prints("{{ secrets[values.dns[0]] if false }}x", "x");
    config.prints("{% set all = secrets %}{{ all.token|upper }}", "HUNTER2");
    let mut own = super::case();
    own.configs.insert("secrets".into(), "never".into());
    own.in_script = false;
    own.prints(
        "{{ secrets.token }} {{ configs['secrets'] }}",
        "hunter2 never",
    );
}

#[test]
fn secrets_are_listed_like_values() {
    let text = "{{ secrets.db.password }}{% if false %}{{ secrets[values.n] }}{% endif %}";
    let template = config().parse(text).unwrap();
    let paths = template.usage().secrets.iter();
    let paths: Vec<_> = paths
        .map(|one| (one.path.join("."), one.computed, one.printed))
        .collect();
    let expected = [
        ("db.password".to_owned(), false, true),
        (String::new(), true, false),
    ];
    assert_eq!(paths, expected);
    let names: Vec<_> = (template.usage().values.iter())
        .map(|one| one.path.join("."))
        .collect();
    assert_eq!(names, ["n"]);
}

#[test]
fn it_is_told_whether_a_label_may_choose_a_secret() {
    for (text, expected) in [
        ("{{ secrets.db.password }}", false),
        ("{{ secrets[machine.name] }}", false),
        ("{{ secrets.db[values.dns[0]].x }}", false),
        ("{{ secrets[labels.serial] }}", true),
        ("{{ secrets.db['a' ~ labels.serial|lower].x }}", true),
        ("{% set key = labels.serial %}{{ secrets.db[key] }}", true),
        ("{% set all = secrets %}{{ all[labels.serial] }}", true),
    ] {
        let template = config().parse(text).unwrap();
        let told = template.usage().secrets.iter().any(|one| one.by_label);
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn scripts_know_no_secrets_wherever_they_are_written() {
    let script = case().file("dir/inner", "a {{ secrets.token }}").file(
        "dir/macros",
        "{% macro m() %}{{ secrets.token }}{% endmacro %}",
    );
    for text in [
        "#!ipxe\n{{ secrets.token }}",
        "{% if false %}{{ secrets.token }}{% endif %}",
        "{% set x = secrets %}",
        "{{ [secrets][0].token|length }}",
        "{{ secrets is defined }}",
        "{% include 'inner' %}",
        "{% from 'macros' import m %}",
    ] {
        let problems = script.parse(text).expect_err(text);
        assert!(
            problems
                .iter()
                .all(|one| one.kind == ProblemKind::SecretsOutOfScope),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn nothing_that_fails_quotes_a_secret() {
    quotes_none(&config(), &["hunter", "1234", "2retnuh"]);
    let mut odd = config();
    // A cut between the bytes of a character would be a panic, whose words show the text.
    odd.secrets = json!({"token": "hün€𝄞r", "pin": -1234.5, "db": {"pässword": "ü"}});
    quotes_none(&odd, &["hün", "€𝄞", "1234", "r𝄞"]);
}

/// Fails in all ways that there are, and looks for these parts of secrets in what is told.
fn quotes_none(config: &Case, secrets: &[&str]) {
    let filters = engine::filter_names().flat_map(|name| {
        let arguments = [
            "",
            "(secrets.token)",
            "(1)",
            "('x', secrets.token)",
            "(2)",
            "(2, '€')",
            "('€', 'ü')",
            "(length=2, end='')",
            "(attribute=secrets.token)",
        ];
        arguments.map(|arguments| format!("{name}{arguments}"))
    });
    let tests = engine::test_names().map(|name| format!("default(secrets.token is {name})"));
    let operators = ["+", "-", "*", "/", "//", "%", "**", "~", "<", "in"].map(|operator| {
        format!("default(secrets.token {operator} 1 or secrets.db {operator} secrets.token)")
    });
    let others = [
        "default(range(secrets.token))",
        "default(dict(secrets.token))",
        "default(secrets.token.nothing)",
        "default(secrets.token[secrets.db])",
        "default(secrets.db[secrets.token].x)",
        "default(secrets.token[secrets.token:])",
        "default(secrets.token[1:2])",
        "default(secrets.token[-2:])",
        "default(secrets.token[::2])",
        "default(secrets.token[::-1])",
        "default(secrets.token[9])",
        "default(secrets.token * 99999999)",
        "default(namespace(secrets.token))",
        "upper(**{secrets.token: 1})",
        "default(range(**{secrets.token: 1}))",
        "default(dict(**{secrets.token: 1}))",
        "indent(**{secrets.token: 1})",
        "default(-secrets.token)",
        "default(values[secrets.token].x)",
    ];
    let all = filters
        .chain(tests)
        .chain(operators)
        .chain(others.map(str::to_owned));
    let mut failed = 0;
    for expression in all {
        for of in [
            "secrets.token",
            "secrets.db",
            "secrets.pin",
            "[secrets.token]",
            "secrets",
        ] {
            let text = format!("{{{{ {of}|{expression} }}}}");
            let problems = match config.parse(&text) {
                Ok(_) => config.render(&text).err().into_iter().collect(),
                Err(problems) => problems,
            };
            failed += problems.len();
            let told = format!("{problems:?}").to_lowercase();
            for secret in secrets {
                assert!(!told.contains(secret), "{text}: {told}");
            }
        }
    }
    assert!(failed > 200, "{failed}");
}
