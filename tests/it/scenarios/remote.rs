//! Remotes that are away, slow, wrong or something else: what was served stays.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use super::steps::{
    away, back, checked, deleted, force_pushed, impatient, on_main, page, pushed, silent, started,
    status, unplugged,
};
use super::world::World;
use crate::support::git;
use crate::support::http_backend::Answer;
use crate::support::pki::Authority;
use crate::support::proxy::Proxy;

rows! {
    // Whether somebody is there, and whether it is the one we know.

    "the name of the host has no address" at Http:
        nameless, started
        => fails(Nothing, "dns");
    "the name of the ssh host has no address" at Ssh:
        nameless_ssh, started
        => fails(Nothing, "dns");
    "the name of the proxy has no address" at Https:
        nameless_proxy, started
        => fails(Nothing, "dns").because("the name of the proxy of `--git-proxy` cannot be resolved");
    "nobody listens at the port" at Http:
        unplugged, started
        => fails(Nothing, "refused");
    "the server goes away" at Http:
        started, pushed, unplugged, checked
        => fails(Old, "refused");
    "the ssh server goes away" at Ssh:
        started, pushed, unplugged, checked
        => fails(Old, "refused");
    "the git daemon goes away" at Daemon:
        started, pushed, unplugged, checked
        => fails(Old, "refused");
    "the proxy goes away" at Proxied:
        started, pushed, unplugged, checked
        => fails(Old, "refused");
    "the proxy does not connect" at Proxied:
        forbidding_proxy, started
        => fails(Nothing, "refused").because("the proxy of `--git-proxy`");
    "the certificate is from an unknown authority" at Https:
        untrusted, started
        => fails(Nothing, "tls").because("--git-ca-file");
    "the authority of the certificate is no longer trusted" at Https:
        started, pushed, untrusted, checked
        => fails(Old, "tls").because("--git-ca-file");
    "the certificate has expired" at HttpsExpired:
        started
        => fails(Nothing, "tls").because("has expired");
    "the certificate is for another name" at HttpsElsewhere:
        started
        => fails(Nothing, "tls").because("is for another name");
    "the server does not speak TLS" at Http:
        over_tls, started
        => fails(Nothing, "tls").because("the TLS handshake with the remote failed");

    // Answers that are not git's.

    "the server answers 503" at Http:
        started, pushed, away, checked
        => fails(Old, "server");
    "the server comes back" at Http:
        started, pushed, away, checked, checked, back, checked
        => serves(New).after_errors("server", 2);
    "the server has had enough of us (429)" at Http:
        started, pushed, |w| w.answers(status(429)), checked
        => fails(Old, "server");
    "the server answers with an odd status" at Http:
        started, pushed, |w| w.answers(status(418)), checked
        => fails(Old, "protocol").because("418");
    "a captive portal shows its page" at Http:
        started, pushed, |w| w.answers(page("text/html", "<html>Please log in</html>")), checked
        => fails(Old, "protocol").because("the remote answers with `text/html`, not with git's smart protocol");
    "a captive portal redirects to its page" at Http:
        started, pushed, |w| w.redirects("{}/login"), checked
        => fails(Old, "protocol").because("redirects to something that is not the same repository");
    "a redirect leads to a file of this machine" at Http:
        started, pushed, |w| w.redirects("file:///etc/passwd?service=git-upload-pack"), checked
        => fails(Old, "protocol").because("redirects to something that is not the same repository");
    "the listing of refs is junk" at Http:
        started, pushed, |w| w.answers(page("application/x-git-upload-pack-advertisement", "junk")), checked
        => fails(Old, "protocol").because("does not answer as a git server");
    "the server does not speak HTTP" at Http:
        not_http, started
        => fails(Nothing, "protocol").because("does not speak HTTP");
    "the pack is damaged on its way" at Http:
        started, pushed, |w| w.answers_fetches(Answer::Damaged(150)), checked
        => fails(Old, "corrupt");
    "after a damaged pack comes a good one" at Http:
        started, pushed, |w| w.answers_fetches(Answer::Damaged(150)), checked, back, checked
        => serves(New).after_errors("corrupt", 1);
    "the fetch is answered with 503 after a good listing" at Http:
        started, pushed, |w| w.answers_fetches(status(503)), checked
        => fails(Old, "server");

    // Slow remotes.

    "the server says nothing" at Http:
        impatient, started, pushed, silent, checked
        => fails(Old, "timeout").because("`--git-timeout`");
    "the server falls silent in the middle of a fetch" at Http:
        impatient, started, pushed, |w| w.answers_fetches(Answer::Stall(100)), checked
        => fails(Old, "timeout").because("silent for as long as `--git-timeout`");
    "the listing of refs drips" at Http:
        impatient, started, pushed, |w| w.answers(Answer::Drip(Duration::from_millis(50))), checked
        => fails(Old, "timeout").because("did not finish within `--git-timeout`");
    "the fetch drips" at Http:
        impatient, started, large, |w| w.answers_fetches(Answer::Drip(Duration::from_millis(50))), checked
        => fails(Old, "timeout").because("less than 10 kB/s for as long as `--git-timeout`");
    "the fetch as a whole takes too long" at Http:
        |w| w.settings.fetch_timeout = Duration::from_secs(3), started, large,
        |w| w.answers_fetches(Answer::Drip(Duration::from_millis(50))), checked
        => fails(Old, "timeout").because("did not finish within `--fetch-timeout`");
    "a large first fetch takes longer than --git-timeout" at Http:
        |w| w.settings.git_timeout = Duration::from_secs(2), large,
        |w| w.answers_fetches(Answer::Slow(2_000, Duration::from_millis(100))), started
        => serves(New);
    "the ssh server hangs after the login" at Ssh:
        impatient, started, pushed, |w| w.sshd().force("cat >/dev/null"), checked
        => fails(Old, "timeout");

    // Refs that move and vanish.

    "the history is rewritten" at Http:
        started, force_pushed, checked
        => serves(New);
    "the message of the commit alone is rewritten" at Http:
        started, amended, checked, |w| assert_eq!(w.server().builds(), 1, "the same tree needs no compiler")
        => serves(New);
    "the branch is deleted" at Http:
        on_main, started, deleted, checked
        => fails(Old, "ref_not_found");
    "the deleted branch comes back" at Http:
        on_main, started, deleted, checked, recreated, checked
        => serves(New).after_errors("ref_not_found", 1);
    "the tag is moved" at Http:
        tagged, started, pushed, tagged, checked
        => serves(New);
    "--ref is a commit, and stays it" at Http:
        pinned, started, pushed, checked
        => serves(Old);
    "the repository has no commit yet" at Http:
        empty, started
        => fails(Nothing, "ref_not_found").because("it is empty, or its default branch does not exist");
    "the first commit comes after the server" at Http:
        empty, started, filled, checked
        => serves(New).after_errors("ref_not_found", 1);
    "there is no such branch" at Http:
        |w| w.settings.reference = Some("mian".to_owned()), started
        => fails(Nothing, "ref_not_found").because("`mian`");
    "HEAD leads to a branch that does not exist" at Http:
        started, headless, checked
        => fails(Old, "ref_not_found");
    "the ref leads to a file" at Http:
        blob_tag, started
        => refuses(Nothing, "ref_not_found").because("is a blob, not a commit");

    // Repositories that are not there, or not of our kind.

    "the repository is gone from the server" at Http:
        started, pushed, |w| w.answers(status(404)), checked
        => fails(Old, "not_found");
    "the repository is gone from the ssh server" at Ssh:
        started, moved_away, checked
        => fails(Old, "not_found");
    "the repository is gone from the git daemon" at Daemon:
        started, moved_away, checked
        => fails(Old, "not_found");
    "the repository is gone from this machine" at Path:
        started, moved_away, checked
        => fails(Old, "not_found");
    "the repository on this machine comes back" at Path:
        started, pushed, moved_away, checked, moved_back, checked
        => serves(New).after_errors("not_found", 1);
    "an object of the repository on this machine is lost" at Path:
        started, pushed, lost_object, checked
        => fails(Old, "corrupt").because("of `site.yaml` is missing");
    "the repository names its objects by SHA-256" at Http:
        sha256, started
        => fails(Nothing, "unsupported");
}

