//! What each code of a diagnostic means in general, for tools that show rules apart from what breaks them.

/// A code in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// What is wrong, in one sentence.
    pub(super) summary: &'static str,
    /// Why, and what to do about it.
    pub(super) advice: &'static str,
}

impl Rule {
    /// The words for a code. A test holds that every code has its own.
    pub(super) fn of(code: &str) -> Self {
        let found = RULES.binary_search_by_key(&code, |(known, ..)| known);
        let row = found.ok().and_then(|at| RULES.get(at));
        row.map_or(OTHER, |(_, summary, advice)| Self { summary, advice })
    }
}

const OTHER: Rule = Rule {
    summary: "A manifest is not as it should be.",
    advice: "The message says what to do.",
};

/// Code, summary and advice, sorted by code.
#[rustfmt::skip]
const RULES: &[(&str, &str, &str)] = &[
    ("ambiguous-profiles", "`profileSelectors` fit several Profiles that nothing tells apart.", "Give each of them a label `assignment/ipxe-<key>` with a value of its own, or name one with `profile`."),
    ("bad-reference", "A file reference names no path in the repository.", "References are relative to the file that they stand in; a leading `/` is the served root, and `..` must not leave it."),
    ("bare-label", "A config prints a label without a filter for its syntax.", "Labels are what machines say of themselves. Add `|yaml`, `|sh`, `|tojson` or `|urlencode`, or `|safe` if any text is harmless there."),
    ("class-overlap", "A machine could be selected by several Assignments of equal rank.", "Set `priority` to say which one wins; otherwise the name decides."),
    ("computed-key", "`configs` or `labels` is asked for a computed key.", "Write the key out, so that it is known before a machine boots what is used."),
    ("config-circle", "Configs name each other in a circle.", "A config's URL holds an id of its content, so its content cannot hold that URL. Fetch one of them under `/v1/boot/{mac}/{name}`."),
    ("conflict", "One machine could satisfy two Assignments of equal rank.", "Remove one of them, set `priority`, or add a label that tells them apart."),
    ("default-names-machines", "A default selects by identity.", "A default is for machines that nothing else selects. Remove `isDefault: true`, or select by class."),
    ("duplicate-key", "A key is given twice.", "Which of the two was meant cannot be told. Remove one of them."),
    ("duplicate-name", "A name is taken twice.", "Names are unique for each kind, among the configs of a Profile and among the machines of an Assignment. Rename one."),
    ("empty-selector", "A selector selects nothing.", "Add a value or a label, name `machines`, or write `isDefault: true` for machines that nothing else selects."),
    ("empty-tree", "There is nothing to serve.", "A tree without a Profile or without an Assignment is refused unless `--allow-empty` is given. Check the path."),
    ("exclusive-fields", "Two fields exclude each other.", "Keep one of them."),
    ("file-not-found", "A file that a manifest names does not exist.", "Correct the reference, or add the file to the commit."),
    ("identities-anded", "An Assignment selects by two identities at once.", "A machine has to match all of them. Use `machines`, where one identity is enough and none may contradict."),
    ("ignore-pattern", "A line of `.gitbootignore` is no pattern.", "The file is written as `.gitignore` is."),
    ("include", "A template includes a file that cannot be included.", "Name a text file of the same commit, written out, that does not include itself."),
    ("incomplete-seed", "A Profile has one of `user-data` and `meta-data`, but not the other.", "cloud-init's NoCloud ignores a directory without both. Add the other one; an empty one will do."),
    ("invalid-config-name", "A config has a name that URLs cannot carry.", "Use letters, digits, `.`, `_` and `-`, at most 128, with a letter or digit first; `boot.ipxe` is taken."),
    ("invalid-content-type", "A content type is no header value.", "Write it as `text/plain; charset=utf-8`, in printable ASCII."),
    ("invalid-json", "A config that is served as JSON does not parse.", "Correct the JSON, or declare another `contentType`."),
    ("invalid-label", "A key is no label.", "A label has 1 to 64 bytes and no control characters."),
    ("invalid-name", "A name is not usable.", "Manifests are named by DNS-1123 subdomains: lower-case letters, digits, `-` and `.`."),
    ("invalid-priority", "A priority is no whole number from -1000 to 1000.", "Choose one within the span."),
    ("invalid-value", "A value is one that no machine can send.", "Remove control characters, and keep to 256 bytes."),
    ("junk-identity", "A value identifies no machine.", "Firmware makers leave such placeholders on many machines. Select by another key."),
    ("lfs-pointer", "A manifest is a pointer of Git LFS.", "What it points to is on another server and is never fetched. Take manifests out of `.gitattributes`."),
    ("long-command-line", "A kernel command line takes more than 2,048 bytes.", "Linux cuts what goes beyond. Move arguments into a config that the system fetches."),
    ("long-line", "A line of a script has more than 255 words.", "iPXE passes at most 255 arguments. Put parts of the line into settings."),
    ("malformed-mac", "A value is no MAC address.", "Write 6, 8 or 20 bytes as hex, such as `52:54:00:12:34:56`."),
    ("malformed-uuid", "A value is no UUID.", "Write it as `47c6da67-7477-4970-aa03-84e48ff4f6ad`, in any case, with or without hyphens."),
    ("manifest-as-content", "A file that holds manifests is named as content.", "Move the content into a file of its own."),
    ("merge-conflict", "A manifest holds the marks of a merge conflict.", "Choose a side of each conflict and commit."),
    ("merge-key", "`<<` merges something that is no map.", "Name an anchor of a map, or a list of such."),
    ("missing-field", "A field is missing.", "Add it."),
    ("misspelt-label", "A selector's label looks like a slip for one that machines send.", "Write the label as machines send it, or choose a name that is less alike."),
    ("more-errors", "A file has more errors than are shown.", "Errors like these usually share one cause. Mend that, and check again."),
    ("never-wins", "An Assignment, or a machine it names, can never be selected.", "Lower the `priority` of the one that always wins, or remove what cannot be selected."),
    ("no-secrets", "A config names a secret, and no secrets are given.", "Give them with `--secret-values-file` and `--id-key-file`, or, to `gitboot validate`, their names with `--secret-names`."),
    ("not-a-file", "A path is a symbolic link or a submodule.", "Only regular files of one commit are read. Put the file itself there."),
    ("not-a-manifest", "A YAML file is no manifest, and nothing names it.", "Start it with `apiVersion: gitboot.dev/v1alpha1`, name it with `file:` where it is content, or list it in `.gitbootignore`."),
    ("not-a-script", "A script does not begin with `#!ipxe`.", "iPXE runs only what begins with `#!ipxe` and white space."),
    ("not-utf8", "A file is not UTF-8.", "Save it as UTF-8."),
    ("number-form", "A number would print otherwise than it is written.", "Quote it to keep it as text."),
    ("render-failed", "A template cannot be rendered.", "Correct the expression."),
    ("secret-in-script", "A script would print a secret.", "Move the secret into a config that a URL leads to: anybody who knows what a machine says can fetch its script."),
    ("selects-nobody", "An Assignment selects nobody.", "Add `subjectSelectors` or `machines`, or write `isDefault: true`."),
    ("template-limit", "A template is too large or does too much.", "Simplify it, or write `template: false` to serve the file as it is."),
    ("template-syntax", "A template cannot be parsed.", "Templates are written in the syntax of minijinja; `{% raw %}` keeps braces that belong to somebody else."),
    ("template-unsupported", "A template uses something that is not supported.", "Say it in another way."),
    ("too-many-combinations", "The values of an Assignment multiply to too many combinations.", "Split the Assignment."),
    ("undefined-secret", "A config writes a secret that is not among those that are given.", "Define it in the file of `--secret-values-file`, or correct the name."),
    ("undefined-value", "A template writes a value that somebody who uses it does not have.", "Define it in the Assignment, or give it a default in the Profile's `values`."),
    ("unknown-api-version", "An `apiVersion` does not exist.", "Write `gitboot.dev/v1alpha1`."),
    ("unknown-buildarch", "A `buildarch` is none that iPXE is built for.", "iPXE's names are `i386`, `x86_64`, `arm32`, `arm64`, `riscv32`, `riscv64` and `loong64`."),
    ("unknown-command", "A line of a script starts with no command of iPXE.", "A script ends at a command that fails, unless `||` follows it. Correct the name."),
    ("unknown-config", "A template names a config that the Profile does not have.", "Correct the name, or add the config."),
    ("unknown-field", "A field does not exist.", "Correct the name; nothing is skipped in silence."),
    ("unknown-filter", "A template uses a filter that does not exist.", "Correct the name."),
    ("unknown-function", "A template calls a function that does not exist.", "Correct the name."),
    ("unknown-initrd", "A kernel argument `initrd=` names no initrd of the script.", "Write the name as in `initrd --name`."),
    ("unknown-kind", "A kind does not exist.", "The kinds are `Profile` and `Assignment`."),
    ("unknown-platform", "A `platform` is none that iPXE runs on.", "iPXE's names are `pcbios`, `efi`, `linux` and `sbi`."),
    ("unknown-profile", "An Assignment asks for a Profile that does not exist.", "Correct the name or the labels, or add the Profile."),
    ("unknown-test", "A template uses a test that does not exist.", "Correct the name."),
    ("unknown-variable", "A template uses a name that is not in scope.", "Templates see `labels`, `values`, `configs`, `config_dir`, `profile`, `assignment`, `machine` and `base_url`; scripts `revision` and configs `secrets` too."),
    ("unprintable-value", "A template prints null, a list or a map.", "Print one of its parts, or add a filter such as `|tojson`."),
    ("unsent-label", "A template reads a label that no machine sends by itself.", "Send it with `--label` or from a first script of your own, and let an Assignment select by it."),
    ("unsupported-source", "A Profile takes content from where gitboot reads nothing.", "Commit the content, and name it with `file:`."),
    ("unused-config", "Nothing in a Profile names one of its configs.", "Print its URL in the script, or remove it."),
    ("unused-initrd", "No kernel argument names an initrd that has a name.", "Add `initrd=` with its name to the kernel's arguments: UEFI needs it."),
    ("unused-profile", "No Assignment uses a Profile.", "Use it, or remove it."),
    ("values-file", "A file of values is no YAML map.", "Write `key: value` lines, in one document."),
    ("wrong-type", "A field has a value of the wrong type.", "Write what the field takes."),
    ("yaml-budget", "A YAML file unfolds to too much.", "Split it, use fewer aliases, or raise `--max-yaml-nodes` and `--max-yaml-bytes`."),
    ("yaml-depth", "Lists and maps nest too deep.", "Close the brackets, or put data of other programs into a file of its own."),
    ("yaml-key", "A key is a list or a map.", "Put quotes around a `{{ … }}` of a template."),
    ("yaml-syntax", "A file is not valid YAML.", "Correct the YAML; a file that is no manifest can be listed in `.gitbootignore`."),
    ("yaml-tag", "A manifest uses a YAML tag.", "Remove the `!…`, or quote the text that begins with it."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The texts in quotation marks of a source file that may be codes: lower-case words between hyphens.
    fn codes(source: &str) -> BTreeSet<&str> {
        let is_code = |text: &&str| {
            text.split('-').all(|word| {
                !word.is_empty()
                    && word
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            })
        };
        // The first text after a constructor, and whatever has a hyphen anywhere.
        let first = [
            "Diagnostic::error(",
            "Diagnostic::warning(",
            "Diagnostic::whole_tree(",
        ]
        .iter()
        .flat_map(|call| source.split(call).skip(1))
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
        let hyphened = source.split('"').filter(|text| text.contains('-'));
        first.chain(hyphened).filter(is_code).collect()
    }

    #[test]
    fn every_code_has_its_words() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/diagnostic/catalogue");
        let mut known: BTreeSet<String> = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // What `gitboot import` has to say goes to people alone.
            if path.ends_with("import.rs") {
                continue;
            }
            let source = std::fs::read_to_string(path).unwrap();
            known.extend(codes(&source).into_iter().map(str::to_owned));
        }
        assert!(known.len() > 40, "{known:?}");
        let told: BTreeSet<String> = RULES.iter().map(|(code, ..)| (*code).to_owned()).collect();
        let untold: Vec<_> = known.difference(&told).collect();
        assert!(
            untold.is_empty(),
            "these codes need a row in RULES: {untold:?}"
        );
        // One word without a hyphen that is chosen by a `match`.
        let stale: Vec<_> = told
            .difference(&known)
            .filter(|code| *code != "include")
            .collect();
        assert!(stale.is_empty(), "these rows have no code: {stale:?}");
    }

    #[test]
    fn rules_are_sorted_sentences() {
        assert!(RULES.is_sorted_by(|a, b| a.0 < b.0));
        for (code, summary, advice) in RULES {
            assert_eq!(Rule::of(code), Rule { summary, advice });
            for text in [summary, advice] {
                assert!(text.ends_with('.'), "{code}: {text}");
            }
        }
        assert_eq!(Rule::of("no-such-code"), OTHER);
    }
}
