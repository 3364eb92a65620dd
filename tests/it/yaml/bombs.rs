//! Files that are made to hurt: small ones that unfold, deep ones, long ones.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use gitboot::diagnostic::Diagnostics;

use crate::support::fixture::{GOOD, build};

/// What every bomb of this page may take at the most, on a busy machine and without optimisation; unbounded, most of them
/// take hours.
const SOON: Duration = Duration::from_secs(20);
const MEGABYTE: usize = 1 << 20;

/// The start of a Profile, up to its values.
const HEAD: &str =
    "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {name: x}\nspec:\n  values:\n";

fn compiled(text: &str) -> Diagnostics {
    let start = Instant::now();
    let (_, diagnostics) = build(&format!("{GOOD}//- bomb.yaml\n{text}"));
    let took = start.elapsed();
    assert!(took < SOON, "it took {took:?}");
    diagnostics
}

fn codes(diagnostics: &Diagnostics) -> Vec<&'static str> {
    let mut codes: Vec<_> = diagnostics
        .iter()
        .map(gitboot::diagnostic::Diagnostic::code)
        .collect();
    codes.dedup();
    codes
}

/// Each list holds ten of the one before.
fn exponential(indent: &str) -> String {
    let mut text = format!("{indent}a0: &a0 [x, x]\n");
    for level in 1..30 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "{indent}a{level}: &a{level} [{items}]").unwrap();
    }
    text
}

/// A long list, and a long list of it, in so many bytes.
fn quadratic(indent: &str, size: usize) -> String {
    let items = "x,".repeat(size / 4);
    let lists = "*a,".repeat(size / 6);
    format!("{indent}a: &a [{items}]\n{indent}b: [{lists}]\n")
}

/// A long text, and a long list of it, in so many bytes.
fn long_text(indent: &str, size: usize) -> String {
    let text = "x".repeat(size / 2);
    let lists = "*a,".repeat(size / 6);
    format!("{indent}a: &a {text}\n{indent}b: [{lists}]\n")
}

#[test]
fn aliases_that_unfold_are_refused() {
    let size = MEGABYTE / 8;
    for text in [
        exponential("    "),
        quadratic("    ", size),
        long_text("    ", size),
    ] {
        assert_eq!(codes(&compiled(&format!("{HEAD}{text}"))), ["yaml-budget"]);
    }
    // In a file that nobody names, and behind a `<<`.
    assert_eq!(codes(&compiled(&exponential(""))), ["yaml-budget"]);
    let merged = format!(
        "{HEAD}{}    z: {{<<: *a29}}\n",
        exponential("    ").replace('[', "{k: [").replace(']', "]}")
    );
    assert!(codes(&compiled(&merged)).contains(&"yaml-budget"));
}

#[test]
fn values_and_content_that_unfold_are_refused_or_left_alone() {
    let manifest = |spec: &str| {
        format!(
            "//- p.yaml\napiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: p}}\nspec: {spec}\n"
        )
    };
    let bomb = exponential("");
    let (_, values) = build(&format!(
        "{GOOD}{}//- bomb.yaml\n{bomb}",
        manifest("{valuesFrom: [{file: bomb.yaml}]}")
    ));
    assert!(codes(&values).contains(&"yaml-budget"));
    let (content, _) = build(&format!(
        "{GOOD}{}//- bomb.yaml\n{bomb}",
        manifest("{additionalConfig: {c: {file: bomb.yaml, template: false}}}")
    ));
    assert!(content.is_some());
}

/// All at once, in a process that may not take more than this.
#[test]
fn bombs_take_little_memory() {
    /// Address space, for threads and code besides; a quadratic bomb alone takes eight hundred megabytes unbounded.
    const KIBIBYTES: usize = 700 << 10;
    let folder = tempfile::tempdir().unwrap();
    let good = GOOD.strip_prefix("//- good.yaml\n").unwrap();
    std::fs::write(folder.path().join("good.yaml"), good).unwrap();
    for (name, text) in [
        ("a", exponential("    ")),
        ("b", quadratic("    ", MEGABYTE)),
        ("c", long_text("    ", MEGABYTE)),
    ] {
        std::fs::write(
            folder.path().join(format!("{name}.yaml")),
            format!("{HEAD}{text}"),
        )
        .unwrap();
    }
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -v {KIBIBYTES} && exec \"$0\" validate \"$1\""),
        ])
        .arg(env!("CARGO_BIN_EXE_gitboot"))
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.matches("error[yaml-budget]").count(), 3, "{said}");
}

#[test]
fn depth_is_bounded() {
    let depth = 10_000;
    let blocks: String = (0..300)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    let texts = [
        "[".repeat(depth),
        format!("{}{}", "[".repeat(depth), "]".repeat(depth)),
        "{a: ".repeat(depth),
        "[[{a: ".repeat(depth),
        "- ".repeat(depth),
        "[".repeat(MEGABYTE),
        "{".repeat(MEGABYTE),
        blocks,
    ];
    for text in texts {
        let shown: String = text.chars().take(20).collect();
        assert_eq!(codes(&compiled(&text)), ["yaml-depth"], "{shown}");
    }
    let inline = format!("{HEAD}    a: {}", "[".repeat(depth));
    assert_eq!(codes(&compiled(&inline)), ["yaml-depth"]);
    // What serde_yaml takes, we take: 100 lists in a list. Brackets in a text are no lists.
    let deep = format!(
        "{HEAD}    a: {}{}\n    b: '{}'\n",
        "[".repeat(100),
        "]".repeat(100),
        "[".repeat(300)
    );
    assert_eq!(codes(&compiled(&deep)), ["unused-profile"]);
}

