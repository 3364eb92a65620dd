use gitboot::compile::{Options, compile};
use gitboot::manifest::{Budget, parse};
use gitboot::tree::*;
use std::collections::BTreeMap;
use std::time::Instant;

fn tree_of(files: &[(&str, Vec<u8>)]) -> Tree {
    let entries: BTreeMap<_, _> = files
        .iter()
        .map(|(p, b)| (RepoPath::parse(p).unwrap(), Entry::File(b.clone().into())))
        .collect();
    Tree::new(
        Revision::new("0123456789abcdef0123456789abcdef01234567"),
        entries,
    )
}

fn rss() -> usize {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    s.lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        / 1024
}

#[test]
fn zz_scratch() {
    let head =
        "apiVersion: gitboot.dev/v1alpha1\nkind: Profile\nmetadata: {name: x}\nspec:\n  values:\n";
    let m = 1 << 20;
    let exponential = {
        let mut t = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..20 {
            t.push_str(&format!(
                "a{i}: &a{i} [{}]\n",
                vec![format!("*a{}", i - 1); 10].join(",")
            ));
        }
        t
    };
    let quadratic = {
        let mut t = String::from("a: &a [");
        while t.len() < m / 2 {
            t.push_str("x,");
        }
        t.push_str("]\nb: [");
        while t.len() < m {
            t.push_str("*a,");
        }
        t.push_str("]\n");
        t
    };
    let quad_scalar = {
        let mut t = format!("a: &a \"{}\"\nb: [", "x".repeat(m / 2));
        while t.len() < m {
            t.push_str("*a,");
        }
        t.push_str("]\n");
        t
    };
    let indent = |t: &str| -> String { t.lines().map(|l| format!("    {l}\n")).collect() };
    let mut cases: Vec<(&str, String)> = vec![
        ("exponential", exponential.clone()),
        ("exponential ours", format!("{head}{}", indent(&exponential))),
        ("quadratic", quadratic.clone()),
        ("quadratic ours", format!("{head}{}", indent(&quadratic))),
        ("quad scalar ours", format!("{head}{}", indent(&quad_scalar))),
        ("flow depth 10k", "[".repeat(10_000)),
        ("flow depth 10k closed", "[".repeat(10_000) + &"]".repeat(10_000)),
        ("flow depth ours", format!("{head}    a: {}", "[".repeat(10_000))),
        ("brace depth 10k", "{a: ".repeat(10_000)),
        ("seq depth 10k", "- ".repeat(10_000) + "a\n"),
        ("map depth block", (0..2000).map(|i| " ".repeat(i) + "a:\n").collect()),
        ("docs 100k", "---\n".repeat(100_000)),
        ("docs 100k a", "--- a\n".repeat(100_000)),
        ("docs 100k ours", format!("{head}    a: 1\n---\n").repeat(15_000)),
        ("huge scalar", format!("{head}    a: {}\n", "x".repeat(m))),
        ("huge key", format!("{head}    {}: a\n", "x".repeat(m))),
        ("1MB [", "[".repeat(m)),
        ("1MB {", "{".repeat(m)),
        ("1MB - ", "- ".repeat(m/2)),
        ("1MB ? ", "? ".repeat(m/2)),
        ("1MB a: ", "a: ".repeat(m/3)),
        ("1MB &a ", "&a ".repeat(m/3)),
        ("1MB quote", "\"".repeat(m)),
        ("1MB open quote", format!("\"{}", "x ".repeat(m/2))),
        ("1MB open quote nl", format!("\"{}", "x\n".repeat(m/2))),
        ("1MB nl", "\n".repeat(m)),
        ("1MB #", "#".repeat(m)),
        ("1MB spaces", " ".repeat(m)),
        ("1MB %", "%\n".repeat(m/2)),
        ("1MB !", "!".repeat(m)),
        ("1MB |", format!("a: |\n{}", " \n".repeat(m/2))),
        ("1MB , ", format!("[{}", ",".repeat(m))),
        ("1MB [,", "[".to_owned() + &"a,".repeat(m/2) + "]"),
        ("1MB -\\n", "-\n".repeat(m/2)),
        ("dup keys", format!("{head}{}", "    a: 1\n".repeat(m/9))),
        ("unknown fields", format!("{head}{}", (0..m/12).map(|i| format!("  k{i}: 1\n")).collect::<String>())),
        ("dup keys flow one line", format!("{head}    {{{}}}\n", "a: 1,".repeat(m/5))),
        ("odd numbers", format!("{head}{}", (0..m/16).map(|i| format!("    k{i}: 012\n")).collect::<String>())),
        ("merge quadratic", format!("{head}    a: &a\n{}    b: {{<<: *a}}\n", (0..m/16).map(|i| format!("      k{i}: 1\n")).collect::<String>())),
        ("many selectors", format!("apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: x}}\nspec:\n  profile: x\n  subjectSelectors:\n{}", (0..m/12).map(|i| format!("    k{i}: 1\n")).collect::<String>())),
        ("many values", format!("apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: x}}\nspec:\n  profile: x\n  subjectSelectors:\n    uuid:\n{}", (0..m/20).map(|i| format!("    - bad{i}\n")).collect::<String>())),
        ("many machines bad", format!("apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: x}}\nspec:\n  profile: x\n  machines:\n{}", (0..m/20).map(|i| format!("  - mac: bad{i}\n")).collect::<String>())),
        ("many machines name twice", format!("apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: x}}\nspec:\n  profile: x\n  machines:\n{}", (0..m/40).map(|i| format!("  - {{name: a, serial: bad{i}}}\n")).collect::<String>())),
        ("many machines same mac", format!("apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: x}}\nspec:\n  profile: x\n  machines:\n{}", (0..m/40).map(|i| format!("  - {{mac: 52:54:00:00:00:01, serial: bad{i}}}\n")).collect::<String>())),
        ("many assignments same class", (0..3000).map(|i| format!("apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: x{i}}}\nspec: {{profile: x, subjectSelectors: {{k{i}: 1}}}}\n---\n")).collect()),
        ("many assignments unknown profile", (0..3000).map(|i| format!("apiVersion: gitboot.dev/v1alpha1\nkind: Assignment\nmetadata: {{name: x{i}}}\nspec: {{profile: xyz{i}, subjectSelectors: {{k: v{i}}}}}\n---\n")).collect()),
        ("many configs", format!("{head}    a: 1\n  additionalConfig:\n{}", (0..m/40).map(|i| format!("    c{i}: '{{{{ values.b{i} }}}}'\n")).collect::<String>())),
        ("many configs chain", format!("{head}    a: 1\n  additionalConfig:\n{}", (0..3000).map(|i| format!("    c{:05}: '{{{{ c{:05} }}}}'\n", i, i+1)).collect::<String>())),
        ("many missing files", format!("{head}    a: 1\n  additionalConfig:\n{}", (0..3000).map(|i| format!("    c{i}: {{file: nothere{i}}}\n")).collect::<String>())),
    ];
    if let Ok(f) = std::env::var("ONLY") {
        cases.retain(|(n, _)| n.contains(&f));
    }
    for (name, text) in cases {
        let tree = tree_of(&[("a.yaml", text.clone().into_bytes())]);
        let t = Instant::now();
        let options = Options::default();
        let manifests = parse(&tree, Budget::default());
        let p = t.elapsed();
        let (_, d) = compile(&tree, &manifests, &options);
        let c: std::collections::BTreeMap<&str, usize> =
            d.iter().fold(Default::default(), |mut m, one| {
                *m.entry(one.code()).or_default() += 1;
                m
            });
        let total = t.elapsed();
        let r = d.render_human().len();
        eprintln!(
            "{name:25} {:8} bytes parse {p:?} total {total:?} render {:?} {r} rss {} {c:?} {:?}",
            text.len(),
            t.elapsed(),
            rss(),
            d.iter()
                .next()
                .map(|x| x.to_string().chars().take(150).collect::<String>())
        );
    }
}
