//! Manifests as text, as a person would write them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::yaml;

/// The longest name that a manifest may have: that of a DNS-1123 subdomain.
const MAX_NAME: usize = 253;

/// A Profile to write.
#[derive(Debug, Default)]
pub(super) struct Profile {
    /// Lines of comment above it.
    pub(super) comments: Vec<String>,
    /// Its name.
    pub(super) name: String,
    /// The file of its script; none makes it answer 404.
    pub(super) script: Option<String>,
    /// Name, file and what else there is to say of each config.
    pub(super) configs: Vec<Config>,
    /// Its values.
    pub(super) values: Map<String, Value>,
}

/// A config to write.
#[derive(Debug)]
pub(super) struct Config {
    /// Its name.
    pub(super) name: &'static str,
    /// Its file.
    pub(super) file: String,
    /// Its type, where it is not the one that gitboot finds by itself.
    pub(super) content_type: Option<&'static str>,
    /// Whether it is a template, where that is not what gitboot finds by itself.
    pub(super) template: Option<bool>,
}

/// An Assignment to write.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    /// Lines of comment above it.
    pub(super) comments: Vec<String>,
    /// Its name.
    pub(super) name: String,
    /// The name of its Profile.
    pub(super) profile: String,
    /// Its selectors, in order.
    pub(super) selectors: Vec<(String, String)>,
    /// The machines that it names, with their values.
    pub(super) machines: Vec<(String, Map<String, Value>)>,
    /// Its priority, unless 0.
    pub(super) priority: i32,
    /// Whether it is a default.
    pub(super) is_default: bool,
    /// Its values.
    pub(super) values: Map<String, Value>,
}

impl Profile {
    /// As a manifest.
    pub(super) fn to_yaml(&self) -> String {
        let mut out = head("Profile", &self.comments, &self.name);
        let empty = self.script.is_none() && self.configs.is_empty() && self.values.is_empty();
        if empty {
            out.push_str("spec: {}\n");
            return out;
        }
        out.push_str("spec:\n");
        if let Some(script) = &self.script {
            let _ = writeln!(out, "  ipxe:\n    file: {}", yaml::scalar(script));
        }
        if !self.configs.is_empty() {
            out.push_str("  additionalConfig:\n");
        }
        for config in &self.configs {
            let _ = write!(
                out,
                "    {}:\n      file: {}\n",
                config.name,
                yaml::scalar(&config.file)
            );
            if let Some(content_type) = config.content_type {
                let _ = writeln!(out, "      contentType: {content_type}");
            }
            if let Some(template) = config.template {
                let _ = writeln!(out, "      template: {template}");
            }
        }
        values(&mut out, &self.values, 2);
        out
    }
}

impl Assignment {
    /// As a manifest.
    pub(super) fn to_yaml(&self) -> String {
        let mut out = head("Assignment", &self.comments, &self.name);
        let _ = writeln!(out, "spec:\n  profile: {}", yaml::scalar(&self.profile));
        if !self.selectors.is_empty() {
            out.push_str("  subjectSelectors:\n");
        }
        for (key, value) in &self.selectors {
            let (key, value) = (yaml::scalar(key), yaml::scalar(value));
            let _ = writeln!(out, "    {key}: [{value}]");
        }
        if self.is_default {
            out.push_str("  isDefault: true\n");
        }
        if self.priority != 0 {
            let _ = writeln!(out, "  priority: {}", self.priority);
        }
        values(&mut out, &self.values, 2);
        if !self.machines.is_empty() {
            out.push_str("  machines:\n");
        }
        for (mac, own) in &self.machines {
            let _ = writeln!(out, "    - mac: {}", yaml::quoted(mac));
            values(&mut out, own, 6);
        }
        out
    }
}

fn head(kind: &str, comments: &[String], name: &str) -> String {
    let mut out = String::new();
    for line in comments {
        let _ = writeln!(out, "{}", format!("# {}", yaml::comment(line)).trim_end());
    }
    let _ = write!(
        out,
        "apiVersion: gitboot.dev/v1alpha1\nkind: {kind}\nmetadata:\n  name: {}\n",
        yaml::scalar(name)
    );
    out
}

fn values(out: &mut String, values: &Map<String, Value>, indent: usize) {
    if !values.is_empty() {
        let _ = writeln!(out, "{:indent$}values:", "");
        yaml::map(out, values, indent + 2);
    }
}

/// Names for manifests, each once.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// The name nearest to this text that a manifest may have and no other has.
    pub(super) fn take(&mut self, text: &str) -> String {
        let mut name: String = text
            .chars()
            .map(|char| match char.to_ascii_lowercase() {
                char @ ('a'..='z' | '0'..='9' | '.' | '-') => char,
                _ => '-',
            })
            .collect();
        while name.contains("..") || name.contains(".-") || name.contains("-.") {
            name = name
                .replace("..", ".")
                .replace(".-", ".")
                .replace("-.", ".");
        }
        // Room for a number behind it.
        name.truncate(MAX_NAME - 8);
        let mut name = name.trim_matches(['.', '-']).to_owned();
        if name.is_empty() {
            "unnamed".clone_into(&mut name);
        }
        // No part between two points may be longer.
        if name.split('.').any(|part| part.len() > 63) {
            name = name.replace('.', "-");
            name.truncate(56);
            name = name.trim_matches('-').to_owned();
        }
        let mut unique = name.clone();
        let mut number = 1;
        while !self.0.insert(unique.clone()) {
            number += 1;
            unique = format!("{name}-{number}");
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_manifests_may_be_called() {
        let mut names = Names::default();
        for (text, name) in [
            ("node1", "node1"),
            ("Node_1", "node-1"),
            ("node.1", "node.1"),
            ("-a..b-.c-", "a.b.c"),
            ("node-1", "node-1-2"),
            ("", "unnamed"),
            ("ü", "unnamed-2"),
        ] {
            assert_eq!(names.take(text), name);
        }
        assert!(names.take(&"x".repeat(300)).len() <= 63);
    }
}
