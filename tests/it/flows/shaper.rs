//! shaper and what it was called before: labels → Profile by label selectors → script with a config's UUID → config.

use super::{BASE, Site, assert_is_first_script, target_after};
use crate::support::http::Response;

#[test]
fn labels_lead_to_a_profile_to_a_script_to_a_config() {
    let mut site = Site::of("shaper");
    let uuid = "47c6da67-7477-4970-aa03-84e48ff4f6ad";
    assert_is_first_script(&site);

    // The machine's own `buildarch` picks among the Profiles that the selector finds; `aarch64` is what the Profile calls it.
    let script = site.text(&format!("/ipxe?uuid={uuid}&buildarch=arm64"));
    let config = target_after(&script, "ignition.config.url=");
    assert_eq!(
        script,
        format!(
            "#!ipxe\necho Booting profile: node-arm64\n\
             kernel http://boot.example/arm64/vmlinuz console=ttyAMA0 ignition.config.url={BASE}{config}\n\
             initrd http://boot.example/arm64/initrd.img\nboot\n"
        )
    );
    let id = config.strip_prefix("/config/").unwrap().to_owned();
    assert_eq!(id.len(), 36, "a UUID alone, since no label is in it: {id}");
    let ignition = "{\n  \"ignition\": {\"version\": \"3.3.0\"},\n  \"storage\": {\"files\": [{\"path\": \"/etc/arch\", \
                    \"mode\": 420, \"contents\": {\"source\": \"data:,arm64\"}}]}\n}\n";
    // As its documentation spells it, with the labels once more, which change nothing.
    let as_content = site.get(&format!("/content/{id}?uuid={uuid}&buildarch=arm64"));
    assert_eq!((as_content.status, as_content.text()), (200, ignition));
    assert_eq!(
        as_content.header("content-type"),
        Some("application/vnd.coreos.ignition+json")
    );
    assert_eq!(site.get(&config).body, as_content.body);

    // The same machine as another architecture: the other Profile, and its text as it was written.
    let upper = uuid.to_uppercase();
    let script = site.text(&format!("/ipxe?uuid={upper}&buildarch=x86_64"));
    let config = target_after(&script, "cloud-config-url=");
    assert_eq!(
        script,
        format!(
            "#!ipxe\necho Booting profile: node-x86-64\n\
             kernel http://boot.example/x86_64/vmlinuz console=ttyS0 cloud-config-url={BASE}{config}\n\
             initrd http://boot.example/x86_64/initrd.img\nboot\n"
        )
    );
    let cloud = site.get(&config.replace("/config/", "/content/"));
    assert_eq!(
        cloud.text(),
        "#cloud-config\nruncmd:\n  - echo '{{ .untouched }} ${HOME}'\n"
    );
    assert_eq!(cloud.header("content-type"), Some("text/cloud-config"));

    // Nobody's UUID: the default of its architecture, and nothing where there is none.
    let other = "/ipxe?uuid=3f5f3c39-584e-4c7c-b6ff-137e1aaa7170";
    let default = site.text(&format!("{other}&buildarch=x86_64"));
    assert_eq!(default, "#!ipxe\necho Nobody knows ${uuid} yet\nshell\n");
    assert_eq!(site.get(&format!("{other}&buildarch=arm64")).status, 404);
    // A known UUID of an architecture that nothing is for.
    assert_eq!(
        site.get(&format!("/ipxe?uuid={uuid}&buildarch=i386"))
            .status,
        404
    );
    site.finish("shaper.txt");
}

#[test]
fn its_first_shape_is_served_too() {
    let mut site = Site::of("ipxer");
    let serial = "serial=c4a94672-05a1-4eda-a186-b4aa4544b146";
    // Old documents say `aarch64`, iPXE says `arm64`.
    let script = site.text(&format!("/ipxe?{serial}&buildarch=arm64"));
    let [config, ignition, cloud] = ["config=", "ignition.config.url=", "cloud-config-url="]
        .map(|key| target_after(&script, key));
    assert_eq!(
        script,
        format!(
            "#!ipxe\nkernel http://boot.example/vmlinuz config={BASE}{config} ignition.config.url={BASE}{ignition} \
             cloud-config-url={BASE}{cloud}\ninitrd http://boot.example/initrd.img\nboot\n"
        )
    );
    let type_of = |response: &Response| response.header("content-type").unwrap().to_owned();
    let answer = site.get(&config);
    assert_eq!(answer.text(), "region=us-cal\n");
    assert_eq!(type_of(&answer), "text/plain; charset=utf-8");
    let answer = site.get(&format!("{ignition}?buildarch=arm64"));
    assert_eq!(answer.text(), "{\"ignition\": {\"version\": \"3.3.0\"}}\n");
    assert_eq!(type_of(&answer), "application/vnd.coreos.ignition+json");
    let answer = site.get(&cloud);
    assert_eq!(answer.text(), "#cloud-config\nhostname: '{{ not ours }}'\n");
    assert_eq!(type_of(&answer), "text/cloud-config");
    // The one Profile is for another architecture: an honest 404.
    assert_eq!(
        site.get(&format!("/ipxe?{serial}&buildarch=x86_64")).status,
        404
    );
    site.finish("ipxer.txt");
}