/// A label of 64 characters is one too long, so that no resolver is asked.
fn host() -> String {
    format!("{}.invalid", "x".repeat(64))
}

fn nameless(world: &mut World) {
    world.settings.repo = format!("http://{}/boot.git", host()).parse().unwrap();
}

fn nameless_ssh(world: &mut World) {
    world.settings.repo = format!("ssh://git@{}/boot.git", host()).parse().unwrap();
}

fn nameless_proxy(world: &mut World) {
    let proxy = format!("http://{}:3128", host());
    world.settings.credentials.proxy = Some(proxy.parse().unwrap());
}

fn untrusted(world: &mut World) {
    world.write("ca.pem", &Authority::new("Other CA").pem);
}

fn over_tls(world: &mut World) {
    let url = world.settings.repo.to_string().replace("http:", "https:");
    world.settings.repo = url.parse().unwrap();
}

fn forbidding_proxy(world: &mut World) {
    let proxy = Proxy::new(Some("403 Forbidden"));
    world.settings.credentials.proxy = Some(proxy.url().parse().unwrap());
    world.keep(proxy);
}

/// What answers is an ssh server.
fn not_http(world: &mut World) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    world.settings.repo = url.parse().unwrap();
    std::thread::spawn(move || {
        use std::io::Read as _;
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n");
    });
}

