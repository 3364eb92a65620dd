//! `boot.ipxe`: the first script, which collects the labels and chains to the machine's own.
//!
//! It has to run on the oldest iPXE around, that of 2019: a relative URI must hold no colon once its settings are
//! expanded (so `:hexhyp` for MACs), and free text travels as hex bytes because old versions decode and encode queries on
//! the way (so `:hexraw`).

use std::fmt::Write as _;

use bytes::Bytes;

use crate::render::BaseUrl;

/// The labels whose values come from a vocabulary without blanks and colons.
const PLAIN: [&str; 2] = ["buildarch", "platform"];

/// The labels that hold whatever a vendor or a DHCP server wrote.
const FREE_TEXT: [&str; 6] = [
    "serial",
    "asset",
    "manufacturer",
    "product",
    "hostname",
    "domain",
];

/// How many network cards are asked for their MAC, beside the one that boots: servers have four, some have eight.
const CARDS: usize = 8;

/// By how many seconds each pause is longer than the one before. Ten attempts with the shell's offer in every pause take
/// 297 seconds: 6 + 12 + … + 54, and nine times [`OFFER_SECONDS`].
const STEP_SECONDS: u32 = 6;

/// The longest pause, in seconds: a machine that waits for its Assignment should boot within a minute of it.
const LONGEST_SECONDS: u32 = 54;

/// How long the shell is offered, in seconds: long enough to read the line and press a key.
const OFFER_SECONDS: u32 = 3;

/// How long the server may take to answer before every card is tried, in milliseconds: much longer than it takes, much shorter
/// than the half minute after which iPXE itself gives a connection up.
const ANSWER_MILLIS: u32 = 10_000;

/// The script, for this many attempts; 0 tries for ever.
#[must_use]
pub fn boot_script(attempts: u32) -> Bytes {
    let mut script = String::from("#!ipxe\n");
    // Writing into a string cannot fail.
    try_often(
        &mut script,
        attempts,
        &[
            // Every time: the card may be another one than before.
            &format!("set gitboot-query {}", query()),
            &format!(
                "echo gitboot: asking for the script of this machine, attempt ${{gitboot-attempt}}{}",
                of(attempts)
            ),
            "chain --replace --autofree ipxe?${gitboot-query} || echo gitboot: no script, error ${errno}",
        ],
        &find_server(),
    );
    Bytes::from(script)
}

/// The script that leads to `boot.ipxe` at this address from wherever it was fetched. iPXE that was started by firmware
/// has no network yet.
#[must_use]
pub fn first_stage(base: &BaseUrl, attempts: u32) -> Bytes {
    let mut script = String::from("#!ipxe\n");
    try_often(
        &mut script,
        attempts,
        &[
            "isset ${ip} || isset ${ip6} || dhcp || echo gitboot: no network yet, error ${errno}",
            &format!(
                "echo gitboot: asking {base} for boot.ipxe, attempt ${{gitboot-attempt}}{}",
                of(attempts)
            ),
            &format!(
                "chain --replace --autofree {base}/boot.ipxe || echo gitboot: no boot.ipxe, error ${{errno}}"
            ),
        ],
        &[],
    );
    Bytes::from(script)
}

/// Carries out these lines so many times, with growing pauses and a shell on offer, and `meanwhile` before each next time;
/// then goes on to the next boot device.
fn try_often(script: &mut String, attempts: u32, lines: &[&str], meanwhile: &[String]) {
    // Writing into a string cannot fail.
    let _ = writeln!(script, "set gitboot-attempt:int32 1");
    let _ = writeln!(script, "set gitboot-pause:int32 {STEP_SECONDS}");
    let _ = writeln!(script, ":gitboot-ask");
    for line in lines {
        let _ = writeln!(script, "{line}");
    }
    if attempts > 0 {
        let _ = writeln!(
            script,
            "iseq ${{gitboot-attempt}} {attempts} && goto gitboot-give-up ||"
        );
    }
    let _ = writeln!(
        script,
        "echo gitboot: trying again in ${{gitboot-pause}} seconds"
    );
    offer_shell(script);
    let _ = writeln!(script, "sleep ${{gitboot-pause}} ||");
    let _ = writeln!(
        script,
        "iseq ${{gitboot-pause}} {LONGEST_SECONDS} || inc gitboot-pause {STEP_SECONDS}"
    );
    let _ = writeln!(script, "inc gitboot-attempt");
    for line in meanwhile {
        let _ = writeln!(script, "{line}");
    }
    let _ = writeln!(script, "goto gitboot-ask");
    if attempts > 0 {
        let _ = writeln!(script, ":gitboot-give-up");
        let _ = writeln!(
            script,
            "echo gitboot: giving up, going on to the next boot device"
        );
        offer_shell(script);
        let _ = writeln!(script, "exit 1");
    }
}

fn of(attempts: u32) -> String {
    match attempts {
        0 => String::new(),
        attempts => format!(" of {attempts}"),
    }
}

/// The query with settings that iPXE expands. The booting card's MAC comes first: it decides between Assignments.
fn query() -> String {
    let mut query = String::from("uuid=${uuid}&mac=${mac:hexhyp}");
    for card in 0..CARDS {
        let _ = write!(query, "&mac=${{net{card}/mac:hexhyp}}");
    }
    for label in PLAIN {
        let _ = write!(query, "&{label}=${{{label}}}");
    }
    for label in FREE_TEXT {
        let _ = write!(query, "&{label}.hex=${{{label}:hexraw}}");
    }
    query
}

