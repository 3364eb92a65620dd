//! Who gets what: the compiler and its index against a model that was written from the contract alone.

mod diff;
mod generate;
mod model;
mod served;

use std::collections::{BTreeMap, BTreeSet};

use gitboot::diagnostic::{Diagnostics, Severity};
use gitboot::label::{FixedLabels, Labels};
use gitboot::snapshot::{Lost, NoMatch, Snapshot, Tier, Verdict};
use proptest::prelude::*;

use crate::support::fixture::build;
use generate::{complete_machines, documents, machine, query, repository};
use model::{Machine, Outcome, Repository};

/// The text of a fixture with each document in the file of its number.
fn files(documents: &[String], places: &[usize]) -> String {
    let mut files: BTreeMap<usize, String> = BTreeMap::new();
    for (document, place) in documents.iter().zip(places) {
        let file = files.entry(*place).or_default();
        file.extend(["---\n", document, "\n"]);
    }
    let texts = files
        .iter()
        .map(|(place, text)| format!("//- f{place}.yaml\n{text}"));
    texts.collect()
}

fn one_file(repository: &Repository) -> String {
    let documents = documents(repository);
    files(&documents, &vec![0; documents.len()])
}

/// What a machine gets from a snapshot, in the words of the model. The script says the machine's name too.
fn found(snapshot: &Snapshot, machine: &Machine) -> Outcome {
    let labels = Labels::parse(&query(machine), &FixedLabels::default()).unwrap();
    match snapshot.find(&labels) {
        Ok(matched) => Outcome::Found {
            assignment: matched.assignment().to_owned(),
            profile: matched.profile().to_owned(),
            machine: matched.machine().map(str::to_owned),
        },
        Err(NoMatch::Unassigned) => Outcome::Unassigned,
        Err(NoMatch::IdentityConflict { assignment }) => {
            Outcome::IdentityConflict(BTreeSet::from([assignment.to_owned()]))
        }
        Err(NoMatch::NoProfile { assignment }) => Outcome::NoProfile(assignment.to_owned()),
    }
}

/// The messages of one code.
fn messages<'d>(diagnostics: &'d Diagnostics, code: &'static str) -> impl Iterator<Item = &'d str> {
    diagnostics
        .iter()
        .filter(move |one| one.code() == code)
        .map(gitboot::diagnostic::Diagnostic::message)
}

