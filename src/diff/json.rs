//! The report for programs: one JSON document with everything in it.

use serde_json::{Value, json};

use super::report::{
    Assigned, Compared, Example, Group, Member, PartChange, PartDiff, Received, Report, Revisions,
};
use crate::snapshot::Tier;
use crate::tree::Revision;

impl Report {
    /// The whole report as one JSON document, with a newline at the end. Fields are only ever added.
    #[must_use]
    pub fn render_json(&self) -> String {
        let Self {
            revisions: Revisions { base, head },
            compared,
            differing_machines,
            differing_classes,
            moved_machines,
            groups,
        } = self;
        let revision = |(asked, found): &(String, Revision)| json!({"asked": asked, "revision": found.as_str()});
        let document = json!({
            "base": revision(base),
            "head": revision(head),
            "differs": self.differs(),
            "differing": {"machines": differing_machines, "classes": differing_classes},
            "moved_machines": moved_machines,
            "compared": compared_json(compared),
            "groups": groups.iter().map(group).collect::<Vec<_>>(),
        });
        format!("{document:#}\n")
    }
}

fn compared_json(compared: &Compared) -> Value {
    let Compared {
        machines,
        classes,
        class_keys,
        all_classes,
        incomplete_machines,
        label_sets,
    } = compared;
    json!({
        "machines": machines,
        "incomplete_machines": incomplete_machines,
        "classes": classes,
        "class_keys": class_keys,
        "all_classes": all_classes,
        "label_sets": label_sets,
    })
}

fn group(group: &Group) -> Value {
    let Group {
        subject,
        kind,
        before,
        after,
        parts,
        varied,
        count,
        members,
        assignments,
        examples,
    } = group;
    json!({
        "subject": subject.as_str(),
        "kind": kind.as_str(),
        "count": count,
        "before": before.as_ref().map(received),
        "after": after.as_ref().map(received),
        "parts": parts.iter().map(part).collect::<Vec<_>>(),
        "varied": varied,
        "assignments": assignments.iter().map(assigned).collect::<Vec<_>>(),
        "members": members.iter().map(member).collect::<Vec<_>>(),
        "examples": examples.iter().map(example).collect::<Vec<_>>(),
    })
}

fn received(Received { profile, tier }: &Received) -> Value {
    let tier = match tier {
        Tier::Named => "named",
        Tier::Class => "class",
        Tier::Default => "default",
    };
    json!({"profile": profile, "tier": tier})
}

fn part(PartChange { config, change }: &PartChange) -> Value {
    json!({"config": config, "change": change.as_str()})
}

fn assigned(one: &Assigned) -> Value {
    let Assigned {
        before,
        after,
        count,
    } = one;
    json!({"before": before, "after": after, "count": count})
}

fn member(Member { name, labels }: &Member) -> Value {
    let name = (!name.is_empty()).then_some(name);
    let labels: serde_json::Map<String, Value> = labels
        .iter()
        .map(|(key, values)| (key.clone(), json!(values)))
        .collect();
    json!({"name": name, "labels": labels})
}

fn example(one: &Example) -> Value {
    let Example {
        member: who,
        made_up,
        diffs,
    } = one;
    let made_up: serde_json::Map<String, Value> = made_up
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    json!({
        "member": member(who),
        "made_up_labels": made_up,
        "diffs": diffs.iter().map(diff).collect::<Vec<_>>(),
    })
}

fn diff(PartDiff { config, lines }: &PartDiff) -> Value {
    json!({"config": config, "diff": lines})
}
