//! `gitboot diff`: who would get something else, and what.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;

use super::limits::TreeLimits;
use super::{Misuse, Outcome};
use crate::compile::{self, Secrets, compile};
use crate::diagnostic::Diagnostics;
use crate::diff::{Revisions, compare};
use crate::manifest;
use crate::snapshot::Snapshot;
use crate::source::{ErrorClass, SourceError, read_directory, read_revision};
use crate::tree::{Revision, Tree};

/// Every flag of `diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 good, 1 something could not be read, 2 manifests of BASE or HEAD have errors, 4 \
                  something differs (with --exit-code), 64 bad usage."
)]
pub(super) struct Args {
    /// The revision to compare with: a branch, a tag, a commit, HEAD~1, …
    #[arg(value_name = "BASE")]
    base: String,
    /// The revision that is new; `worktree` is the files as they are on disk
    #[arg(value_name = "HEAD", default_value = Revision::WORKTREE)]
    head: String,
    /// The served root, a folder of the git work tree
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// How the report is written: for people, as one JSON document, or for a comment on a pull request
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Exit with 4 when somebody gets something else
    #[arg(long)]
    exit_code: bool,
    /// Accept a side without Profiles, without Assignments, or without DIR
    #[arg(long)]
    allow_empty: bool,
    // Last, since the heading of its limits would cover whatever follows.
    #[command(flatten)]
    limits: TreeLimits,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Human,
    Json,
    Markdown,
}

/// A side that was read and compiled.
struct Side {
    revision: Revision,
    snapshot: Option<Snapshot>,
    diagnostics: Diagnostics,
}

/// Compares, prints the report, and says in the exit code what it comes to.
pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    if let Some((base, head)) = args.base.split_once("..") {
        let head = head.trim_start_matches('.');
        let words = format!(
            "`{}`: write the two revisions apart: `{base} {head}`",
            args.base
        );
        return Err(Misuse(words).into());
    }
    let (base, head) = std::thread::scope(|scope| {
        let base = scope.spawn(|| args.side(&args.base));
        let head = args.side(&args.head);
        (base.join().expect("no side panics"), head)
    });
    let base = base.with_context(|| format!("BASE `{}`", args.base))?;
    let head = head.with_context(|| format!("HEAD `{}`", args.head))?;
    let (Some(before), Some(after)) = (&base.snapshot, &head.snapshot) else {
        tell_errors("BASE", &args.base, &base)?;
        tell_errors("HEAD", &args.head, &head)?;
        return Ok(Outcome::ManifestErrors);
    };
    let revisions = Revisions {
        base: (args.base.clone(), base.revision.clone()),
        head: (args.head.clone(), head.revision.clone()),
    };
    let report = compare(before, after, revisions);
    let text = match args.format {
        Format::Human => report.render_human(),
        Format::Json => report.render_json(),
        Format::Markdown => report.render_markdown(),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")?;
    Ok(if args.exit_code && report.differs() {
        Outcome::Differs
    } else {
        Outcome::Good
    })
}

impl Args {
    fn side(&self, asked: &str) -> anyhow::Result<Side> {
        let options = compile::Options {
            allow_empty: self.allow_empty,
            budget: self.limits.budget(),
            // A secret is no part of the repository, and what it is belongs into no report.
            secrets: Secrets::Unknown,
            id_key: None,
            boot_script: None,
        };
        let tree = self.tree(asked, &self.dir)?;
        let manifests = manifest::parse(&tree, options.budget);
        let (snapshot, diagnostics) = compile(&tree, &manifests, &options);
        Ok(Side {
            revision: tree.revision().clone(),
            snapshot,
            diagnostics,
        })
    }

    fn tree(&self, asked: &str, dir: &Path) -> Result<Tree, SourceError> {
        let limits = self.limits.tree();
        let tree = if asked == Revision::WORKTREE {
            read_directory(dir, &limits)
        } else {
            read_revision(dir, asked, &limits)
        };
        match tree {
            Err(error) if self.allow_empty && error.class() == ErrorClass::PathMissing => {
                Ok(Tree::new(Revision::new(asked), BTreeMap::new()))
            }
            tree => tree,
        }
    }
}

/// Says what is wrong with a side, if anything is.
fn tell_errors(name: &str, asked: &str, side: &Side) -> anyhow::Result<()> {
    if side.snapshot.is_some() {
        return Ok(());
    }
    let mut stderr = std::io::stderr();
    stderr.write_all(side.diagnostics.render_human().as_bytes())?;
    let revision = side.revision.short();
    let found = if revision == asked {
        String::new()
    } else {
        format!(" ({revision})")
    };
    writeln!(
        stderr,
        "error: {name} `{}`{found} is no revision that would be served, so there is nothing to compare",
        asked.escape_debug()
    )?;
    Ok(())
}
