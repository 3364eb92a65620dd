//! The tests' own world: one machine, some values, a few configs.

mod bounds;
mod echo;
mod labels;
mod language;
mod plain;
mod problems;
mod properties;
mod secrets;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::*;

/// A template and what is around it.
struct Case {
    files: BTreeMap<&'static str, String>,
    labels: BTreeMap<String, String>,
    values: serde_json::Value,
    secrets: serde_json::Value,
    configs: BTreeMap<String, String>,
    kind: Kind,
    dialect: Dialect,
    in_script: bool,
}

fn case() -> Case {
    let labels = [
        ("serial", "SN 1;&"),
        ("site", "north"),
        ("hostname", "a\"b\\\nc"),
        ("buildarch", "arm64"),
    ];
    let configs = [
        ("ignition", "http://h/config/1"),
        ("user-data", "http://h/config/2"),
        ("motd", "http://h/config/3"),
    ];
    Case {
        files: BTreeMap::new(),
        labels: labels.map(|(key, value)| (key.into(), value.into())).into(),
        values: json!({
            "mirror": "http://m/x y", "flag": true, "off": false, "none": null, "n": 3, "f": 1.5, "big": 12_345_678_901_u64,
            "dns": ["1.1.1.1", "9.9.9.9"], "vlans": {"10": "ten"}, "sites": {"north": "http://n", "south": "http://s"},
            "b": {"z": 1, "a": {"deep": "yes"}}, "users": [{"name": "ann", "id": 2}, {"name": "bob", "id": 1}],
        }),
        secrets: json!({"token": "hunter2", "pin": 1234, "db": {"password": "p\"w"}}),
        configs: configs
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
        kind: Kind::Script,
        dialect: Dialect::Current,
        in_script: true,
    }
}

impl Case {
    fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    fn older(mut self) -> Self {
        self.dialect = Dialect::Older;
        self
    }

    fn file(mut self, path: &'static str, text: &str) -> Self {
        self.files.insert(path, text.into());
        self
    }

    fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    fn parse(&self, text: &str) -> Result<Template, Vec<Problem>> {
        let source = Source {
            path: RepoPath::parse("dir/main").unwrap(),
            text: text.into(),
        };
        let configs: BTreeSet<String> = self.configs.keys().cloned().collect();
        let scope = Scope {
            configs: &configs,
            dialect: self.dialect,
            in_script: self.in_script,
        };
        parse(
            &source,
            &scope,
            &|path| match self.files.get(path.as_str()) {
                Some(text) => Ok(Arc::from(text.as_str())),
                None => Err(IncludeError::Missing),
            },
        )
    }

    fn render(&self, text: &str) -> Result<String, Problem> {
        let template = self
            .parse(text)
            .unwrap_or_else(|problems| panic!("{text:?}: {problems:?}"));
        let context = Context {
            labels: &self.labels,
            values: &Values::from_json(&self.values),
            secrets: &Secret::new(Values::from_json(&self.secrets)),
            is_secret: !self.in_script,
            configs: &self.configs,
            config_dir: "http://h/config/0/",
            base_url: "http://h",
            profile: "worker",
            assignment: "rack",
            machine: "",
            revision: "4f2a91c",
        };
        template.render(self.kind, &context)
    }

    #[track_caller]
    fn prints(&self, text: &str, expected: &str) {
        assert_eq!(self.render(text).as_deref(), Ok(expected), "{text}");
    }

    /// The problems of a text that does not parse, each with the text it points at.
    #[track_caller]
    fn problems(&self, text: &str) -> Vec<(String, ProblemKind)> {
        let problems = self.parse(text).expect_err(text);
        problems
            .into_iter()
            .map(|problem| (self.slice(text, &problem.place), problem.kind))
            .collect()
    }

    #[track_caller]
    fn refuses(&self, text: &str, at: &str, kind: ProblemKind) {
        assert_eq!(self.problems(text), [(at.to_owned(), kind)], "{text}");
    }

    /// Does not parse, with words that hold `part`.
    #[track_caller]
    fn unsupported(&self, text: &str, part: &str) {
        match self.problems(text).as_slice() {
            [(_, ProblemKind::Unsupported(words) | ProblemKind::Syntax(words))]
                if words.contains(part) => {}
            other => panic!("{text}: {other:?}"),
        }
    }

    /// Parses, and fails to render.
    #[track_caller]
    fn fails(&self, text: &str, at: &str, kind: &ProblemKind) {
        let problem = self.render(text).expect_err(text);
        assert_eq!(
            (self.slice(text, &problem.place).as_str(), &problem.kind),
            (at, kind),
            "{text}"
        );
    }

    fn slice(&self, text: &str, place: &Place) -> String {
        let text = match place.path.as_str() {
            "dir/main" => text,
            path => &self.files[path],
        };
        text.get(place.range.clone())
            .unwrap_or("(out of the text)")
            .to_owned()
    }

    fn usage(&self, text: &str) -> Usage {
        self.parse(text)
            .unwrap_or_else(|problems| panic!("{text:?}: {problems:?}"))
            .usage()
            .clone()
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    case().prints(text, expected);
}

fn unknown_variable(name: &str, similar: Option<&str>) -> ProblemKind {
    ProblemKind::UnknownVariable {
        name: name.into(),
        similar: similar.map(str::to_owned),
    }
}
