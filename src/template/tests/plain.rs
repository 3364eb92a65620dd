//! Which templates are rendered without a virtual machine. That both ways print the same is asserted at every render.

use proptest::prelude::*;

use super::*;

#[test]
fn what_only_prints_needs_no_virtual_machine() {
    let case = case();
    let prints = |text: &str, expected: &str| {
        assert!(case.parse(text).unwrap().plain.is_some(), "{text}");
        case.prints(text, expected);
    };
    prints(
        "#!ipxe\nkernel {{ values.mirror }} serial={{ labels.serial }} {{ ignition }}\n",
        "#!ipxe\nkernel http://m/x y serial=SN%201%3B%26 http://h/config/1\n",
    );
    prints(
        "{{ values.b.a.deep }}{{ values.n }}{{ values.flag }}{{ values.f }}",
        "yes3true1.5",
    );
    prints(
        "{{ configs[\"user-data\"] }} {{ configs.motd }}",
        "http://h/config/2 http://h/config/3",
    );
    prints(
        "{{ base_url }} {{ config_dir }} {{ revision }}",
        "http://h http://h/config/0/ 4f2a91c",
    );
    prints(
        "{{ profile.name }} {{ assignment.name }} [{{ machine.name }}]",
        "worker rack []",
    );
    prints(
        "{{ labels.asset }}{{ labels[\"arch\"] }}${x}{%# no #%}",
        "arm64${x}",
    );
}

#[test]
fn what_does_more_is_left_to_it() {
    for text in [
        "{% if values.flag %}a{% endif %}",
        "{{ values.n + 1 }}",
        "{{ labels.serial|sh }}",
        "{{ values.dns[0] }}",
        "{% set a = 1 %}{{ a }}",
    ] {
        assert!(case().parse(text).unwrap().plain.is_none(), "{text}");
    }
    // These are plain, but cannot be printed: minijinja says why.
    let null = ProblemKind::PrintsNull;
    case().fails("x{{ values.none }}", "values.none", &null);
}

/// Pieces of templates that may be looked through: what they print, and whatever may stand beside it.
const PIECES: [&str; 57] = [
    "{{ values.mirror }}",
    "{{- values.b.a.deep -}}",
    "{{+ values.n +}}",
    "{{ values.f }}",
    "{{ values.big }}",
    "{{ values.flag }}{{ values.off }}",
    "{{ values.none }}",
    "{{ values.dns }}",
    "{{ values.b }}",
    "{{ values.missing }}",
    "{{ values.mirror.x }}",
    "{{ values.n.x }}",
    "{{ values.none.x }}",
    "{{ values.dns.length }}",
    "{{ values.vlans[\"10\"] }}",
    "{{ values['mirror'] }}",
    "{{ values.odd }}",
    "{{ values.neg }}{{ values.tiny }}{{ values.huge }}{{ values.whole }}{{ values.zero }}",
    "{{ values.empty }}",
    "{{ values.brace }}",
    "{{ values.lines }}",
    "{{ values.true }}",
    "{{ values.keys }}",
    "{{ labels.serial }}",
    "{{- labels.hostname }}",
    "{{ labels.arch -}}",
    "{{ labels[\"arch\"] }}",
    "{{ labels[\"odd key\"] }}",
    "{{ labels.absent }}",
    "{{ labels.SERIAL }}",
    "{{ labels.odd }}",
    "{{ (labels.serial) }}",
    "{{ labels.serial|upper }}",
    "{{ labels.serial|safe }}",
    "{{ ignition }}",
    "{{ configs.motd }}",
    "{{ configs[\"user-data\"] }}",
    "{{ profile.name }}",
    "{{ profile['name'] }}",
    "{{ machine.name }}",
    "{{ assignment.name }}",
    "{{ base_url }}",
    "{{ config_dir }}",
    "{{ revision }}",
    "{{ \"text\" }}",
    "{{ 1.50 }}",
    "{{ true }}",
    "{% raw %}{{ values.x }}{% endraw %}",
    "{%# none #%}",
    "{%#- none -#%}",
    "${x}${#x}",
    "\n",
    "\r\n",
    "  ",
    "\u{feff}",
    "# {",
    "é",
];

proptest! {
    #[test]
    fn both_ways_print_the_same(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12),
        kind in prop::sample::select(vec![Kind::Script, Kind::Json, Kind::Other]),
        odd in ".{0,6}",
        in_script: bool,
        older: bool,
    ) {
        let mut case = case().kind(kind).label("odd", &odd).label("odd key", &odd);
        if older {
            case = case.older();
        }
        case.in_script = in_script;
        let serde_json::Value::Object(values) = &mut case.values else { unreachable!() };
        let serde_json::Value::Object(more) = json!({
            "odd": odd, "neg": -7, "tiny": 1e-7, "huge": 1e300, "whole": 1.0, "zero": -0.0, "empty": "",
            "brace": "{{ values.n }}${x}", "lines": "a\nb\n", "true": u64::MAX, "keys": i64::MIN,
        }) else { unreachable!() };
        values.extend(more);
        case.configs.insert("base_url".into(), "http://h/config/4".into());
        case.configs.insert("revision".into(), "http://h/config/5".into());
        case.configs.insert("values".into(), "{{ text }}\u{1}\"".into());
        let text = pieces.concat();
        let Ok(template) = case.parse(&text) else { return Ok(()) };
        let values = Values::from_json(&case.values);
        let secrets = Secret::new(Values::none());
        let context = Context {
            labels: &case.labels,
            values: &values,
            secrets: &secrets,
            is_secret: !in_script,
            configs: &case.configs,
            config_dir: "http://h/config/0/",
            base_url: "http://h",
            profile: "worker",
            assignment: "rack",
            machine: &odd,
            revision: "4f2a91c",
        };
        let plain = template.plain.as_ref().and_then(|plain| plain.render(kind, &context));
        if let Some(plain) = plain {
            prop_assert_eq!(Ok(plain), template.interpret(kind, &context), "{}", text);
        }
    }
}
