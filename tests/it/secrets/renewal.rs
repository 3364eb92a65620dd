//! Secrets and keys that change while the server runs, and over a restart.

use std::fs;

use super::{World, published, targets};
use crate::support::http::get;

const MANIFESTS: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: disk}
spec:
  ipxe: |
    #!ipxe
    echo {{ seed }} {{ motd }} {{ labelled }}
  additionalConfig:
    seed: \"token={{ secrets.token }}\\n\"
    motd: \"hello\\n\"
    labelled: \"{{ secrets.token }} {{ labels.serial|sh }}\\n\"
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: all}
spec: {profile: disk, isDefault: true}
";

fn world(values: &str) -> World {
    let world = World::new(MANIFESTS);
    world.write("values", values);
    world
}

#[test]
fn a_new_secret_is_published_without_a_commit() {
    let world = world("token: one\n");
    let (mut server, address) = world.serve(&[&world.key_flag(), &world.values_flag()]);
    let old = targets(address, "serial=x");
    assert_eq!(get(address, &old[0]).text(), "token=one\n");
    assert_eq!(get(address, &old[2]).text(), "one 'x'\n");
    world.write("values", "token: two\n");
    server.line_with("the secrets were replaced");
    published(&mut server);
    let new = targets(address, "serial=x");
    assert_eq!(get(address, &new[0]).text(), "token=two\n");
    assert_eq!(get(address, &new[2]).text(), "two 'x'\n");
    assert_ne!(old[0], new[0]);
    assert_eq!(old[1], new[1]);
    // Whoever is in the middle of a boot gets what it was promised.
    assert_eq!(get(address, &old[0]).text(), "token=one\n");
    assert_eq!(get(address, &old[2]).text(), "one 'x'\n");
}

#[test]
fn a_new_key_makes_new_ids_and_keeps_old_signatures() {
    let world = world("token: one\n");
    let (mut server, address) = world.serve(&[&world.key_flag(), &world.values_flag()]);
    let old = targets(address, "serial=x");
    world.write("key", "another key, just as long\n");
    published(&mut server);
    let new = targets(address, "serial=x");
    for (old, new) in old.iter().zip(&new) {
        assert_ne!(old, new);
        assert_eq!(get(address, old).body, get(address, new).body);
        assert_eq!(get(address, old).status, 200);
    }
    let [(id, _), (_, labels)] = [&old[2], &new[2]].map(|one| one.split_once('?').unwrap());
    assert_eq!(get(address, &format!("{id}?{labels}")).status, 404);
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_without_its_content() {
    let world = world("token: hunter2\n");
    let (mut server, address) = world.serve(&[&world.key_flag(), &world.values_flag()]);
    let old = targets(address, "serial=x");
    world.write("values", "token: hunter3\nhunter3: [\n");
    let line = server.line_with("what was read before stays in use");
    assert!(line.contains("--secret-values-file"), "{line}");
    assert!(!line.contains("hunter"), "{line}");
    fs::remove_file(world.path("values")).unwrap();
    server.line_with("cannot be read");
    world.write("key", "short\n");
    server.line_with("at least 16 bytes");
    assert_eq!(targets(address, "serial=x"), old);
    assert_eq!(get(address, &old[0]).text(), "token=hunter2\n");
    world.write("key", super::KEY);
    world.write("values", "token: hunter4\n");
    published(&mut server);
    let new = targets(address, "serial=x");
    assert_eq!(get(address, &new[0]).text(), "token=hunter4\n");
}

#[test]
fn what_a_secret_is_missing_for_waits_for_it() {
    let world = world("token: one\n");
    let (mut server, address) = world.serve(&[&world.key_flag(), &world.values_flag()]);
    let old = targets(address, "serial=x");
    // The secret that is served goes away.
    world.write("values", "other: 1\n");
    let line = server.line_with("refused");
    assert!(line.contains("still serving"), "{line}");
    server.line_with("undefined-secret");
    assert_eq!(get(address, &old[0]).text(), "token=one\n");
    assert_eq!(targets(address, "serial=x"), old);
    world.write("values", "token: two\n");
    published(&mut server);

    // A commit comes before its secret, and meanwhile another secret changes.
    let more = MANIFESTS.replace(
        "{{ secrets.token }}\\n",
        "{{ secrets.token }}{{ secrets.more }}\\n",
    );
    world.repo.commit(&[("all.yaml", &more)]);
    server.signal("HUP");
    server.line_with("refused");
    server.line_with("`secrets.more` is not among the secrets");
    world.write("values", "token: three\n");
    published(&mut server);
    let urls = targets(address, "serial=x");
    assert_eq!(get(address, &urls[0]).text(), "token=three\n");
    world.write("values", "token: four\nmore: 4\n");
    published(&mut server);
    let urls = targets(address, "serial=x");
    assert_eq!(get(address, &urls[0]).text(), "token=four4\n");
    assert_eq!(get(address, &old[0]).text(), "token=one\n");
}

#[test]
fn a_commit_may_come_together_with_its_secret() {
    let world = world("token: one\n");
    let (mut server, address) = world.serve(&[&world.key_flag(), &world.values_flag()]);
    let more = MANIFESTS.replace(
        "{{ secrets.token }}\\n",
        "{{ secrets.token }}{{ secrets.more }}\\n",
    );
    world.repo.commit(&[("all.yaml", &more)]);
    world.write("values", "token: two\nmore: 2\n");
    server.signal("HUP");
    published(&mut server);
    while get(address, &targets(address, "serial=x")[0]).text() != "token=two2\n" {
        published(&mut server);
    }
    server.signal("INT");
    let ended = server.end();
    assert!(!ended.log.contains("refused"), "{}", ended.log);
}

#[test]
fn a_restart_knows_the_same_ids_without_a_secret_on_disk() {
    let world = world("token: hunter2\n");
    let state = format!("--state-dir={}", world.path("state").display());
    let flags = [&world.key_flag(), &world.values_flag(), &state];
    let flags = flags.map(String::as_str);
    let (mut server, address) = world.serve(&flags);
    let first = targets(address, "serial=x");
    let more = MANIFESTS.replace("token={{", "t={{");
    world.repo.commit(&[("all.yaml", &more)]);
    server.signal("HUP");
    published(&mut server);
    let second = targets(address, "serial=x");
    assert_ne!(first[0], second[0]);
    // Both trees are on disk once nothing is being written any more.
    server.signal("INT");
    assert_eq!(server.end().code, Some(0));

    fs::rename(world.repo.path(), world.path("away")).unwrap();
    let (mut server, address) = world.serve(&flags);
    server.line_with("cannot be read");
    assert_eq!(targets(address, "serial=x"), second);
    assert_eq!(get(address, &second[0]).text(), "t=hunter2\n");
    // A new secret needs no repository.
    world.write("values", "token: hunter3\n");
    published(&mut server);
    let third = targets(address, "serial=x");
    assert_eq!(get(address, &third[0]).text(), "t=hunter3\n");
    assert_eq!(get(address, &second[0]).text(), "t=hunter2\n");
}
