//! Rules for the configs of a Profile.

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, lint as say};
use crate::template::Usage;

use super::Subject;
use crate::compile::content::{Loaded, LoadedBody};

/// What cloud-init's NoCloud fetches by itself from the directory that it is told of
/// (<https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html>).
const SEED: [&str; 4] = [USER_DATA, META_DATA, "vendor-data", "network-config"];
const USER_DATA: &str = "user-data";
const META_DATA: &str = "meta-data";

/// What stands in the URL of every config that is fetched by its name.
const BY_NAME: &str = "v1/boot/";

/// Ensure that a machine is told of every config.
pub(super) fn unused(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for loaded in subject.profiles().filter(|loaded| loaded.script.is_some()) {
        if usages(loaded).any(|usage| usage.config_dir) || is_fetched_by_name(loaded) {
            continue;
        }
        let named: BTreeSet<&str> = usages(loaded)
            .flat_map(|usage| usage.configs.iter().map(String::as_str))
            .collect();
        for (name, body) in &loaded.configs {
            if !named.contains(name) && !SEED.contains(name) {
                let at = at(loaded, name, body, subject);
                found.push(say::unused_config(at, name, body.exposed));
            }
        }
    }
}

/// Ensure that `user-data` and `meta-data` come together. One whose own URL is handed out may be for somebody else than NoCloud.
pub(super) fn incomplete_seeds(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for loaded in subject.profiles() {
        let exposed = |name: &str| {
            let mut configs = loaded.configs.iter();
            configs.find(|(other, body)| *other == name && body.exposed)
        };
        for (there, missing) in [(USER_DATA, META_DATA), (META_DATA, USER_DATA)] {
            let (Some((_, body)), None) = (exposed(there), exposed(missing)) else {
                continue;
            };
            let has_directory = usages(loaded).any(|usage| usage.config_dir);
            let is_named = usages(loaded).any(|usage| usage.configs.contains(there));
            if has_directory || !is_named {
                let at = at(loaded, there, body, subject);
                found.push(say::incomplete_seed(at, there, missing));
            }
        }
    }
}

fn at(
    loaded: &Loaded<'_>,
    name: &str,
    body: &LoadedBody<'_>,
    subject: &Subject<'_>,
) -> crate::diagnostic::Location {
    match loaded.profile.configs.get(name) {
        Some(config) => {
            let origin = &loaded.profile.origin;
            let key = crate::manifest::Part::Key;
            subject.locator.place(origin, &config.steps, key)
        }
        None => body.spot.start(subject.locator),
    }
}

fn bodies<'l>(loaded: &'l Loaded<'_>) -> impl Iterator<Item = &'l LoadedBody<'l>> {
    let configs = loaded.configs.iter().map(|(_, body)| body);
    loaded.script.iter().chain(configs)
}

fn usages<'l>(loaded: &'l Loaded<'_>) -> impl Iterator<Item = &'l Usage> {
    bodies(loaded).filter_map(|body| Some(body.template.as_ref()?.usage()))
}

fn is_fetched_by_name(loaded: &Loaded<'_>) -> bool {
    let templates = bodies(loaded).filter_map(|body| body.template.as_ref());
    let mut sources = templates.flat_map(|template| template.sources());
    sources.any(|source| source.text.contains(BY_NAME))
}
