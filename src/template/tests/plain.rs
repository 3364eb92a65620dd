//! Which templates are rendered without a virtual machine. That both ways print the same is asserted at every render.

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
