//! The older groups: what their manifests say, in their spellings, is served.

use gitboot::diagnostic::Diagnostics;
use gitboot::label::{FixedLabels, Labels};
use gitboot::render::{self, BaseUrl};
use gitboot::snapshot::{NoMatch, Snapshot};

use crate::support::fixture::{build, snapshot};

const GROUPS: [&str; 2] = ["shaper.amahdha.com", "ipxe.cloud.alexandre.mahdhaoui.com"];

const TREE: &str = "\
//- profiles.yaml
apiVersion: GROUP/v1alpha1
kind: Profile
metadata:
  name: 819f1859-a669-410b-adfc-d0bc128e2d7a
  labels: {assignment/ipxe-buildarch: arm64}
spec:
  ipxeTemplate: |
    #!ipxe
    kernel https://example.com/vmlinuz ignition.config.url={{ .ignitionFile }} cloud={{ .AdditionalContent.cloudInit }}
    initrd {{ index . \"with-dash\" }} ${net0/mac} {{ .hidden }}
    boot
  additionalContent:
    - name: ignitionFile
      exposed: true
      inline: |
        {\"ignition\": {\"version\": \"3.4.0\"}, \"x\": \"{{ .untouched }}\"}
    - {name: cloudInit, exposed: true, inline: \"#cloud-config\\n\"}
    - {name: with-dash, exposed: true, inline: plain}
    - {name: hidden, exposed: false, inline: console=ttyS0}
    - {name: unsaid, inline: also hidden}
---
apiVersion: GROUP/v1alpha1
kind: Profile
metadata: {name: other}
spec:
  ipxeTemplate: \"#!ipxe\\necho {{ .motd }}\\n\"
  additionalConfig:
    motd: \"{{ hello }}\"
//- assignments.yaml
apiVersion: GROUP/v1alpha1
kind: Assignment
metadata: {name: by-uuid}
spec:
  subjectSelectors:
    buildarch: [arm64, x86_64]
    uuidList:
      - 47C6DA67-7477-4970-AA03-84E48FF4F6AD
      - 3f5f3c39-584e-4c7c-b6ff-137e1aaa7175
  profileName: 819f1859-a669-410b-adfc-d0bc128e2d7a
---
apiVersion: GROUP/v1alpha1
kind: Assignment
metadata: {name: by-serial}
spec:
  subjectSelectors:
    serialNumber: [c4a94672-05a1-4eda-a186-b4aa4544b146]
  profileSelectors:
    assignment/ipxe-buildarch: arm64
---
apiVersion: GROUP/v1alpha1
kind: Assignment
metadata: {name: default-arm64}
spec:
  subjectSelectors:
    buildarch: [arm64]
    uuidList: []
  profileName: other
  isDefault: true
---
apiVersion: GROUP/v1alpha1
kind: Assignment
metadata: {name: default}
spec:
  subjectSelectors:
    buildarch: []
  profileName: other
  isDefault: true
";

fn find(snapshot: &Snapshot, query: &str) -> Result<(String, String), String> {
    let labels = Labels::parse(query, &FixedLabels::default()).unwrap();
    let found = snapshot
        .find(&labels)
        .map_err(|one| one.reason().to_owned());
    found.map(|one| (one.assignment().to_owned(), one.profile().to_owned()))
}

fn codes(diagnostics: &Diagnostics) -> Vec<&'static str> {
    diagnostics
        .iter()
        .map(gitboot::diagnostic::Diagnostic::code)
        .collect()
}

#[test]
fn their_assignments_match() {
    for group in GROUPS {
        let (snapshot, diagnostics) = build(&TREE.replace("GROUP", group));
        // One config is neither exposed nor inserted anywhere.
        assert_eq!(codes(&diagnostics), ["unused-config"]);
        let snapshot = snapshot.unwrap();
        let first = "819f1859-a669-410b-adfc-d0bc128e2d7a".to_owned();
        let other = "other".to_owned();
        let winner = |query: &str| find(&snapshot, query);
        assert_eq!(
            winner("uuid=47c6da67-7477-4970-aa03-84e48ff4f6ad&buildarch=amd64"),
            Ok(("by-uuid".into(), first.clone()))
        );
        assert_eq!(
            winner("uuid=3f5f3c39-584e-4c7c-b6ff-137e1aaa7175&arch=arm64"),
            Ok(("by-uuid".into(), first.clone()))
        );
        assert_eq!(
            winner("uuid=3f5f3c39-584e-4c7c-b6ff-137e1aaa7175&arch=i386"),
            Ok(("default".into(), other.clone()))
        );
        assert_eq!(
            winner("serial=c4a94672-05a1-4eda-a186-b4aa4544b146"),
            Ok(("by-serial".into(), first))
        );
        // The one candidate asks for another architecture.
        let refused = NoMatch::NoProfile {
            assignment: "by-serial",
        }
        .reason()
        .to_owned();
        assert_eq!(
            winner("serial=c4a94672-05a1-4eda-a186-b4aa4544b146&buildarch=x86_64"),
            Err(refused)
        );
        assert_eq!(
            winner("buildarch=arm64"),
            Ok(("default-arm64".into(), other.clone()))
        );
        assert_eq!(winner(""), Ok(("default".into(), other)));
    }
}

#[test]
fn their_scripts_name_their_content() {
    for group in GROUPS {
        let snapshot = snapshot(&TREE.replace("GROUP", group));
        let labels = Labels::parse(
            "uuid=47c6da67-7477-4970-aa03-84e48ff4f6ad&buildarch=arm64",
            &FixedLabels::default(),
        )
        .unwrap();
        let matched = snapshot.find(&labels).unwrap();
        let base = BaseUrl::parse("http://boot.example").unwrap();
        let script = render::script(&matched, &labels, &base).unwrap();
        let id = |name: &str| matched.config(name).unwrap().id;
        let (ignition, cloud, dash) = (id("ignitionFile"), id("cloudInit"), id("with-dash"));
        let expected = format!(
            "#!ipxe
kernel https://example.com/vmlinuz ignition.config.url=http://boot.example/config/{ignition} cloud=http://boot.example/config/{cloud}
initrd http://boot.example/config/{dash} ${{net0/mac}} console=ttyS0
boot
"
        );
        assert_eq!(String::from_utf8(script.to_vec()).unwrap(), expected);
        assert!(matched.config("hidden").is_none() && matched.config("unsaid").is_none());
        let body =
            |name: &str| render::config(matched.config(name).unwrap(), &labels, &base).unwrap();
        assert_eq!(
            body("ignitionFile"),
            "{\"ignition\": {\"version\": \"3.4.0\"}, \"x\": \"{{ .untouched }}\"}\n"
        );
        assert_eq!(
            matched.config("ignitionFile").unwrap().content_type,
            "application/vnd.coreos.ignition+json"
        );
        assert_eq!(
            matched.config("cloudInit").unwrap().content_type,
            "text/cloud-config"
        );
    }
}

/// An empty list reads as absent in a default of an older group, and is an error in every other place.
#[test]
fn empty_selectors_are_errors() {
    let with = |group: &str, selectors: &str, is_default: bool| {
        let text = format!(
            "//- a.yaml\napiVersion: {group}/v1alpha1\nkind: Profile\nmetadata: {{name: p}}\nspec: {{ipxe: \"#!ipxe\\n\"}}\n---
apiVersion: {group}/v1alpha1\nkind: Assignment\nmetadata: {{name: a}}\nspec: {{profile: p, isDefault: {is_default}, {selectors}}}\n"
        );
        codes(&build(&text).1)
    };
    let none = Vec::<&str>::new();
    for group in ["gitboot.dev", GROUPS[0], GROUPS[1]] {
        let older = group != "gitboot.dev";
        for selectors in [
            "subjectSelectors: {site: []}",
            "subjectSelectors: {site: [], uuidList: []}",
        ] {
            let expected = if older {
                none.clone()
            } else {
                vec!["empty-selector"; selectors.matches("[]").count()]
            };
            assert_eq!(
                with(group, selectors, true),
                expected,
                "{group} {selectors}"
            );
        }
        for selectors in [
            "subjectSelectors: {site: []}",
            "subjectSelectors: {site: }",
            "subjectSelectors: {}",
            "subjectSelectors: ",
            "machines: []",
            "machines: ",
        ] {
            assert_eq!(
                with(group, selectors, false),
                ["empty-selector"],
                "{group} {selectors}"
            );
        }
        for selectors in [
            "subjectSelectors: {site: }",
            "subjectSelectors: {}",
            "subjectSelectors: ",
            "subjectSelectors: {site: [~]}",
        ] {
            assert!(
                !with(group, selectors, true).is_empty(),
                "{group} {selectors}"
            );
        }
    }
}

#[test]
fn what_cannot_be_served_is_refused_with_words() {
    for group in ["gitboot.dev", GROUPS[0], GROUPS[1]] {
        for field in [
            "objectRef: {name: x}",
            "webhook: {url: \"http://x\"}",
            "postTransformations: [{butane: true}]",
        ] {
            for list in [
                format!("additionalContent: [{{name: c, exposed: true, {field}}}]"),
                format!("additionalConfig: {{c: {{{field}}}}}"),
            ] {
                let text = format!(
                    "{}//- b.yaml\napiVersion: {group}/v1alpha1\nkind: Profile\nmetadata: {{name: p}}\nspec: {{{list}}}\n",
                    crate::support::fixture::GOOD
                );
                let (_, diagnostics) = build(&text);
                let refused: Vec<_> = diagnostics
                    .iter()
                    .filter(|one| one.code() == "unsupported-source")
                    .collect();
                assert_eq!(refused.len(), 1, "{}", diagnostics.render_human());
                assert!(!refused[0].help().is_empty());
            }
        }
    }
}
