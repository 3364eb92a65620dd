//! Every rule by its code, for those who show rules apart from what breaks them.

use super::Severity;

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The code that its diagnostics carry.
    pub code: &'static str,
    /// How bad it is to break it; where both occur, the worse.
    pub severity: Severity,
    /// What it ensures, in one sentence without a full stop that starts with `Ensure`.
    pub ensure: &'static str,
}

/// All rules, sorted by code. The README shows the same table.
#[must_use]
pub fn rules() -> &'static [Rule] {
    RULES
}

const fn error(code: &'static str, ensure: &'static str) -> Rule {
    Rule {
        code,
        severity: Severity::Error,
        ensure,
    }
}

const fn warning(code: &'static str, ensure: &'static str) -> Rule {
    Rule {
        code,
        severity: Severity::Warning,
        ensure,
    }
}

#[rustfmt::skip]
const RULES: &[Rule] = &[
    error("ambiguous-profiles", "Ensure that a label tells apart the Profiles that `profileSelectors` fit"),
    error("bad-reference", "Ensure that a file reference stays within the served root"),
    warning("bare-label", "Ensure that a config prints a label through a filter for its syntax"),
    warning("class-overlap", "Ensure that `priority` decides between classes on different labels"),
    error("computed-key", "Ensure that `configs` and `labels` are asked for names that are written out"),
    error("config-circle", "Ensure that no config holds, by way of others, its own URL"),
    error("conflict", "Ensure that no machine satisfies two Assignments, or two of their machines, of equal rank"),
    error("default-names-machines", "Ensure that a default selects by no identity"),
    error("duplicate-key", "Ensure that a key, in whatever spelling, is given once"),
    error("duplicate-name", "Ensure that Profiles, Assignments, configs and machines have names of their own"),
    error("empty-selector", "Ensure that a selector selects something"),
    error("empty-tree", "Ensure that there is a Profile and an Assignment, unless `--allow-empty` says otherwise"),
    error("exclusive-fields", "Ensure that of two fields that exclude each other one is given"),
    error("file-not-found", "Ensure that a file that is named exists in the same revision"),
    warning("identities-anded", "Ensure that two identities in one selector are meant to be required both"),
    error("ignore-pattern", "Ensure that every line of `.gitbootignore` is a pattern"),
    error("include", "Ensure that an included file is a text of the same revision that does not include itself"),
    warning("incomplete-seed", "Ensure that `user-data` and `meta-data` come together, as cloud-init's NoCloud wants them"),
    error("invalid-config-name", "Ensure that a URL can carry a config's name"),
    error("invalid-content-type", "Ensure that a content type is a header value"),
    error("invalid-json", "Ensure that what is served as JSON is JSON"),
    error("invalid-label", "Ensure that a label has a name that a machine can send"),
    error("invalid-name", "Ensure that names are DNS-1123 subdomains"),
    error("invalid-priority", "Ensure that a priority is a whole number from -1000 to 1000"),
    error("invalid-value", "Ensure that a machine can send what a selector compares with"),
    error("junk-identity", "Ensure that no placeholder of firmware makers identifies a machine"),
    error("lfs-pointer", "Ensure that git holds the file itself and no pointer of Git LFS"),
    warning("long-command-line", "Ensure that a kernel command line fits into 2,048 bytes"),
    warning("long-line", "Ensure that a line of a script has at most 255 words"),
    error("malformed-mac", "Ensure that a MAC address is one"),
    error("malformed-uuid", "Ensure that a UUID is one"),
    error("manifest-as-content", "Ensure that a file holds manifests or content"),
    error("merge-conflict", "Ensure that no file holds both sides of a merge; in content it is a warning"),
    error("merge-key", "Ensure that `<<` merges maps"),
    error("missing-field", "Ensure that no field is missing"),
    warning("misspelt-label", "Ensure that a selector's label is not a slip for one that machines send"),
    error("more-errors", "Ensure that a file has no more errors than can be shown"),
    warning("never-wins", "Ensure that an Assignment, and each machine it names, can be selected"),
    error("no-secrets", "Ensure that secrets are given where configs name any"),
    error("not-a-file", "Ensure that what is named is a regular file"),
    error("not-a-manifest", "Ensure that a YAML file is a manifest, is named, or is ignored by name"),
    error("not-a-script", "Ensure that a rendered script starts with `#!ipxe` and white space"),
    error("not-utf8", "Ensure that manifests and templates are UTF-8"),
    error("number-form", "Ensure that a number prints as it is written"),
    error("render-failed", "Ensure that a template renders for everybody who uses it"),
    error("secret-in-script", "Ensure that no script prints a secret"),
    error("selects-nobody", "Ensure that an Assignment selects somebody"),
    error("template-limit", "Ensure that a template is bounded in size, steps and output"),
    error("template-syntax", "Ensure that a template can be parsed"),
    error("template-unsupported", "Ensure that a template uses what there is"),
    error("too-many-combinations", "Ensure that the values of an Assignment multiply to at most 4,096 combinations"),
    error("undefined-secret", "Ensure that a secret that a config writes exists"),
    error("undefined-value", "Ensure that a value that a template writes exists for everybody who uses it"),
    error("unknown-api-version", "Ensure that an `apiVersion` exists"),
    error("unknown-buildarch", "Ensure that a `buildarch` is one that iPXE is built for"),
    warning("unknown-command", "Ensure that a line of a script starts with a command of iPXE"),
    error("unknown-config", "Ensure that a config that a template names exists"),
    error("unknown-field", "Ensure that a field exists"),
    error("unknown-filter", "Ensure that a filter exists"),
    error("unknown-function", "Ensure that a function exists"),
    warning("unknown-initrd", "Ensure that `initrd=` names an initrd that the script fetches"),
    error("unknown-kind", "Ensure that a kind exists"),
    warning("unknown-platform", "Ensure that a `platform` is one that iPXE runs on"),
    error("unknown-profile", "Ensure that the Profile of an Assignment exists"),
    error("unknown-test", "Ensure that a test of a template exists"),
    error("unknown-variable", "Ensure that a name in a template is in scope"),
    error("unprintable-value", "Ensure that no template prints null, a list or a map as it is"),
    warning("unsent-label", "Ensure that a label in a template is one that some machine sends"),
    error("unsupported-source", "Ensure that content comes from the repository alone"),
    warning("unused-config", "Ensure that a machine is told of every config"),
    warning("unused-initrd", "Ensure that a kernel argument names each initrd that has a name"),
    warning("unused-profile", "Ensure that an Assignment uses every Profile"),
    error("values-file", "Ensure that a file of values is one map"),
    error("wrong-type", "Ensure that a field has a value of its type"),
    error("yaml-budget", "Ensure that a YAML file does not unfold to more than it may"),
    error("yaml-depth", "Ensure that YAML does not nest too deep"),
    error("yaml-key", "Ensure that a key is text"),
    error("yaml-syntax", "Ensure that a YAML file can be parsed"),
    error("yaml-tag", "Ensure that a manifest uses no YAML tag"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The codes of the catalogue with the severities that they are told with; a code that is chosen by a `match` stands apart
    /// from its constructor and counts as an error.
    fn catalogue() -> BTreeMap<String, Severity> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/diagnostic/catalogue");
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // What `gitboot import` has to say is about no repository of ours.
            if path.ends_with("import.rs") {
                continue;
            }
            let source = std::fs::read_to_string(path).unwrap();
            for text in source.split('"').filter(|text| is_code(text)) {
                all.entry(text.to_owned()).or_insert(Severity::Error);
            }
            for (call, severity) in [
                ("Diagnostic::warning(", Severity::Warning),
                ("Diagnostic::error(", Severity::Error),
            ] {
                for rest in source.split(call).skip(1) {
                    let rest = rest.trim_start().strip_prefix('"');
                    if let Some(code) = rest.and_then(|rest| rest.split('"').next()) {
                        all.insert(code.to_owned(), severity);
                    }
                }
            }
        }
        // In a manifest an error, in content a warning.
        all.insert("merge-conflict".to_owned(), Severity::Error);
        all.insert("include".to_owned(), Severity::Error);
        all
    }

    fn is_code(text: &str) -> bool {
        let is_word = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        text.contains('-') && text.split('-').all(is_word)
    }

    #[test]
    fn every_code_is_a_rule_and_every_rule_a_code() {
        let told: BTreeMap<String, Severity> = rules()
            .iter()
            .map(|rule| (rule.code.to_owned(), rule.severity))
            .collect();
        assert_eq!(told, catalogue());
    }

    #[test]
    fn rules_are_sorted_and_ensure_something() {
        assert!(rules().is_sorted_by(|a, b| a.code < b.code));
        for rule in rules() {
            assert!(rule.ensure.starts_with("Ensure "), "{}", rule.code);
            assert!(!rule.ensure.ends_with('.'), "{}", rule.code);
        }
    }
}
