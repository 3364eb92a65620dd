//! Manifests as kustomize and Helm render them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde::Deserialize as _;
use serde_json::Value;

use super::tools;
use crate::monitoring::deploy;

/// Each of them, as kubectl renders it.
pub(super) const KUSTOMIZATIONS: [&str; 3] = ["base", "overlays/lab", "overlays/production"];

/// Helm's values: those of the chart, and those that make the production overlay of it.
pub(super) const VALUES: [Option<&str>; 2] = [None, Some("ci/production-values.yaml")];

/// The text and the documents of one rendering.
#[derive(Clone, Debug)]
pub(super) struct Rendered {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) documents: Vec<Value>,
}

impl Rendered {
    pub(super) fn new(name: String, text: String) -> Self {
        let documents = serde_yaml::Deserializer::from_str(&text)
            .map(|document| Value::deserialize(document).unwrap())
            .filter(|document| !document.is_null())
            .collect();
        Self {
            name,
            text,
            documents,
        }
    }

    pub(super) fn kustomize(overlay: &str) -> Self {
        let folder = deploy("kubernetes");
        let text = tools::run(&folder, "kubectl", &["kustomize", overlay]);
        Self::new(format!("kustomize {overlay}"), text)
    }

    pub(super) fn helm(values: Option<&str>, more: &[&str]) -> Self {
        let mut args = vec!["template", "gitboot", ".", "--namespace=gitboot"];
        // This Helm asks for a Kubernetes of its own time otherwise.
        args.push("--kube-version=1.32.0");
        args.extend(values.iter().flat_map(|values| ["--values", values]));
        args.extend(more);
        let text = tools::run(&chart(), tools::helm(), &args);
        Self::new(format!("helm {values:?}"), text)
    }

    pub(super) fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Rendered>> = OnceLock::new();
        ALL.get_or_init(|| {
            let kustomizations = KUSTOMIZATIONS.into_iter().map(Self::kustomize);
            let charts = VALUES.into_iter().map(|values| Self::helm(values, &[]));
            kustomizations.chain(charts).collect()
        })
    }

    pub(super) fn of_kind(&self, kind: &str) -> Vec<&Value> {
        let all = self.documents.iter();
        all.filter(|document| document["kind"] == kind).collect()
    }

    pub(super) fn service(&self, name: &str) -> &Value {
        let mut all = self.of_kind("Service").into_iter();
        all.find(|one| one["metadata"]["name"] == name).unwrap()
    }

    pub(super) fn deployment(&self) -> &Value {
        let all = self.of_kind("Deployment");
        assert_eq!(all.len(), 1, "{}", self.name);
        all[0]
    }

    pub(super) fn pod(&self) -> &Value {
        &self.deployment()["spec"]["template"]["spec"]
    }

    pub(super) fn container(&self) -> &Value {
        let all = self.pod()["containers"].as_array().unwrap();
        assert_eq!(all.len(), 1, "{}", self.name);
        &all[0]
    }

    pub(super) fn env(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| {
            value
                .as_str()
                .unwrap_or_else(|| panic!("{value}"))
                .to_owned()
        };
        let all = self.container()["env"].as_array().unwrap();
        let env: BTreeMap<_, _> = all
            .iter()
            .map(|one| (text(&one["name"]), text(&one["value"])))
            .collect();
        assert_eq!(
            env.len(),
            all.len(),
            "a variable stands twice in {}",
            self.name
        );
        env
    }
}

pub(super) fn chart() -> PathBuf {
    deploy("kubernetes/helm/gitboot")
}
