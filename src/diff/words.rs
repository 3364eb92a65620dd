//! The sentences that people read, in a terminal or on a forge. Names are put in by the caller's `code`, which quotes them
//! as the medium wants it.

use super::report::{Change, Group, Kind, Member, PartChange, Received, Report, Subject};
use super::text::{counted, grouped, visible_line};
use crate::snapshot::Tier;
use crate::tree::Revision;

/// How many label keys are listed.
const MAX_KEYS: usize = 10;

/// Quotes a name.
pub(super) type Code<'c> = &'c dyn Fn(&str) -> String;

/// `3 machines move from Profile …`.
pub(super) fn headline(group: &Group, code: Code<'_>) -> String {
    let noun = match group.subject {
        Subject::Machines => "machine",
        Subject::Classes => "class",
    };
    let who = counted(group.count, noun);
    let verb = |one: &'static str, many: &'static str| if group.count == 1 { one } else { many };
    match (group.kind, &group.before, &group.after) {
        (Kind::New, _, Some(after)) => {
            let verb = verb("is new and gets", "are new and get");
            format!("{who} {verb} {}", profile(after, None, code))
        }
        (_, Some(before), Some(after)) if before.profile == after.profile => {
            let verb = verb("gets", "get");
            let which = profile(after, Some(before), code);
            format!("{who} {verb} something else from {which}")
        }
        (_, Some(before), Some(after)) => {
            let verb = verb("moves", "move");
            let from = profile(before, None, code);
            format!("{who} {verb} from {from} to {}", profile(after, None, code))
        }
        (_, Some(before), None) => {
            let verb = verb("gets", "get");
            let which = profile(before, None, code);
            format!("{who} {verb} nothing any more, {which} before")
        }
        (_, None, _) => who,
    }
}

/// ``Profile `x` ``, and how it came where that is not by name.
fn profile(one: &Received, other: Option<&Received>, code: Code<'_>) -> String {
    let tier = |tier: Tier| match tier {
        Tier::Named => "by name",
        Tier::Class => "by class",
        Tier::Default => "by default",
    };
    let how = match other {
        Some(other) if other.tier != one.tier => {
            format!(" ({}, {} before)", tier(one.tier), tier(other.tier))
        }
        Some(_) => String::new(),
        None if one.tier == Tier::Named => String::new(),
        None => format!(" ({})", tier(one.tier)),
    };
    format!("Profile {}{how}", code(&one.profile))
}

/// `script; config motd (added)`; nothing where the kind of the group says it all.
pub(super) fn parts(group: &Group, code: Code<'_>) -> Option<String> {
    if group.kind != Kind::Changed {
        return None;
    }
    if group.parts.is_empty() {
        return Some("the Profile's name alone".to_owned());
    }
    let all: Vec<String> = group.parts.iter().map(|one| part(one, code)).collect();
    let how = if group.varied {
        ", for each in another way"
    } else {
        ""
    };
    Some(format!("{}{how}", all.join(", ")))
}

fn part(one: &PartChange, code: Code<'_>) -> String {
    let what = match &one.config {
        None => "script".to_owned(),
        Some(name) => format!("config {}", code(name)),
    };
    let how = match one.change {
        Change::Text => return what,
        Change::Added => "added",
        Change::Removed => "removed",
        Change::ContentType => "content type",
        Change::Template => "perhaps: made in another way",
        Change::Id => "id alone",
    };
    format!("{what} ({how})")
}

/// `` `rack-1` (3), `rack-2` → `rack-3` ``: the first few, and how many more.
pub(super) fn assignments(group: &Group, most: usize, code: Code<'_>) -> String {
    let name = |name: &Option<String>| name.as_deref().map_or_else(|| "none".to_owned(), code);
    let one = |one: &super::report::Assigned| {
        let names = if one.before == one.after {
            name(&one.after)
        } else {
            format!("{} → {}", name(&one.before), name(&one.after))
        };
        if group.assignments.len() == 1 {
            names
        } else {
            format!("{names} ({})", grouped(one.count))
        }
    };
    let shown: Vec<String> = group.assignments.iter().take(most).map(one).collect();
    let left = group.assignments.len().saturating_sub(most);
    if left == 0 {
        shown.join(", ")
    } else {
        format!("{} and {} more", shown.join(", "), grouped(left))
    }
}

