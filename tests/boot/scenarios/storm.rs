//! A power cut is over, and everybody boots at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::crowd::{self, Outcome};
use crate::machine::{Firmware, Machine};
use crate::report::Report;
use crate::server::Server;
use crate::site::Site;
use crate::stage::Stage;

/// How many machines are simulated.
const SIMULATED: u16 = 3_000;

/// How many are real, beside them: two for each core of a CI machine.
const REAL: u16 = 4;

/// What iPXE runs that was not started by a card.
const FIRST: &str = "#!ipxe\ndhcp\nchain --replace --autofree BOOT_FILE\n";

/// Thousands of machines ask again and again until the real ones among them have booted, and a push comes in between. Each
/// gets its own script, and the config that belongs to it.
pub(super) fn all_at_once(stage: &Stage, report: &Report) {
    crowd::raise_limit(SIMULATED);
    let site = Site::new(
        report,
        &[("profile.yaml", PROFILE), ("who.yaml", &assignment(1))],
    );
    let mut server = Server::start(&site.path(), &[], report);
    server.line_with("published");
    let address = server.address;

    let real: Vec<_> = (SIMULATED..SIMULATED + REAL)
        .map(|number| {
            let mac = crowd::mac(number);
            let firmware = Firmware::Script(FIRST);
            let mut machine = Machine::new(firmware, &mac, &server.boot_file());
            machine.name = format!("ipxe {number}");
            (number, machine.start(stage.accelerator, report))
        })
        .collect();
    for (_, machine) in &real {
        machine.line_with("Open Source Network Boot Firmware");
    }
    let have_booted = AtomicBool::new(false);
    let outcomes = std::thread::scope(|scope| {
        let crowd = scope.spawn(|| {
            let mut outcomes = crowd::boot(address, SIMULATED);
            while !have_booted.load(Ordering::Relaxed) {
                outcomes.extend(crowd::boot(address, SIMULATED));
            }
            outcomes
        });
        site.push(&[("who.yaml", &assignment(2))]);
        for (number, machine) in &real {
            machine.line_with(&format!("script: machine {number} of generation"));
        }
        have_booted.store(true, Ordering::Relaxed);
        crowd.join().unwrap()
    });
    server.line_with("published");
    tell(report, &outcomes);
}

fn tell(report: &Report, outcomes: &[Outcome]) {
    let errors: Vec<&String> = outcomes
        .iter()
        .filter_map(|one| one.as_ref().err())
        .collect();
    let mut times: Vec<_> = outcomes
        .iter()
        .filter_map(|one| one.as_ref().ok())
        .collect();
    times.sort();
    let median = times.get(times.len() / 2).expect("thousands");
    let longest = times.last().expect("thousands");
    let text = format!(
        "{} boots, {SIMULATED} at a time: {} errors, median {median:.1?}, longest {longest:.1?}",
        outcomes.len(),
        errors.len(),
    );
    report.saw("crowd", &text);
    assert!(errors.is_empty(), "{text}; the first: {:?}", errors.first());
}

const PROFILE: &str = "apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: node}
spec:
  ipxe: |
    #!ipxe
    echo script: machine {{ values.number }} of generation {{ values.generation }} with config={{ config }}
    prompt
  additionalConfig:
    config: \"machine {{ values.number }} of generation {{ values.generation }}\\n\"
";

/// An Assignment that names every machine of the storm.
fn assignment(generation: u32) -> String {
    let machines: String = (0..SIMULATED + REAL)
        .map(|number| {
            format!(
                "    - {{mac: \"{}\", values: {{number: {number}}}}}\n",
                crowd::mac(number)
            )
        })
        .collect();
    format!(
        "apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {{name: nodes}}
spec:
  profile: node
  values: {{generation: {generation}}}
  machines:
{machines}"
    )
}