/// What makes the next attempt go through whichever card has an address if the server cannot be reached any more. What tells
/// the two apart is `boot.ipxe` itself, which is always there: a machine without an Assignment keeps its card, one whose cable
/// was moved to another card follows it. The card that was lost is closed, since its routes would come first.
fn find_server() -> [String; 4] {
    [
        format!(
            "imgfetch --name gitboot-probe --timeout {ANSWER_MILLIS} boot.ipxe && imgfree gitboot-probe && goto gitboot-ask ||"
        ),
        "echo gitboot: the server does not answer, trying every network card".to_owned(),
        "ifclose netX ||".to_owned(),
        "dhcp ||".to_owned(),
    ]
}

fn offer_shell(script: &mut String) {
    let _ = writeln!(
        script,
        "prompt --key 0x02 --timeout {OFFER_SECONDS}000 gitboot: press Ctrl-B for a shell && shell ||"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_tries_as_often_as_it_was_told() {
        let script = boot_script(10);
        let expected = "#!ipxe
set gitboot-attempt:int32 1
set gitboot-pause:int32 6
:gitboot-ask
set gitboot-query uuid=${uuid}&mac=${mac:hexhyp}&mac=${net0/mac:hexhyp}&mac=${net1/mac:hexhyp}&mac=${net2/mac:hexhyp}&mac=${net3/mac:hexhyp}&mac=${net4/mac:hexhyp}&mac=${net5/mac:hexhyp}&mac=${net6/mac:hexhyp}&mac=${net7/mac:hexhyp}&buildarch=${buildarch}&platform=${platform}&serial.hex=${serial:hexraw}&asset.hex=${asset:hexraw}&manufacturer.hex=${manufacturer:hexraw}&product.hex=${product:hexraw}&hostname.hex=${hostname:hexraw}&domain.hex=${domain:hexraw}
echo gitboot: asking for the script of this machine, attempt ${gitboot-attempt} of 10
chain --replace --autofree ipxe?${gitboot-query} || echo gitboot: no script, error ${errno}
iseq ${gitboot-attempt} 10 && goto gitboot-give-up ||
echo gitboot: trying again in ${gitboot-pause} seconds
prompt --key 0x02 --timeout 3000 gitboot: press Ctrl-B for a shell && shell ||
sleep ${gitboot-pause} ||
iseq ${gitboot-pause} 54 || inc gitboot-pause 6
inc gitboot-attempt
imgfetch --name gitboot-probe --timeout 10000 boot.ipxe && imgfree gitboot-probe && goto gitboot-ask ||
echo gitboot: the server does not answer, trying every network card
ifclose netX ||
dhcp ||
goto gitboot-ask
:gitboot-give-up
echo gitboot: giving up, going on to the next boot device
prompt --key 0x02 --timeout 3000 gitboot: press Ctrl-B for a shell && shell ||
exit 1
";
        assert_eq!(std::str::from_utf8(&script).unwrap(), expected);
    }

    #[test]
    fn the_labels_that_machines_send_are_those_that_the_rules_know() {
        let keys = query();
        let keys = keys.split('&').filter_map(|pair| pair.split_once('='));
        let mut keys: Vec<&str> = keys
            .map(|(key, _)| key.strip_suffix(".hex").unwrap_or(key))
            .collect();
        keys.dedup();
        assert_eq!(keys, crate::label::SENT);
    }

    #[test]
    fn the_first_stage_leads_to_http() {
        let base = BaseUrl::parse("http://192.0.2.1:8080/pxe/").unwrap();
        let script = first_stage(&base, 3);
        let expected = "#!ipxe
set gitboot-attempt:int32 1
set gitboot-pause:int32 6
:gitboot-ask
isset ${ip} || isset ${ip6} || dhcp || echo gitboot: no network yet, error ${errno}
echo gitboot: asking http://192.0.2.1:8080/pxe for boot.ipxe, attempt ${gitboot-attempt} of 3
chain --replace --autofree http://192.0.2.1:8080/pxe/boot.ipxe || echo gitboot: no boot.ipxe, error ${errno}
iseq ${gitboot-attempt} 3 && goto gitboot-give-up ||
echo gitboot: trying again in ${gitboot-pause} seconds
prompt --key 0x02 --timeout 3000 gitboot: press Ctrl-B for a shell && shell ||
sleep ${gitboot-pause} ||
iseq ${gitboot-pause} 54 || inc gitboot-pause 6
inc gitboot-attempt
goto gitboot-ask
:gitboot-give-up
echo gitboot: giving up, going on to the next boot device
prompt --key 0x02 --timeout 3000 gitboot: press Ctrl-B for a shell && shell ||
exit 1
";
        assert_eq!(std::str::from_utf8(&script).unwrap(), expected);
    }

    #[test]
    fn zero_attempts_never_give_up() {
        let script = boot_script(0);
        let script = std::str::from_utf8(&script).unwrap();
        assert!(!script.contains("give-up"), "{script}");
        assert!(!script.contains("exit"), "{script}");
        assert!(script.ends_with("goto gitboot-ask\n"), "{script}");
    }

    #[test]
    fn ten_attempts_take_about_five_minutes() {
        let mut pause = STEP_SECONDS;
        let mut total = 0;
        for _ in 1..10 {
            total += pause + OFFER_SECONDS;
            pause = if pause == LONGEST_SECONDS {
                pause
            } else {
                pause + STEP_SECONDS
            };
        }
        assert_eq!(total, 297);
    }
}