/// `x1 mac=… uuid=…`; for a class without labels a word that says so.
pub(super) fn member(member: &Member) -> String {
    let labels: Vec<String> = member
        .labels
        .iter()
        .map(|(key, values)| {
            let is_mac = key == "mac";
            let joined = values.join(if is_mac { "," } else { "|" });
            visible_line(&format!("{key}={joined}"))
        })
        .collect();
    match (member.name.is_empty(), labels.is_empty()) {
        (true, true) => "no class label".to_owned(),
        (true, false) => labels.join(" "),
        (false, _) => format!("{} {}", visible_line(&member.name), labels.join(" ")),
    }
}

/// A member's name, or its labels.
pub(super) fn short(one: &Member) -> String {
    if one.name.is_empty() {
        member(one)
    } else {
        visible_line(&one.name)
    }
}

/// How many more there are than were shown. Classes that say no more than others are counted, but not listed.
pub(super) fn more(group: &Group, shown: usize) -> Option<String> {
    let left = group.members.len().saturating_sub(shown);
    let implied = group.count - group.members.len();
    match (left, implied) {
        (0, 0) => None,
        (_, 0) => Some(format!("and {} more", grouped(left))),
        (0, _) => Some(format!("and {} with more labels", grouped(implied))),
        _ => Some(format!(
            "and {} more, and {} with more labels",
            grouped(left),
            grouped(implied)
        )),
    }
}

/// How many differ.
pub(super) fn summary(report: &Report) -> String {
    if !report.differs() {
        return "nothing differs".to_owned();
    }
    let compared = &report.compared;
    format!(
        "{} of {} and {} of {} receive something else",
        grouped(report.differing_machines),
        counted(compared.machines, "machine"),
        grouped(report.differing_classes),
        match compared.classes {
            1 => "1 class".to_owned(),
            many => counted(many, "class"),
        }
    )
}

/// What was compared, and what was not: a sentence each.
pub(super) fn compared(report: &Report, code: Code<'_>) -> Vec<String> {
    let compared = &report.compared;
    let mut sentences = vec![format!(
        "machines: {}, each identity that either side names, whole and in parts",
        grouped(compared.machines)
    )];
    if compared.incomplete_machines > 0 {
        sentences.push(format!(
            "{} of them not with every combination of class labels: there are too many",
            grouped(compared.incomplete_machines)
        ));
    }
    let keys = compared.class_keys.iter().take(MAX_KEYS);
    let mut keys: Vec<String> = keys.map(|key| code(key)).collect();
    let left = compared.class_keys.len() - keys.len();
    keys.extend((left > 0).then(|| format!("{} more", grouped(left))));
    sentences.push(match (keys.is_empty(), compared.all_classes) {
        (true, _) => "classes: one, a machine that nobody names".to_owned(),
        (false, true) => format!(
            "classes: {}, all combinations of what Assignments ask of {}",
            grouped(compared.classes),
            keys.join(", ")
        ),
        (false, false) => format!(
            "classes: {}, each Assignment and pairs of them, not all combinations of {}",
            grouped(compared.classes),
            keys.join(", ")
        ),
    });
    sentences.push("other labels: absent; ids of configs: shown as their names".to_owned());
    if report.moved_machines > 0 {
        let moved = counted(report.moved_machines, "machine");
        let verb = if report.moved_machines == 1 {
            "has"
        } else {
            "have"
        };
        sentences.push(format!(
            "{moved} {verb} another Assignment and receive{} the same",
            if report.moved_machines == 1 { "s" } else { "" }
        ));
    }
    sentences
}

/// What was compared with what.
pub(super) fn revisions(report: &Report, code: Code<'_>) -> String {
    let one = |(asked, found): &(String, Revision)| {
        let asked_shown = code(&visible_line(asked));
        let found = found.short();
        if asked == found {
            asked_shown
        } else {
            format!("{asked_shown} ({})", visible_line(found))
        }
    };
    let revisions = &report.revisions;
    format!("{} → {}", one(&revisions.base), one(&revisions.head))
}
