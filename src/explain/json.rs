//! An explanation for programs. The README lists the fields; they stay.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::compile::Source;
use crate::render::RenderError;
use crate::snapshot::{Candidate, FailedKey, Lost, NoMatch, Place, Verdict};

use super::Report;

impl Report<'_> {
    /// One JSON document, with a newline at its end.
    #[must_use]
    pub fn json(&self) -> String {
        let matched = self.sent.as_ref().map(|sent| sent.matched);
        let document = json!({
            "revision": self.revision.as_str(),
            "labels": self.label_map(),
            "dropped": self.dropped_list(),
            "outcome": self.outcome(),
            "assignment": self.assignment(),
            "machine": matched.and_then(|one| one.machine()),
            "profile": matched.map(|one| one.profile()),
            "candidates": self.candidates(),
            "more": self.explanation.more,
            "profiles": self.profiles(),
            "profile_selectors": self.provenance.and_then(|one| one.choice.as_ref()?.labels.as_ref()),
            "values": self.values(),
            "script": self.sent.as_ref().and_then(|sent| sent.script.as_ref().ok()),
            "script_error": self.script_error(),
            "configs": self.config_list(),
        });
        format!("{document:#}\n")
    }

    /// The Assignment that won, even if it gives the machine nothing.
    fn assignment(&self) -> Option<&str> {
        match &self.explanation.outcome {
            Ok(matched) => Some(matched.assignment()),
            Err(NoMatch::NoProfile { assignment }) => Some(assignment),
            Err(NoMatch::IdentityConflict { .. } | NoMatch::Unassigned) => None,
        }
    }

    /// Every key with a list, since `mac` may have several values.
    fn label_map(&self) -> Map<String, Value> {
        let keys = self.labels.iter();
        keys.map(|(key, _)| {
            let values: Vec<&str> = self.labels.all(key).collect();
            (key.to_owned(), json!(values))
        })
        .collect()
    }

    fn dropped_list(&self) -> Vec<Value> {
        let one = |one: &crate::label::Dropped| {
            json!({
                "key": one.key,
                "value": one.value,
                "reason": one.reason.code(),
                "message": format!("it {}", one.reason),
            })
        };
        self.dropped.iter().map(one).collect()
    }

    fn candidates(&self) -> Vec<Value> {
        let all = self.explanation.candidates.iter();
        all.map(|one| {
            let place = one.place.as_ref();
            let matched: BTreeMap<_, _> = one.matched.iter().copied().collect();
            json!({
                "assignment": &*one.rule.name,
                "machine": machine(one),
                "entry": one.entry.map(|entry| entry + 1),
                "tier": one.rule.tier.as_str(),
                "priority": one.rule.priority,
                "keys": one.rule.keys(),
                "matched": matched,
                "path": place.map(|place| place.path.as_str()),
                "line": place.map(|place| place.line),
                "reason": reason(&one.verdict),
                "won": matches!(one.verdict, Verdict::Won(_)),
                "step": step(&one.verdict),
                "message": self.verdict(one),
                "failed": failed(&one.verdict).iter().map(failed_key).collect::<Vec<_>>(),
            })
        })
        .collect()
    }

    fn profiles(&self) -> Vec<Value> {
        let all = self.explanation.profiles.iter();
        all.map(|one| {
            let place = one.place;
            let requires: BTreeMap<_, _> = one.requires.iter().map(|(k, v)| (k, v)).collect();
            let differing: Vec<_> = one.differing.iter().map(|(key, _)| key).collect();
            json!({
                "profile": one.profile,
                "chosen": one.is_chosen,
                "requires": requires,
                "differing": differing,
                "path": place.map(|place| place.path.as_str()),
                "line": place.map(|place| place.line),
            })
        })
        .collect()
    }

    fn values(&self) -> Vec<Value> {
        let all = self.provenance.map_or(&[][..], |one| &one.values);
        let value = |path: &[String], value: &Value, source: &Source| {
            let Place { path: file, line } = &source.place;
            let mut object = Map::new();
            object.insert("key".to_owned(), json!(path));
            object.insert("value".to_owned(), value.clone());
            object.insert("layer".to_owned(), json!(source.layer.as_str()));
            object.insert("path".to_owned(), json!(file.as_str()));
            object.insert("line".to_owned(), json!(line));
            object
        };
        all.iter()
            .map(|one| {
                let mut object = value(&one.path, &one.value, &one.source);
                let under = one.under.iter();
                let under = under.map(|one| value(&one.path, &one.value, &one.source));
                object.insert("overrides".to_owned(), under.collect());
                Value::Object(object)
            })
            .collect()
    }

    fn script_error(&self) -> Option<String> {
        match &self.sent.as_ref()?.script {
            Err(error @ (RenderError::Failed(_) | RenderError::NoScript)) => {
                Some(error.to_string())
            }
            Ok(_) => None,
        }
    }

    fn config_list(&self) -> Vec<Value> {
        let all = self.sent.iter().flat_map(|sent| &sent.configs);
        all.map(|one| {
            json!({
                "name": one.name,
                "id": one.known.as_ref().map(|(id, _)| id),
                "url": one.known.as_ref().map(|(_, url)| url),
                "content_type": one.content_type,
                "labels": one.labels,
            })
        })
        .collect()
    }
}

fn machine<'a>(one: &Candidate<'a>) -> Option<&'a str> {
    let entry = one.rule.entries.get(one.entry?)?;
    Some(entry.name()).filter(|name| !name.is_empty())
}

fn reason(verdict: &Verdict<'_>) -> &'static str {
    match verdict {
        Verdict::Won(_) => "won",
        Verdict::Lost(Lost::Outranked(_)) => "outranked",
        Verdict::Lost(Lost::Barred) => "barred",
        Verdict::Lost(Lost::Contradicted(_)) => "contradicted",
        Verdict::Lost(Lost::Selectors(_)) => "selectors",
        Verdict::Lost(Lost::NotListed) => "not_listed",
    }
}

fn step(verdict: &Verdict<'_>) -> Option<&'static str> {
    match verdict {
        Verdict::Won(step) => step.map(crate::snapshot::Step::code),
        Verdict::Lost(Lost::Outranked(step)) => Some(step.code()),
        Verdict::Lost(_) => None,
    }
}

fn failed<'v>(verdict: &'v Verdict<'_>) -> &'v [FailedKey<'v>] {
    match verdict {
        Verdict::Lost(Lost::Contradicted(keys) | Lost::Selectors(keys)) => keys,
        Verdict::Won(_) | Verdict::Lost(_) => &[],
    }
}

fn failed_key(one: &FailedKey<'_>) -> Value {
    json!({"key": one.key, "sent": one.sent, "wanted": one.wanted})
}
