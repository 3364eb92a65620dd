use proptest::prelude::*;

use super::*;

/// Pieces of templates, so that random texts get past the lexer.
const PIECES: &[&str] = &[
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

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(str::to_owned),
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
