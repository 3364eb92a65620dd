//! Ids under a key, and the signatures of label queries.

use super::{World, targets};
use crate::support::http::{Client, get};

const MANIFESTS: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: disk}
spec:
  ipxe: |
    #!ipxe
    echo {{ motd }} {{ seed }} {{ config_dir }} {{ odd }}
  additionalConfig:
    motd: \"hello\\n\"
    seed: \"{{ labels.serial }} {{ labels.site|safe }}\\n\"
    odd: \"{{ labels.sig|safe }} {{ labels.mac }}\\n\"
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: all}
spec: {profile: disk, isDefault: true}
";

fn query(target: &str) -> &str {
    target.split_once('?').unwrap().1
}

#[test]
fn every_id_is_another_one_under_a_key_and_the_same_on_every_replica() {
    let world = World::new(MANIFESTS);
    let key = world.key_flag();
    let (_plain, plain) = world.serve(&[]);
    let (_one, one) = world.serve(&[&key]);
    let (_other, other) = world.serve(&[&key]);
    let of = |address| targets(address, "serial=SN1");
    let [plain, one, other] = [plain, one, other].map(of);
    assert_eq!(one, other);
    for (plain, one) in plain.iter().zip(&one) {
        let id = |target: &str| target["/config/".len()..][..36].to_owned();
        assert_ne!(id(plain), id(one));
    }
    assert!(plain.iter().all(|one| !one.contains("sig=")), "{plain:?}");
    assert!(!one[0].contains('?'), "{one:?}");
    assert!(query(&one[1]).starts_with("serial=SN1&sig="), "{one:?}");
    assert!(one[2].contains("/serial=SN1&sig="), "{one:?}");
    // No label that it uses was sent, and its URL says so.
    assert!(query(&one[3]).starts_with("sig="), "{one:?}");
}

#[test]
fn labels_are_those_that_were_signed() {
    let world = World::new(MANIFESTS);
    let (mut server, address) = world.serve(&[&world.key_flag()]);
    let all = targets(address, "serial=SN1&site=a%20b&hostname=h");
    let seed = all[1].as_str();
    let (path, labels) = seed.split_once('?').unwrap();
    let (labels, signature) = labels.rsplit_once("&sig=").unwrap();
    assert_eq!(labels, "serial=SN1&site.hex=612062");
    assert_eq!(signature.len(), 32);

    let mut client = Client::connect(address);
    let mut ask = |target: &str| {
        let response = client.get(target);
        (response.status, response.text().to_owned())
    };
    let good = (200, "SN1 a b\n".to_owned());
    for same in [
        seed.to_owned(),
        // What a client may do to a URL without changing what it says.
        format!("{path}?sig={signature}&{labels}"),
        format!(
            "{path}?site=a%20b&SERIAL=%53N1&SIG={}",
            signature.to_uppercase()
        ),
        format!("{path}?{labels}&%73ig={signature}"),
        // Labels that the config does not use.
        format!("{path}?{labels}&hostname=other&sig={signature}"),
        format!("{path}?{labels}&sig={signature}&utm=1"),
        format!(
            "{}?{labels}&sig={signature}",
            path.to_uppercase().replace("/CONFIG", "/content")
        ),
    ] {
        assert_eq!(ask(&same), good, "{same}");
    }

    let forged = signature.replace(|c: char| c != '0', "0");
    let swapped: String = signature.chars().rev().collect();
    let bad = (404, "not found\n".to_owned());
    for other in [
        path.to_owned(),
        format!("{path}?{labels}"),
        format!("{path}?sig={signature}"),
        format!("{path}?serial=SN1&sig={signature}"),
        format!("{path}?serial=SN2&site.hex=612062&sig={signature}"),
        format!("{path}?{labels}x&sig={signature}"),
        format!("{path}?{labels}&sig={forged}"),
        format!("{path}?{labels}&sig={swapped}"),
        format!("{path}?{labels}&sig={signature}0"),
        format!("{path}?{labels}&sig={}", &signature[..30]),
        format!("{path}?{labels}&sig="),
        format!("{path}?{labels}&sig={signature}&sig={forged}"),
        format!("{path}?serial=SN1&site=a+b&sig={signature}"),
        // The signature of one config is none of another.
        format!(
            "{}?{labels}&sig={signature}",
            &all[3][..all[3].find('?').unwrap()]
        ),
    ] {
        assert_eq!(ask(&other), bad, "{other}");
    }
    let response = get(address, path);
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(response.header("x-gitboot-revision").is_some());
    let line = server.line_with("bad_signature");
    assert!(!line.contains(signature), "{line}");
    // Whoever has the bytes gets no further without a signature.
    let tag = get(address, seed).header("etag").unwrap().to_owned();
    let mut client = Client::connect(address);
    let header = format!("If-None-Match: {tag}");
    assert_eq!(client.get_with(seed, &header).status, 304);
    assert_eq!(client.get_with(path, &header).status, 404);
    assert_eq!(client.get_with(path, "If-None-Match: *").status, 404);
}

