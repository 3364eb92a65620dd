use super::*;

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
            "{% set x %}".repeat(20_000),
            "{% macro m() %}{% call m() %}{% filter trim %}{% with %}".repeat(20_000),
            "{{ (".repeat(10_000),
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
        let depth = limits::NESTING;
        case.prints(
            &format!("{{{{ {}1{} }}}}", "(".repeat(depth), ")".repeat(depth)),
            "1",
        );
        case.prints(
            &format!(
                "{{{{ {}values.n{} }}}}",
                "[".repeat(depth),
                "][0]".repeat(depth)
            ),
            "3",
        );
        case.prints(
            &format!("{{{{ {}1{} }}}}", "(0 ~ ".repeat(depth), ")".repeat(depth)),
            &format!("{}1", "0".repeat(depth)),
        );
        let (open, close) = (
            "{% if 0 %}{% else %}".repeat(depth - 1),
            "{% endif %}".repeat(depth - 1),
        );
        let elifs = "{% elif 1 %}x".repeat(limits::ELIFS);
        case.prints(
            &format!("{open}{{% if 0 %}}{elifs}{{% endif %}}{close}"),
            "x",
        );
        let (open, close) = (
            "{% for x in [1] %}".repeat(depth - 1),
            "{% endfor %}".repeat(depth - 1),
        );
        case.prints(
            &format!(
                "{open}{{% set x %}}{{{{ 1{} }}}}{{% endset %}}{{{{ x|length }}}}{close}",
                "~1".repeat(150)
            ),
            "151",
        );
        let many = (0..5_000)
            .map(|item| item.to_string())
            .collect::<Vec<_>>()
            .join(",");
        case.prints(&format!("{{{{ [{many},values.n]|length }}}}"), "5001");
    });
}

fn loops(depth: usize, body: &str) -> String {
    let (open, close) = ("{% for x in range(10000) %}", "{% endfor %}");
    format!("{}{body}{}", open.repeat(depth), close.repeat(depth))
}

/// Templates that would print or hold very long texts.
fn text_bombs(text: &str) -> Vec<String> {
    vec![
        loops(3, ""),
        loops(3, text),
        format!("{{% set a %}}{}{{% endset %}}", loops(2, text)),
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
    ]
}

/// Templates that would hold, nest or compute very much.
fn value_bombs(text: &str) -> Vec<String> {
    vec![
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
    ]
}

/// Templates that do much with few instructions.
fn work_bombs() -> Vec<String> {
    vec![
        format!(
            "{{% set a = range(9999)|list %}}{}",
            loops(2, "{% if a == a %}{% endif %}")
        ),
        format!(
            "{{% set a = range(9999)|list %}}{}",
            loops(2, "{% if -1 in a %}{% endif %}")
        ),
        format!(
            "{{% set a = range(9999)|list %}}{}",
            loops(2, "{% if a is eq(a) %}{% endif %}")
        ),
        format!(
            "{{% set a = 'a' * 999999 %}}{}",
            loops(2, "{% if 1 == 2 != a %}{% endif %}")
        ),
        format!(
            "{{% set a = 'a' * 999999 %}}{}",
            loops(2, "{% if a|sh is defined %}{% endif %}")
        ),
        format!(
            "{{% set a = 'a' * 999999 %}}{{{{ [{}1]|sort|length }}}}",
            "a,".repeat(1_000)
        ),
        format!(
            "{{% set a = 'a' * 3999999 %}}{}",
            loops(2, "{% if a[3999990:] %}{% endif %}")
        ),
        format!(
            "{{% set a = 'a' * 3999999 %}}{}",
            loops(2, "{% if (a)[3999990:][1:] %}{% endif %}")
        ),
        format!(
            "{{% set a = 'a' * 3999999 %}}{}",
            loops(2, "{% if a[3999990] %}{% endif %}")
        ),
        format!(
            "{{% set a = 'a' * 3999999 %}}{}",
            loops(2, "{% if [a][0][x + 3999000] %}{% endif %}")
        ),
        format!(
            "{{% set a = range(9999)|list %}}{}",
            loops(2, "{% if a[9990:] %}{% endif %}")
        ),
        format!(
            "{{% set a = 'a' * 3999999 %}}{{% set b = 'a' * 3999999 %}}{}",
            loops(2, "{% if loop.changed(a if x is odd else b) %}{% endif %}")
        ),
        "{% include 'half' %}".repeat(20),
        format!(
            "{{% set a %}}{}{{% endset %}}",
            "{% include 'half' %}".repeat(10_000)
        ),
    ]
}

#[test]
fn bombs_end() {
    let text = "x".repeat(100_000);
    let bombs = [text_bombs(&text), value_bombs(&text), work_bombs()].concat();
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
fn huge_templates_parse_in_time() {
    let macros: String = "{% macro a(x, y) %}{% endmacro %}".repeat(12_000);
    let calls = "{{ a(labels.x, y=1) }}".repeat(24_000);
    let unknown = (0..20_000)
        .map(|number| format!("{{{{ unknown{number} }}}}"))
        .collect::<Vec<_>>()
        .concat();
    let assigned = (0..20_000)
        .map(|number| format!("{{% set known{number} = 1 %}}"))
        .collect::<Vec<_>>()
        .concat();
    let long = format!(
        "{{{{ {} }}}}{{% set {} = 1 %}}",
        "a".repeat(400_000),
        "b".repeat(400_000)
    );
    let start = std::time::Instant::now();
    assert!(case().parse(&format!("{macros}{calls}")).is_ok());
    assert_eq!(
        case().problems(&format!("{unknown}{assigned}")).len(),
        limits::PROBLEMS
    );
    assert_eq!(case().problems(&long).len(), 1);
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

/// What finding something in a text costs is counted, wherever the text comes from and however it is written.
#[test]
fn looking_into_long_texts_is_charged() {
    let case = case();
    let long = limits::WORK / 8;
    for look_up in [
        "a[1:]",
        "a[0]",
        "(a)[0:1:1]",
        "((a))[0]",
        "(a ~ '')[0]",
        "{'b': a}.b[0]",
        "{'b': a}['b'][x]",
        "[a][0][0]",
        "a[1:][1:][1:]",
        "a|upper",
        "loop.changed(a)",
        "loop.changed(1, a)",
    ] {
        let text = format!(
            "{{% set a = 'x' * {long} %}}{{% for x in range(10) %}}{{% if {look_up} %}}{{% endif %}}{{% endfor %}}"
        );
        assert_eq!(
            case.render(&text).unwrap_err().kind,
            ProblemKind::Fuel,
            "{look_up}"
        );
    }
    // Lists are found at once, and short texts cost what they are.
    case.prints(
        "{% set a = range(9999)|list %}{% for x in range(2000) %}{% if a[x] == 'abcdef'[2:4] %}{% endif %}{% endfor %}{{ a[1998:][1] }}{{ ('ab' ~ 'c')[1] }}{{ {'a': [7]}['a'].0 }}",
        "1999b7",
    );
    case.prints(
        "{% for x in [1, 1, 2] %}{{ 'c' if loop.changed(x, 3,) else '-' }}{% endfor %}",
        "c-c",
    );
    case.prints(
        "{% set a = [[[[1]]]] %}{{ a[0][0][0][0] }}{{ ((a[0])[0][0])[0] }}",
        "11",
    );
}
