//! Credentials and host keys: read again at every attempt, sent to nobody else, told to nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::steps::{checked, noticed, pushed, started, status};
use super::world::World;
use crate::support::proxy::Proxy;
use crate::support::sshd::keygen;

/// `ann:s3cret` and `ann:n3w` as basic authentication has them.
const BASIC: &str = "Basic YW5uOnMzY3JldA==";
const BASIC_NEW: &str = "Basic YW5uOm4zdw==";

rows! {
    "a password is accepted" at Https:
        password, wanted, started, pushed, checked
        => serves(New);
    "the remote wants credentials and there are none" at Https:
        wanted, started
        => fails(Nothing, "auth").because("give `--git-username` and `--git-password-file`");
    "the password is wrong" at Https:
        password, wants_another, started
        => fails(Nothing, "auth").because("with the password of `--git-password-file`");
    "the remote forbids the repository (403)" at Http:
        started, pushed, |w| w.answers(status(403)), checked
        => fails(Old, "auth");
    "the password is revoked" at Https:
        password, wanted, started, pushed, wants_another, checked
        => fails(Old, "auth");
    "a revoked password is replaced in its file" at Https:
        password, wanted, started, pushed, wants_another, checked,
        |w| drop(w.write_secret("password", "n3w")), checked
        => serves(New).after_errors("auth", 1);
    "a replaced password is tried without being asked" at Https:
        password, wanted, started, pushed, wants_another, checked,
        |w| drop(w.write_secret("password", "n3w")), noticed
        => serves(New).after_errors("auth", 1);
    "the file of the password is gone, and nothing is sent" at Https:
        password, wanted, started, pushed, |w| fs::remove_file(w.file("password")).unwrap(),
        |w| drop(w.http().take_seen()), checked, |w| assert!(w.http().take_seen().is_empty())
        => fails(Old, "auth").because("cannot be read");
    "a redirect to another host gets no password" at Https:
        password, wanted, |w| w.redirects("{}/repo/.git/info/refs?service=git-upload-pack"), started, pushed,
        checked, |w| strangers_know_nothing(w, 5)
        => serves(New);
    "a redirect leads to another host that wants a password" at Https:
        password, |w| w.redirects("{}/repo/.git/info/refs?service=git-upload-pack"),
        |w| w.elsewhere.as_ref().unwrap().want(BASIC), started, |w| strangers_know_nothing(w, 1)
        => fails(Nothing, "auth").because("redirects to another host");
    "the proxy wants a login" at Proxied:
        proxy_with_login, started
        => fails(Nothing, "auth").because("(407)");

    "a token is accepted" at Https:
        token, started, pushed, checked
        => serves(New);
    "the token is replaced by a wrong one" at Https:
        token, started, pushed, |w| drop(w.write_secret("token", "0ther")), checked
        => fails(Old, "auth").because("with the token of `--git-bearer-token-file`");

    "there is no client certificate for a remote that wants one" at HttpsForClients:
        |w| w.settings.credentials.client_cert_file = None,
        |w| w.settings.credentials.client_key_file = None, started
        => fails(Nothing, "auth").because("wants a client certificate");
    "the client certificate is from another authority" at HttpsForClients:
        started, pushed, World::foreign_certificate, checked
        => fails(Old, "auth").because("wants a client certificate");
    "the client certificate is renewed" at HttpsForClients:
        World::foreign_certificate, started, World::client_certificate, checked
        => serves(New).after_errors("auth", 1);
    "the key of the client certificate is junk" at HttpsForClients:
        started, pushed, |w| drop(w.write_secret("cert.key", "s3cret")), checked
        => fails(Old, "auth").because("`--git-client-key-file`");

    "the ssh key is not known to the server" at Ssh:
        other_key, started
        => fails(Nothing, "auth").because("does not accept the key of `--git-ssh-key-file`");
    "the ssh key is replaced by a good one" at Ssh:
        other_key, started, good_key, checked
        => serves(New).after_errors("auth", 1);
    "others can read the ssh key" at Ssh:
        started, pushed, open_key, checked
        => fails(Old, "auth").because("because others can read it");
    "the ssh key is gone" at Ssh:
        started, pushed, |w| fs::remove_file(w.file("key")).unwrap(), checked
        => fails(Old, "auth").because("cannot be read");
    "the host key is not known" at Ssh:
        |w| drop(w.write("known_hosts", "")), started
        => fails(Nothing, "host_key").because("is not in `--git-known-hosts-file`");
    "the host key is another one" at Ssh:
        started, pushed, other_host_key, checked
        => fails(Old, "host_key").because("is another than the one in");
    "the new host key is confirmed" at Ssh:
        started, pushed, other_host_key, checked, good_host_key, checked
        => serves(New).after_errors("host_key", 1);
}

fn password(world: &mut World) {
    let file = world.write_secret("password", "s3cret");
    world.settings.credentials.username = Some("ann".to_owned());
    world.settings.credentials.password_file = Some(file);
}

fn wanted(world: &mut World) {
    world.http().want(BASIC);
}

fn wants_another(world: &mut World) {
    world.http().want(BASIC_NEW);
}

fn token(world: &mut World) {
    let file = world.write_secret("token", "t0ken");
    world.settings.credentials.bearer_token_file = Some(file);
    world.http().want("Bearer t0ken");
}

/// The server behind the redirect was asked, and never with credentials.
fn strangers_know_nothing(world: &mut World, at_least: usize) {
    let seen = world.elsewhere.as_ref().unwrap().take_seen();
    assert!(seen.len() >= at_least, "{seen:?}");
    assert!(seen.iter().all(|seen| seen.authorization().is_none()));
}

fn proxy_with_login(world: &mut World) {
    let proxy = Proxy::new(Some("407 Proxy Authentication Required"));
    world.settings.credentials.proxy = Some(proxy.url().parse().unwrap());
    world.keep(proxy);
}

fn other_key(world: &mut World) {
    keygen(&world.file("other"));
    fs::copy(world.file("other"), world.file("key")).unwrap();
}

fn good_key(world: &mut World) {
    fs::copy(world.sshd().client_key(), world.file("key")).unwrap();
}

fn open_key(world: &mut World) {
    fs::set_permissions(world.file("key"), fs::Permissions::from_mode(0o644)).unwrap();
}

fn other_host_key(world: &mut World) {
    let known = world.sshd().known_host();
    let (host, _) = known.split_once(' ').unwrap();
    let other = keygen(&world.file("other"));
    world.write("known_hosts", &format!("{host} {other}"));
}

fn good_host_key(world: &mut World) {
    let known = world.sshd().known_host();
    world.write("known_hosts", &known);
}
