//! `deploy/compose/compose.yaml`: that it is what the specification says, and what it says of each service.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::network::SERVER;

/// A service of compose.yaml, with its variables filled in for the network of the tests.
pub(super) struct Service(Value);

impl Service {
    /// The service of this name.
    pub(super) fn of(name: &str) -> Self {
        let values = BTreeMap::from([
            ("LAB_SERVER", SERVER),
            ("LAB_NETWORK", "10.0.2"),
            ("LAB_ROUTER", "10.0.2.1"),
        ]);
        let text = fill_in(&read("compose.yaml"), |name| {
            values.get(name).map(|value| (*value).to_owned())
        });
        let service = parse(&text)["services"][name].clone();
        assert!(service.is_mapping(), "{name}");
        Self(service)
    }

    /// Its environment.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let variables = self.0["environment"].as_mapping().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let pairs = variables.iter();
        pairs.map(|(key, value)| (text(key), text(value))).collect()
    }

    /// What it runs.
    pub(super) fn command(&self) -> Vec<String> {
        words(&self.0["command"])
    }

    /// What gives a program the user and the rights that the service has, and no more.
    pub(super) fn rights(&self) -> Vec<String> {
        assert_eq!(words(&self.0["cap_drop"]), ["ALL"]);
        let mut rights = "-all".to_owned();
        if self.0.get("cap_add").is_some() {
            for right in words(&self.0["cap_add"]) {
                rights.push_str(",+");
                rights.push_str(&right.to_lowercase());
            }
        }
        let mut line = vec![
            "setpriv".to_owned(),
            "--no-new-privs".to_owned(),
            format!("--bounding-set={rights}"),
            "--inh-caps=-all".to_owned(),
        ];
        match self.0.get("user").and_then(Value::as_str) {
            // What the image has otherwise.
            None | Some("0:0") => {}
            Some(user) => line.extend([
                format!("--reuid={user}"),
                format!("--regid={user}"),
                "--clear-groups".to_owned(),
            ]),
        }
        line
    }
}

/// Ensure that compose.yaml is what the specification allows, as it stands and with its merges and anchors followed.
#[test]
fn specification_is_met() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas/compose-spec.json");
    let schema: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let compose = serde_json::to_value(parse(&read("compose.yaml"))).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&compose)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    // It does notice.
    let mut wrong = compose;
    wrong["services"]["web"]["read-only"] = true.into();
    assert!(!validator.is_valid(&wrong));
}

/// Ensure that nobody has to look for a variable, and that none is there for nothing.
#[test]
fn variables_are_those_of_the_example() {
    let mut used = BTreeSet::new();
    fill_in(&read("compose.yaml"), |name| {
        used.insert(name.to_owned());
        Some(String::new())
    });
    // Compose itself reads this one.
    used.insert("COMPOSE_PROFILES".to_owned());
    let example = read(".env.example");
    let lines = example.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    let given: BTreeSet<String> = pairs.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(given, used);
}

/// Ensure that every service is as closed as it can be, and is looked after.
#[test]
fn services_are_hardened() {
    let text = fill_in(&read("compose.yaml"), |_| Some("x".to_owned()));
    let services = &parse(&text)["services"];
    let rights = |name: &str| {
        let rights = services[name].get("cap_add");
        rights.map(words).unwrap_or_default()
    };
    for (name, service) in services.as_mapping().unwrap() {
        assert_eq!(service["read_only"], Value::Bool(true), "{name:?}");
        assert_eq!(words(&service["cap_drop"]), ["ALL"], "{name:?}");
        let options = words(&service["security_opt"]);
        assert_eq!(options, ["no-new-privileges:true"], "{name:?}");
        assert!(service["healthcheck"]["test"].is_sequence(), "{name:?}");
    }
    assert_eq!(rights("gitboot"), ["NET_BIND_SERVICE"]);
    assert_eq!(rights("web"), Vec::<String>::new());
    assert_eq!(rights("proxy"), rights("dhcp"));
}

/// Ensure that what is mounted or built is there, or made by `prepare`.
#[test]
fn files_are_there() {
    let text = fill_in(&read("compose.yaml"), |_| Some("x".to_owned()));
    let folder = folder();
    let compose = parse(&text);
    for (_, service) in compose["services"].as_mapping().unwrap() {
        let volumes = words(&service["volumes"]);
        for source in volumes
            .iter()
            .map(|volume| volume.split(':').next().unwrap())
        {
            let is_made = ["./boot.git", "./images"].contains(&source);
            let is_volume = compose["volumes"].get(source).is_some();
            let is_there = folder.join(source).exists();
            assert!(is_made || is_volume || is_there, "{source}");
        }
    }
}

/// The folder of compose.yaml.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

fn parse(text: &str) -> Value {
    let mut value: Value = serde_yaml::from_str(text).unwrap();
    // What is merged may hold merges itself, which become visible only then.
    loop {
        let before = value.clone();
        value.apply_merge().unwrap();
        if value == before {
            return value;
        }
    }
}

fn words(value: &Value) -> Vec<String> {
    let words = value.as_sequence().unwrap().iter();
    words
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

/// Puts the values of `${NAME}`, `${NAME:?message}` and `${NAME:-default}` in their places.
fn fill_in(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inner, after) = after.split_once('}').unwrap();
        let end = inner.find(':').unwrap_or(inner.len());
        let (name, default) = inner.split_at(end);
        filled.push_str(before);
        let default = default.strip_prefix(":-").map(str::to_owned);
        filled.push_str(&value(name).or(default).expect(name));
        rest = after;
    }
    filled + rest
}
