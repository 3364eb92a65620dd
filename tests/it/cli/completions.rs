//! `gitboot completions`.

use std::process::Command;

use super::{run, source_tree};

fn script(shell: &str) -> String {
    let ran = run(&["completions", shell]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}");
    ran.stdout
}

/// Runs a shell on a file with the script, if this machine has the shell.
fn shell(name: &str, args: &[&str], script: &str) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script");
    std::fs::write(&file, script).unwrap();
    let output = Command::new(name).args(args).arg(&file).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(text).unwrap()))
}

#[test]
fn every_shell_gets_every_command() {
    for name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = script(name);
        for word in [
            "serve",
            "demo",
            "validate",
            "render",
            "schema",
            "completions",
            "allow-empty",
            "sarif",
        ] {
            // PowerShell and elvish name no values of flags.
            if word != "sarif" || !matches!(name, "powershell" | "elvish") {
                assert!(script.contains(word), "{name}: {word}");
            }
        }
    }
    assert_eq!(run(&["completions", "csh"]).code, Some(64));
    assert_eq!(run(&["completions"]).code, Some(64));
}

#[test]
fn bash_completes_what_people_type() {
    // What bash does when the last word is not finished yet.
    let complete = |words: &[&str]| {
        let command = format!(
            "{}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_gitboot gitboot \"{}\" \"{}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            script("bash"),
            words.join(" "),
            words.len() - 1,
            words[words.len() - 1],
            words[words.len() - 2],
        );
        let (is_good, text) = shell("bash", &[], &command).expect("bash is there");
        assert!(is_good, "{text}");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["gitboot", "val"]), ["validate"]);
    assert_eq!(complete(&["gitboot", "schema", "p"]), ["profile"]);
    assert_eq!(complete(&["gitboot", "validate", "--stri"]), ["--strict"]);
    let formats = complete(&["gitboot", "validate", "--format", "''"]);
    assert_eq!(formats, ["human", "json", "github", "sarif"]);
    let (is_good, text) = shell("bash", &["-n"], &script("bash")).unwrap();
    assert!(is_good && text.is_empty(), "{text}");
}

#[test]
fn other_shells_read_their_scripts() {
    for (name, args) in [("zsh", ["-n"]), ("fish", ["-n"])] {
        if let Some((is_good, text)) = shell(name, &args, &script(name)) {
            assert!(is_good && text.is_empty(), "{name}: {text}");
        }
    }
}

#[test]
fn the_readme_says_where_the_script_goes() {
    let readme = std::fs::read_to_string(source_tree().join("README.md")).unwrap();
    assert!(readme.contains("gitboot completions bash > "));
}