#[test]
fn a_label_may_be_called_like_the_signature() {
    let world = World::new(MANIFESTS);
    let (_server, address) = world.serve(&[&world.key_flag()]);
    let mac = "52:54:00:ab:cd:ef";
    let odd = targets(address, &format!("sig=mine&mac={mac}"))[3].clone();
    assert!(
        query(&odd).starts_with(&format!("mac={mac}&sig=mine&sig=")),
        "{odd}"
    );
    assert_eq!(get(address, &odd).text(), format!("mine {mac}\n"));
    // The first MAC counts; more behind it change nothing, and one before it does.
    let more = format!("{odd}&mac=52:54:00:00:00:01");
    assert_eq!(get(address, &more).status, 200);
    let before = odd.replacen('?', "?mac=52:54:00:00:00:01&", 1);
    assert_eq!(get(address, &before).status, 404);
}

#[test]
fn a_directory_is_signed_as_a_whole() {
    let world = World::new(MANIFESTS);
    let (_server, address) = world.serve(&[&world.key_flag()]);
    let all = targets(address, "serial=SN1&site=x");
    let (seed, dir) = (&all[1], all[2].as_str());
    assert!(dir.ends_with('/'), "{dir}");
    for (name, text) in [("seed", "SN1 x\n"), ("motd", "hello\n")] {
        let response = get(address, &format!("{dir}{name}"));
        assert_eq!((response.status, response.text()), (200, text));
    }
    let [id, labels] = [2, 3].map(|at| dir.split('/').nth(at).unwrap());
    let (labels, signature) = labels.rsplit_once("&sig=").unwrap();
    let (_, of_seed) = seed.rsplit_once("&sig=").unwrap();
    for bad in [
        format!("/config/{id}/seed"),
        format!("/config/{id}/motd"),
        format!("/config/{id}/{labels}/seed"),
        format!("/config/{id}/{labels}&sig={of_seed}/seed"),
        format!("/config/{id}/serial=SN2&site=x&sig={signature}/seed"),
        format!("/config/{id}/site=x&sig={signature}/seed"),
        format!(
            "{}?{labels}&sig={signature}",
            seed.split('?').next().unwrap()
        ),
    ] {
        let response = get(address, &bad);
        assert_eq!(
            (response.status, response.text()),
            (404, "not found\n"),
            "{bad}"
        );
    }
    // In the query it is as good as in the path.
    let same = format!("/config/{id}/seed?{labels}&sig={signature}");
    assert_eq!(get(address, &same).status, 200);
}

#[test]
fn labels_of_the_server_are_neither_carried_nor_signed() {
    let world = World::new(MANIFESTS);
    let key = world.key_flag();
    let (_server, address) = world.serve(&[&key, "--label=site=here"]);
    let seed = &targets(address, "serial=SN1&site=x")[1];
    assert!(query(seed).starts_with("serial=SN1&sig="), "{seed}");
    assert_eq!(get(address, seed).text(), "SN1 here\n");
    assert_eq!(get(address, &format!("{seed}&site=y")).text(), "SN1 here\n");
    // Another server, which has no such label, knows the same signature.
    let (_other, elsewhere) = world.serve(&[&key]);
    assert_eq!(get(elsewhere, seed).text(), "SN1 \n");
    assert_eq!(get(elsewhere, &format!("{seed}&site=y")).status, 404);
}

#[test]
fn the_boot_api_renders_by_itself_and_can_be_turned_off() {
    let world = World::new(MANIFESTS);
    let (_open, address) = world.serve(&[&world.key_flag()]);
    let target = "/v1/boot/52-54-00-ab-cd-ef/seed?serial=SN1";
    assert_eq!(get(address, target).text(), "SN1 \n");
    let (_closed, address) = world.serve(&[&world.key_flag(), "--no-boot-api"]);
    assert_eq!(get(address, target).status, 404);
}
