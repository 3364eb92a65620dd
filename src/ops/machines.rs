//! `/api/machines`: who was seen lately.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reply::Reply;
use super::status::time;
use crate::observe::{Machine, Register};

/// How many machines of each kind are told unless `limit=` says otherwise.
const DEFAULT_LIMIT: usize = 1000;

/// How many at most, whatever it says.
const MAX_LIMIT: usize = 10_000;

pub(super) fn document(register: Option<&Register>, query: &str) -> Reply {
    let seen = register.map(|register| register.seen(limit(query)));
    let seen = seen.unwrap_or_default();
    let (named, others) = register.map(Register::counts).unwrap_or_default();
    let mut machines: Vec<&Machine> = seen.named.iter().chain(&seen.others).collect();
    machines.sort_by_key(|one| std::cmp::Reverse(one.last_seen));
    let document = json!({
        "machines": machines.into_iter().map(machine).collect::<Vec<_>>(),
        "named": named,
        "others": others,
        "forgotten": seen.forgotten,
        "lost": seen.lost,
    });
    Reply::json(format!("{document:#}\n"))
}

fn limit(query: &str) -> usize {
    let mut parameters = query.split('&');
    let limit = parameters.find_map(|parameter| parameter.strip_prefix("limit="));
    let limit = limit.and_then(|limit| limit.parse().ok());
    limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT)
}

fn machine(one: &Machine) -> Value {
    let mut labels: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, value) in &one.labels {
        labels.entry(key).or_default().push(value);
    }
    json!({
        "labels": labels,
        "unassigned": one.is_unassigned(),
        "machine": one.machine,
        "assignment": one.assignment,
        "profile": one.profile,
        "config": one.config,
        "revision": one.revision,
        "route": one.route,
        "status": one.status,
        "reason": one.reason,
        "client": one.client.to_string(),
        "first_seen": time(one.first_seen),
        "last_seen": time(one.last_seen),
        "requests": one.requests,
    })
}