/// The names in backticks.
fn quoted(message: &str) -> Vec<String> {
    message
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The two names and what they share, of a message about a conflict.
fn conflict(message: &str) -> (String, String, String) {
    let names = quoted(message);
    if let Some((_, shared)) = message.split_once("` share ") {
        return (names[0].clone(), names[0].clone(), shared.to_owned());
    }
    let shared = message
        .split_once(" both select ")
        .and_then(|(_, rest)| rest.strip_suffix(", at equal rank"))
        .unwrap();
    (names[0].clone(), names[1].clone(), shared.to_owned())
}

fn check_conflicts(
    repository: &Repository,
    diagnostics: &Diagnostics,
) -> Result<(), TestCaseError> {
    let expected = repository.conflicts(&complete_machines());
    let told: Vec<_> = messages(diagnostics, "conflict").map(conflict).collect();
    for (first, second, shared) in &told {
        let justified = expected
            .iter()
            .any(|one| one.first == *first && one.second == *second && one.shared.contains(shared));
        prop_assert!(
            justified,
            "{first} and {second} share {shared}? {expected:#?}"
        );
    }
    for one in &expected {
        let is_told = told.iter().any(|(_, second, _)| *second == one.second);
        prop_assert!(is_told, "{one:?} is missing among {told:#?}");
    }
    let pairs: BTreeSet<_> = expected
        .iter()
        .map(|one| (&one.first, &one.second))
        .collect();
    if let (1, [(first, second, _)]) = (pairs.len(), told.as_slice()) {
        prop_assert_eq!(pairs.first(), Some(&(first, second)));
    }
    Ok(())
}

fn check_profiles(repository: &Repository, diagnostics: &Diagnostics) -> Result<(), TestCaseError> {
    let (none, ambiguous) = repository.unclear_profiles();
    let told = |code, place: usize| -> BTreeSet<String> {
        messages(diagnostics, code)
            .map(|one| quoted(one)[place].clone())
            .collect()
    };
    prop_assert_eq!(told("unknown-profile", 0), none);
    prop_assert_eq!(told("ambiguous-profiles", 0), ambiguous);
    Ok(())
}

/// Each Assignment that overlaps with one whose name is before its own is told of once, with the first three others.
fn check_overlaps(repository: &Repository, diagnostics: &Diagnostics) -> Result<(), TestCaseError> {
    let mut told = BTreeMap::new();
    for message in messages(diagnostics, "class-overlap") {
        let mut names = quoted(message);
        let more = message
            .split_once(" and ")
            .and_then(|(_, rest)| rest.split_once(" more,"))
            .and_then(|(rest, _)| rest.rsplit(' ').next()?.parse::<usize>().ok());
        let name = names.remove(0);
        prop_assert_eq!(told.insert(name, (names, more.unwrap_or(0))), None);
    }
    let expected: BTreeMap<_, _> = repository
        .overlaps()
        .into_iter()
        .filter(|(name, others)| others.iter().any(|other| other < name))
        .map(|(name, mut others)| {
            let more = others.len().saturating_sub(3);
            others.truncate(3);
            (name, (others, more))
        })
        .collect();
    prop_assert_eq!(told, expected);
    Ok(())
}

fn check_winners(
    repository: &Repository,
    snapshot: &Snapshot,
    machines: &[Machine],
) -> Result<(), TestCaseError> {
    for machine in machines {
        let expected = repository.find(machine);
        match (found(snapshot, machine), &expected) {
            (Outcome::IdentityConflict(named), Outcome::IdentityConflict(any)) => {
                prop_assert!(named.is_subset(any));
            }
            (found, _) => prop_assert_eq!(&found, &expected, "{:?}", machine),
        }
        check_explanation(repository, snapshot, machine)?;
    }
    Ok(())
}

/// What is explained is what happens: the winner, the order of the others, each step, and everything that nearly matched.
fn check_explanation(
    repository: &Repository,
    snapshot: &Snapshot,
    machine: &Machine,
) -> Result<(), TestCaseError> {
    let labels = Labels::parse(&query(machine), &FixedLabels::default()).unwrap();
    let explanation = snapshot.explain(&labels);
    let (mut ranked, mut contradicted) = (Vec::new(), BTreeSet::new());
    for one in &explanation.candidates {
        let name = one.rule.name.to_string();
        let conflict = matches!(explanation.outcome, Err(NoMatch::IdentityConflict { .. }));
        match &one.verdict {
            Verdict::Won(_) => ranked.push((name, one.entry, None)),
            Verdict::Lost(Lost::Outranked(step)) => {
                ranked.push((name, one.entry, Some(step.code())));
            }
            Verdict::Lost(Lost::Barred) => {
                prop_assert!(conflict && one.rule.tier != Tier::Named);
                ranked.push((name, one.entry, None));
            }
            Verdict::Lost(Lost::Contradicted(keys)) => {
                contradicted.insert(name);
                prop_assert!(!keys.is_empty());
            }
            Verdict::Lost(Lost::Selectors(keys)) => {
                let own = repository.assignments.iter().find(|own| own.name == name);
                let failed = own.unwrap().selectors.iter();
                let failed = failed.filter(|(key, values)| !machine.has(key, values));
                let failed: Vec<_> = failed.map(|(key, _)| *key).collect();
                let told: Vec<_> = keys.iter().map(|one| one.key).collect();
                prop_assert_eq!(told, failed);
            }
            Verdict::Lost(Lost::NotListed) => {
                let own = repository.assignments.iter().find(|own| own.name == name);
                prop_assert!(machine.satisfies(&own.unwrap().selectors));
            }
        }
    }
    let (mut expected, expected_contradicted) = repository.order(machine);
    if matches!(explanation.outcome, Err(NoMatch::IdentityConflict { .. })) {
        for (.., step) in &mut expected {
            *step = None;
        }
    }
    prop_assert_eq!(ranked, expected, "{:?}", machine);
    if explanation.more == 0 {
        prop_assert_eq!(contradicted, expected_contradicted);
    }
    if let Ok(matched) = &explanation.outcome {
        let first = &explanation.candidates[0];
        prop_assert!(matches!(first.verdict, Verdict::Won(_)));
        prop_assert_eq!(&*first.rule.name, matched.assignment());
        let chosen = explanation.profiles.iter().filter(|one| one.is_chosen);
        let chosen: Vec<_> = chosen.map(|one| one.profile).collect();
        prop_assert_eq!(chosen, [matched.profile()]);
    }
    Ok(())
}

/// The repository without the Assignments that the contract does not allow beside the others.
fn without_mistakes(mut repository: Repository) -> Repository {
    let (none, ambiguous) = repository.unclear_profiles();
    let unclear: BTreeSet<String> = none.into_iter().chain(ambiguous).collect();
    repository
        .assignments
        .retain(|one| !unclear.contains(&one.name));
    let complete = complete_machines();
    while let Some(conflict) = repository.conflicts(&complete).first() {
        repository
            .assignments
            .retain(|one| one.name != conflict.second);
    }
    if repository.assignments.is_empty() {
        repository
            .assignments
            .push(model::Assignment::default_of("p0"));
    }
    repository
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn the_assignment_that_the_contract_names_wins(
        repository in repository(4),
        machines in prop::collection::vec(machine(), 24),
    ) {
        let (snapshot, diagnostics) = build(&one_file(&repository));
        check_conflicts(&repository, &diagnostics)?;
        check_profiles(&repository, &diagnostics)?;
        check_overlaps(&repository, &diagnostics)?;
        let errors: BTreeSet<&str> = diagnostics
            .iter()
            .filter(|one| one.severity() == Severity::Error)
            .map(gitboot::diagnostic::Diagnostic::code)
            .collect();
        let known = ["conflict", "unknown-profile", "ambiguous-profiles"];
        prop_assert!(errors.iter().all(|code| known.contains(code)), "{}", diagnostics.render_human());
        prop_assert_eq!(snapshot.is_some(), errors.is_empty());
        if let Some(snapshot) = snapshot {
            check_winners(&repository, &snapshot, &machines)?;
        }
    }

    #[test]
    fn the_assignment_that_the_contract_names_wins_in_a_crowd(
        repository in repository(10),
        machines in prop::collection::vec(machine(), 32),
    ) {
        let repository = without_mistakes(repository);
        let (snapshot, diagnostics) = build(&one_file(&repository));
        prop_assert!(snapshot.is_some(), "{}", diagnostics.render_human());
        check_winners(&repository, &snapshot.unwrap(), &machines)?;
    }

    #[test]
    fn conflicts_in_crowded_repositories_are_all_told(repository in repository(9)) {
        let (_, diagnostics) = build(&one_file(&repository));
        check_conflicts(&repository, &diagnostics)?;
        check_overlaps(&repository, &diagnostics)?;
    }

    #[test]
    fn files_and_their_order_mean_nothing(
        repository in repository(6),
        machines in prop::collection::vec(machine(), 12),
        order in Just((0..10_usize).collect::<Vec<_>>()).prop_shuffle(),
        places in prop::collection::vec(0..5_usize, 10),
    ) {
        let all = documents(&repository);
        let shuffled: Vec<String> = order.iter().filter_map(|at| all.get(*at).cloned()).collect();
        let (one, one_said) = build(&files(&all, &vec![0; all.len()]));
        let (other, other_said) = build(&files(&shuffled, &places));
        prop_assert_eq!(said(&one_said), said(&other_said));
        let outcomes = |snapshot: Option<Snapshot>| -> Option<Vec<Outcome>> {
            let snapshot = snapshot?;
            Some(machines.iter().map(|machine| found(&snapshot, machine)).collect())
        };
        prop_assert_eq!(outcomes(one), outcomes(other));
    }
}

/// What was said, without the places.
fn said(diagnostics: &Diagnostics) -> Vec<(Severity, &'static str, &str)> {
    let mut all: Vec<_> = diagnostics
        .iter()
        .map(|one| (one.severity(), one.code(), one.message()))
        .collect();
    all.sort();
    all
}