#[test]
fn documents_are_counted() {
    for text in [
        "---\n".repeat(100_000),
        "--- a\n".repeat(20_000),
        "a: 1\n---\n".repeat(11_000),
    ] {
        let diagnostics = compiled(&text);
        assert!(codes(&diagnostics).contains(&"yaml-budget"));
    }
    let comments = "# nothing\n---\n".repeat(9_000);
    assert_eq!(codes(&compiled(&comments)), Vec::<&str>::new());
}

#[test]
fn long_texts_are_only_texts() {
    let text = format!("{HEAD}    a: {}\n", "x".repeat(MEGABYTE));
    assert_eq!(codes(&compiled(&text)), ["unused-profile"]);
    let key = format!("{HEAD}    ? {}\n    : a\n", "x".repeat(MEGABYTE));
    assert_eq!(codes(&compiled(&key)), ["unused-profile"]);
    for (what, code) in [
        ("\"", "yaml-syntax"),
        ("'", "yaml-syntax"),
        ("!", "yaml-tag"),
        ("#", ""),
        (" ", ""),
        ("\n", ""),
        ("%\n", "yaml-syntax"),
    ] {
        let codes = codes(&compiled(&what.repeat(MEGABYTE / 8 + 1)));
        assert!(
            codes.contains(&code)
                || (codes.is_empty() && code.is_empty())
                || codes.contains(&"not-a-manifest"),
            "{what:?}: {codes:?}"
        );
    }
}

/// Thousands of mistakes in one file: the first of them are told, and how many more there are.
#[test]
fn a_flood_of_mistakes_is_cut() {
    let count = 3_000;
    let numbers: String = (0..count)
        .map(|number| format!("    k{number}: 012\n"))
        .collect();
    let keys = "    a: 1\n".repeat(count + 1);
    let in_one_line = format!("    {{{}}}\n", "a: 1, ".repeat(count + 1));
    for (text, code) in [
        (numbers, "number-form"),
        (keys, "duplicate-key"),
        (in_one_line, "duplicate-key"),
    ] {
        let diagnostics = compiled(&format!("{HEAD}{text}"));
        let told = diagnostics.iter().filter(|one| one.code() == code).count();
        assert_eq!(told, 1000);
        let more = diagnostics
            .iter()
            .find(|one| one.code() == "more-errors")
            .unwrap();
        assert_eq!(
            more.message(),
            format!("{} more errors in this file are not shown", count - 1000)
        );
    }
}

fn assignment(spec: &str) -> String {
    format!(
        "apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: x}}\nspec:\n  profile: good\n{spec}"
    )
}

#[test]
fn sizes_that_nobody_writes_by_hand_are_no_trouble() {
    let fields: String = (0..4_000)
        .map(|number| format!("      k{number}: 1\n"))
        .collect();
    let merged =
        format!("{HEAD}    a: &a\n{fields}    b: {{<<: *a, c: 1}}\n    d: {{<<: [*a, *a]}}\n");
    assert_eq!(codes(&compiled(&merged)), ["unused-profile"]);

    let selectors: String = (0..4_000)
        .map(|number| format!("    k{number}: v\n"))
        .collect();
    assert_eq!(
        codes(&compiled(&assignment(&format!(
            "  subjectSelectors:\n{selectors}"
        )))),
        Vec::<&str>::new()
    );

    // One MAC for all, as a shared network card or a placeholder has it: the serials tell them apart.
    let machines: String = (0..4_000)
        .map(|number| format!("  - {{mac: 52:54:00:00:00:01, serial: S{number}}}\n"))
        .collect();
    assert_eq!(
        codes(&compiled(&assignment(&format!("  machines:\n{machines}")))),
        Vec::<&str>::new()
    );
    let machines: String = (0..4_000)
        .map(|number| format!("  - {{mac: 52:54:00:00:00:01, name: m{number}}}\n"))
        .collect();
    let diagnostics = compiled(&assignment(&format!("  machines:\n{machines}")));
    assert_eq!(diagnostics.error_count(), 3_999);

    let configs: String = (0..5_000)
        .map(|number| format!("    c{number}: '{{{{ values.a }}}}'\n"))
        .collect();
    assert_eq!(
        codes(&compiled(&format!(
            "{HEAD}    a: 1\n  additionalConfig:\n{configs}"
        ))),
        ["unused-profile"]
    );
}

/// What a large fleet looks like in one file is taken with what is set by default.
#[test]
fn twenty_thousand_machines_in_one_assignment_are_no_bomb() {
    let machines: String = (0..20_000)
        .map(|n| {
            format!(
                "  - {{name: m{n}, mac: \"52:54:00:{:02x}:{:02x}:{:02x}\", values: {{ip: 10.0.{}.{}, rack: r{n}}}}}\n",
                n >> 16, n >> 8 & 255, n & 255, n >> 8, n & 255,
            )
        })
        .collect();
    assert_eq!(
        codes(&compiled(&assignment(&format!("  machines:\n{machines}")))),
        Vec::<&str>::new()
    );
}

#[test]
fn a_refusal_names_the_flag() {
    let diagnostics = compiled(&format!("{HEAD}    a: [{}]\n", "x,".repeat(300_000)));
    let shown = diagnostics.iter().next().unwrap();
    assert_eq!(
        shown.message(),
        "the file unfolds to more than 240000 YAML nodes or 8 MiB of text"
    );
    let help = shown.help().join("\n");
    for flag in ["`--max-yaml-nodes`", "`--max-yaml-bytes`"] {
        assert!(help.contains(flag), "{help}");
    }
    assert_eq!(codes(&diagnostics), ["yaml-budget"]);
}
