//! What the commands make of secrets.

use std::fs;

use super::{World, targets};
use crate::support::http::get;
use crate::support::process::{Process, Ran, run_in};

const MANIFESTS: &str = "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {name: disk}
spec:
  ipxe: |
    #!ipxe
    echo {{ seed }} {{ motd }}
  additionalConfig:
    seed: \"{{ secrets.db.password|tojson }} {{ labels.serial|sh }} {{ configs.inner }}\\n\"
    inner: \"{{ secrets.token }}\\n\"
    motd: \"hello\\n\"
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {name: all}
spec: {profile: disk, isDefault: true}
";

const VALUES: &str = "db: {password: 'hunt\"er2'}\ntoken: t0ken\n";

fn world() -> World {
    let world = World::new(MANIFESTS);
    world.write("values", VALUES);
    world
}

fn run(world: &World, args: &[&str]) -> Ran {
    run_in(world.repo.path(), args, &[])
}

fn errors(world: &World, args: &[&str]) -> Vec<String> {
    let ran = run(world, args);
    let lines = ran.stderr.lines().filter(|line| line.contains(": error["));
    let lines = lines.map(str::to_owned).collect();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    lines
}

#[test]
fn render_prints_what_a_server_with_the_same_files_sends() {
    let world = world();
    let (key, values) = (world.key_flag(), world.values_flag());
    let (_server, address) = world.serve(&[&key, &values]);
    let base = "--external-url=http://boot.example";
    let args = ["render", "--label=serial=SN1", &key, &values, base];
    let script = run(&world, &args).stdout;
    assert_eq!(script, get(address, "/ipxe?serial=SN1").text());
    let urls = targets(address, "serial=SN1");
    for (name, url) in [("seed", &urls[0]), ("motd", &urls[1])] {
        let name = format!("--config={name}");
        let config = run(&world, &[&args[..], &[&name]].concat()).stdout;
        assert_eq!(config, get(address, url).text());
    }
    assert!(get(address, &urls[0]).text().contains(r#""hunt\"er2""#));
    // With the key alone, and with nothing, it is what such a server does: it refuses the tree.
    for flags in [&[key.as_str()][..], &[]] {
        let ran = run(&world, &[&["render", "--label=serial=SN1"], flags].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("--secret-values-file"), "{ran:?}");
    }
}

#[test]
fn a_check_passes_when_the_server_would_take_it() {
    let world = world();
    let both = [
        "all.yaml:9:15: error[no-secrets]: `secrets.db.password` is named, and no secrets are given",
        "all.yaml:10:16: error[no-secrets]: `secrets.token` is named, and no secrets are given",
    ];
    assert_eq!(errors(&world, &["validate"]), both);
    let names = |names: &'static str| ["validate", "--secret-names", names];
    assert_eq!(run(&world, &names("db.password,token")).code, Some(0));
    assert_eq!(
        run(&world, &names(" db.password , token , more")).code,
        Some(0)
    );
    let missing =
        "all.yaml:10:16: error[undefined-secret]: `secrets.token` is not among the secrets";
    assert_eq!(errors(&world, &names("db.password")), [missing]);
    let missing =
        "all.yaml:9:15: error[undefined-secret]: `secrets.db.password` is not among the secrets";
    assert_eq!(errors(&world, &names("db,token")), [missing]);
    let list =
        "all.yaml:10:16: error[unprintable-value]: `secrets.token` is a map and cannot be printed";
    assert_eq!(errors(&world, &names("db.password,token.x")), [list]);
    let values = world.values_flag();
    assert_eq!(run(&world, &["validate", &values]).code, Some(0));
    assert_eq!(
        run(&world, &["validate", &values, &world.key_flag()]).code,
        Some(0)
    );
}

#[test]
fn what_is_wrong_with_the_flags_is_a_wrong_setting() {
    let world = world();
    let (key, values) = (world.key_flag(), world.values_flag());
    let misuse = |args: &[&str], words: &str| {
        let ran = run(&world, args);
        assert_eq!(ran.code, Some(64), "{args:?} {ran:?}");
        assert!(ran.stderr.contains(words), "{args:?} {ran:?}");
        assert!(!ran.stderr.contains("hunt"), "{args:?} {ran:?}");
    };
    let repo = format!("--repo={}", world.repo.path().display());
    let serve = ["serve", &repo, "--listen=127.0.0.1:0", "--state-dir=none"];
    let needs = "`--secret-values-file` needs `--id-key-file`";
    misuse(&[&serve[..], &[&values]].concat(), needs);
    misuse(&["render", &values], needs);
    misuse(&["explain", &values], needs);
    misuse(&["validate", &values, "--secret-names=a"], "--secret-names");
    for names in ["a..b", ".a", "a,", ","] {
        misuse(&["validate", "--secret-names", names], "--secret-names");
    }
    fs::write(world.path("values"), "hunter2\n").unwrap();
    for command in [
        &serve[..],
        &["render"],
        &["explain"],
        &["validate"],
        &["list", "profiles"],
    ] {
        let words = "it is no YAML map of secrets: line 1: `values-file`";
        misuse(&[command, &[&key, &values]].concat(), words);
    }
    fs::write(world.path("key"), "hunter2\n").unwrap();
    misuse(&[&serve[..], &[&key]].concat(), "at least 16 bytes");
    misuse(
        &[&serve[..], &["--id-key-file=/nonexistent"]].concat(),
        "cannot be read",
    );
    misuse(
        &[&serve[..], &["--id-key-file=/dev/null"]].concat(),
        "it is not a regular file",
    );
}

#[test]
fn a_server_without_secrets_refuses_what_names_them() {
    let world = world();
    let repo = format!("--repo={}", world.repo.path().display());
    let args = ["serve", &repo, "--listen=127.0.0.1:0", "--state-dir=none"];
    let mut server = Process::start(&args, &[]);
    server.line_with("refused (2 errors)");
    let line = server.line_with("no-secrets");
    assert!(
        line.contains("`--secret-values-file` and `--id-key-file`"),
        "{line}"
    );
}

#[test]
fn what_explains_and_lists_needs_no_secrets() {
    let world = world();
    let explain = run(&world, &["explain", "--label=serial=SN1"]);
    assert_eq!(explain.code, Some(0), "{explain:?}");
    let text = explain.stdout;
    assert!(
        text.contains("echo http://gitboot.invalid/config/<seed>?serial=SN1 "),
        "{text}"
    );
    // Whoever serves this tree has a key.
    assert!(text.contains("/config/<motd>\n"), "{text}");
    assert_eq!(
        text.matches("its id and URL come of secrets").count(),
        3,
        "{text}"
    );
    let json = run(&world, &["explain", "--label=serial=SN1", "--format=json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for config in json["configs"].as_array().unwrap() {
        assert!(
            config["id"].is_null() && config["url"].is_null(),
            "{config}"
        );
    }
    let key = world.key_flag();
    let keyed = run(
        &world,
        &["explain", "--label=serial=SN1", &key, "--format=json"],
    )
    .stdout;
    let keyed: serde_json::Value = serde_json::from_str(&keyed).unwrap();
    let (_server, address) = world.serve(&[&key, &world.values_flag()]);
    let motd = format!(
        "http://gitboot.invalid{}",
        targets(address, "serial=SN1")[1]
    );
    let known: Vec<_> = keyed["configs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["url"].as_str())
        .collect();
    assert_eq!(known, [None, Some(motd.as_str()), None]);
    assert_eq!(run(&world, &["list", "profiles"]).code, Some(0));
}

#[test]
fn a_diff_shows_names_for_secrets() {
    let world = world();
    let more = MANIFESTS
        .replace(
            "{{ secrets.token }}",
            "{{ secrets.token }} {{ secrets.new|upper }}",
        )
        .replace("|tojson }}", "|tojson }} too");
    world.repo.commit(&[("all.yaml", &more)]);
    let ran = run(&world, &["diff", "HEAD~1", "HEAD"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let text = ran.stdout;
    assert!(text.contains("-<secrets.token>\n"), "{text}");
    assert!(text.contains("+<secrets.token> <SECRETS.NEW>\n"), "{text}");
    assert!(text.contains("+\"<secrets.db.password>\" too"), "{text}");
    let same = run(&world, &["diff", "HEAD", "worktree", "--exit-code"]);
    assert_eq!(same.code, Some(0), "{same:?}");
}

#[test]
fn what_only_a_secret_can_tell_is_found_by_whoever_has_it() {
    let manifests = MANIFESTS.replace("{{ secrets.token }}", "{{ secrets.token|int + 1 }}");
    let world = World::new(&manifests);
    world.write("values", VALUES);
    let names = ["validate", "--secret-names=db.password,token"];
    assert_eq!(run(&world, &names).code, Some(0));
    let (key, values) = (world.key_flag(), world.values_flag());
    let wrong = "all.yaml:10:30: error[render-failed]: the expression fails; why is not told, since that may quote a secret, \
                 rendered for Assignment `all`";
    assert_eq!(errors(&world, &["validate", &values]), [wrong]);
    world.write("values", "db: {password: x}\ntoken: 41\n");
    let config = [
        "render",
        "--label=serial=x",
        "--config=inner",
        &key,
        &values,
    ];
    assert_eq!(run(&world, &config).stdout, "42\n");
    // A diff shows the change of what it cannot render.
    let other = manifests.replace("+ 1", "+ 2");
    world.repo.commit(&[("all.yaml", &other)]);
    let diff = run(&world, &["diff", "HEAD~1", "HEAD", "--exit-code"]);
    assert_eq!(diff.code, Some(4), "{diff:?}");
}

#[test]
fn no_script_gets_a_secret_in_any_way() {
    let script = |script: &str, configs: &str| {
        format!(
            "//- all.yaml\napiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {{name: p}}\nspec:\n  ipxe: |\n    \
             #!ipxe\n    {script}\n  additionalContent:\n    {configs}\n---\napiVersion: gitboot.dev/v1alpha1\nkind: \
             Assignment\nmetadata: {{name: a}}\nspec: {{profile: p, isDefault: true}}\n//- inc\n{{{{ secrets.a }}}}\n"
        )
    };
    let hidden = "- {name: x, exposed: false, inline: '{{ secrets.a }}'}";
    let deep = "- {name: x, exposed: false, inline: 'a{{ y }}'}\n    - {name: y, exposed: false, inline: '{% include \"inc\" %}'}";
    let shown = "- {name: x, exposed: true, inline: '{{ y }}'}\n    - {name: y, exposed: false, inline: '{{ secrets.a }}'}";
    let cases = [
        ("echo {{ secrets.a }}", hidden, Some("secret-in-script")),
        ("echo {% include 'inc' %}", hidden, Some("secret-in-script")),
        ("echo {{ x }}", hidden, Some("secret-in-script")),
        (
            "echo {{ configs['x']|upper }}",
            hidden,
            Some("secret-in-script"),
        ),
        ("echo {{ x }}", deep, Some("secret-in-script")),
        ("echo {{ x }}", shown, None),
    ];
    for (text, configs, code) in cases {
        let tree = crate::support::fixture::tree(&script(text, configs));
        let options = gitboot::compile::Options {
            secrets: gitboot::compile::Secrets::Unknown,
            ..gitboot::compile::Options::default()
        };
        let manifests = gitboot::manifest::parse(&tree, options.budget);
        let (_, found) = gitboot::compile::compile(&tree, &manifests, &options);
        let codes: Vec<_> = found
            .iter()
            .map(gitboot::diagnostic::Diagnostic::code)
            .collect();
        let errors: Vec<_> = codes
            .into_iter()
            .filter(|code| *code != "unused-config")
            .collect();
        assert_eq!(errors, Vec::from_iter(code), "{text} {configs}");
    }
}

#[test]
fn what_no_label_computes_is_known_before_any_machine_boots() {
    let manifests = |key: &str| {
        format!(
            "\
apiVersion: gitboot.dev/v1alpha1
kind: Profile
metadata: {{name: disk}}
spec:
  ipxe: |
    #!ipxe
    echo {{{{ seed }}}}
  additionalConfig:
    seed: \"{{{{ secrets.tokens[{key}] }}}} {{{{ labels.serial|sh }}}}\\n\"
---
apiVersion: gitboot.dev/v1alpha1
kind: Assignment
metadata: {{name: all}}
spec:
  profile: disk
  machines:
    - {{name: r1, uuid: 47c6da67-7477-4970-aa03-84e48ff4f6ad}}
    - {{name: r2, uuid: 57c6da67-7477-4970-aa03-84e48ff4f6ad}}
"
        )
    };
    let validated = |key: &str, values: &str| {
        let world = World::new(&manifests(key));
        world.write("values", values);
        let (id_key, values) = (world.key_flag(), world.values_flag());
        run(&world, &["validate", &id_key, &values])
    };
    assert_eq!(
        validated("machine.name", "tokens: {r1: a, r2: b}\n").code,
        Some(0)
    );
    let ran = validated("machine.name", "tokens: {r1: t0ken}\n");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("`r2`"), "{ran:?}");
    assert!(!ran.stderr.contains("t0ken"), "{ran:?}");
    // What a machine says nobody knows before.
    assert_eq!(
        validated("labels.serial", "tokens: {r1: a}\n").code,
        Some(0)
    );
}
