//! What the pages show is what works, and what they link to is there.

use std::fs;

use super::rendered::{Rendered, chart};
use super::tools;
use crate::monitoring::deploy;

#[test]
fn the_kustomization_of_the_page_is_rendered() {
    let page = fs::read_to_string(deploy("kubernetes/README.md")).unwrap();
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    fs::create_dir(&site).unwrap();
    fs::write(site.join("kustomization.yaml"), example).unwrap();
    let here = env!("CARGO_MANIFEST_DIR");
    std::os::unix::fs::symlink(here, folder.path().join("gitboot")).unwrap();
    let text = tools::run(folder.path(), "kubectl", &["kustomize", "site"]);
    let rendered = Rendered::new("site".to_owned(), text);
    let image = concat!(
        "registry.example.org/boot/gitboot:",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(rendered.container()["image"], image);
    let env = rendered.env();
    assert_eq!(env["GITBOOT_REPO"], "https://git.example.org/boot.git");
    assert_eq!(
        env["GITBOOT_GIT_PASSWORD_FILE"],
        "/etc/gitboot/git/password"
    );
    assert_eq!(env["GITBOOT_INTERVAL"], "5s", "of the overlay");
}

#[test]
fn the_command_of_the_charts_page_is_rendered() {
    let page = fs::read_to_string(chart().join("README.md")).unwrap();
    let (_, command) = page.split_once("helm install ").unwrap();
    let (command, _) = command.split_once("\nhelm test").unwrap();
    let command = command.replace("\\\n", " ");
    let args: Vec<&str> = ["template", "--kube-version=1.32.0"]
        .into_iter()
        .chain(command.split_whitespace())
        .collect();
    let text = tools::run(&deploy(".."), tools::helm(), &args);
    let rendered = Rendered::new("page".to_owned(), text);
    let env = rendered.env();
    assert_eq!(env["GITBOOT_REPO"], "https://git.lab.example/boot.git");
    assert_eq!(env["GITBOOT_GIT_USERNAME"], "gitboot");
    assert_eq!(env["GITBOOT_OPS_LISTEN"], "[::]:8081", "of the chart");
}

#[test]
fn pages_lead_to_files_that_are_there() {
    for page in [
        "kubernetes/README.md",
        "kubernetes/helm/gitboot/README.md",
        "monitoring/README.md",
    ] {
        let path = deploy(page);
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") {
                continue;
            }
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{page}: {link}");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let anchors = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(anchor_of);
                assert!(
                    anchors.into_iter().any(|one| one == anchor),
                    "{page}: {link}"
                );
            }
        }
    }
}

fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
