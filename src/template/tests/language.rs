use super::*;

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
        "{{ index .AdditionalContent \"user-data\" }} {{ .user-data }} {{- .AdditionalContent.user-data -}} x",
        "http://h/config/2 http://h/config/2http://h/config/2x",
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
        "{{ .A.b-c }}",
        "{{ .x - 1 }}",
        "{{ .-x }}",
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

#[test]
fn names_pass_through_several_files() {
    let case = case()
        .file(
            "dir/f",
            "{% macro show(it) %}<{{ it }}>{% endmacro %}{% set word = labels.serial %}",
        )
        .file(
            "dir/g",
            "{% from 'f' import show as display, word as term %}",
        );
    case.prints(
        "{% from 'g' import display as d, term as t %}{{ d(labels.serial) }} {{ t }}",
        "<SN%201%3B%26> SN%201%3B%26",
    );
    let clash = "{% from 'f' import show as a %}{% from 'f' import word as a %}";
    case.unsupported(clash, "already used");
    case.unsupported("{% from 'f' import word as values %}", "already used");
}

#[test]
fn compares() {
    check(
        "{{ values.n == 3 }} {{ 3 == values.n }} {{ (values.n) == (values.n) }} {{ values.n==values.n }}",
        "true true true true",
    );
    check(
        "{{ 1 < values.n < 4 }} {{ 1 < (2) < values.n <= (values.n) }} {{ 5 > values.n != (2 + 2) }}",
        "true true true",
    );
    check(
        "{{ '1.1.1.1' in values.dns }} {{ 'x' not in values.dns }} {{ not 'x' in (values.dns) }} {{ 1 not in[1, values.n] }}",
        "true true true false",
    );
    check(
        "{{ 'x' if values.n == values.n else 'y' }} {{ (values.n == values.n) ~ '!' }} {{ [values.n == values.n, 1 == 2]|join }}",
        "x true! truefalse",
    );
    check(
        "{% if values.n == values.n and (values.n > values.f or not values.n) %}y{% endif %}",
        "y",
    );
    check(
        "{{ 1 == 1 == values.n }} {{ 'a' ~ 'b' == 'a' ~ 'b' }} {{ 1 + 2 in [values.n] }} {{ -values.n < -values.f }}",
        "false true true true",
    );
    check(
        "{{ 3 is eq(values.n) }} {{ values.n is in([3]) }} {{ values.mirror|length > values.dns|length }}",
        "true true true",
    );
}