/// More than a dripping server sends in the time that it has, and hard to compress.
fn large(world: &mut World) {
    let noise = git::noise(150_000);
    world.commit(&[("noise.txt", &noise)]);
}

fn amended(world: &mut World) {
    world.work.git(&["commit", "-q", "--amend", "-m", "other"]);
    let head = world.work.head();
    world.commits.push(head);
}

fn recreated(world: &mut World) {
    world.change();
    world.work.git(&["branch", "-q", "main"]);
}

/// `--ref v1`, a tag of the last commit.
fn tagged(world: &mut World) {
    world.work.git(&["tag", "-f", "-a", "-m", "x", "v1"]);
    world.settings.reference = Some("v1".to_owned());
}

fn pinned(world: &mut World) {
    world.settings.reference = Some(world.work.head());
}

/// A repository that was just made.
fn empty(world: &mut World) {
    git::run(
        world.work.parent(),
        &["init", "-q", "--bare", "-b", "main", "empty.git"],
    );
    world.settings.repo = world.http().url("empty.git").parse().unwrap();
}

fn filled(world: &mut World) {
    let empty = world.work.parent().join("empty.git");
    world.work.push(&empty, "main");
}

fn headless(world: &mut World) {
    world.work.git(&["symbolic-ref", "HEAD", "refs/heads/none"]);
}

fn blob_tag(world: &mut World) {
    let blob = world.work.blob(b"x");
    world.work.set_ref("refs/tags/blob", &blob);
    world.settings.reference = Some("blob".to_owned());
    world.commits.push(blob);
}

fn moved_away(world: &mut World) {
    std::fs::rename(world.work.path(), world.work.parent().join("gone")).unwrap();
}

fn moved_back(world: &mut World) {
    std::fs::rename(world.work.parent().join("gone"), world.work.path()).unwrap();
}

fn lost_object(world: &mut World) {
    let blob = world.work.git(&["rev-parse", "HEAD:site.yaml"]);
    let objects = world.work.path().join(".git/objects");
    std::fs::remove_file(objects.join(&blob[..2]).join(&blob[2..])).unwrap();
}

fn sha256(world: &mut World) {
    git::run(
        world.work.parent(),
        &["init", "-q", "--object-format=sha256", "long"],
    );
    world.settings.repo = world.http().url("long/.git").parse().unwrap();
}
