//! `gitboot import`: manifests out of what another boot server reads.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use clap::ValueEnum;

use super::validate::summary;
use super::{Misuse, Outcome};
use crate::compile::{self, compile};
use crate::diagnostic::Diagnostics;
use crate::import::{self, Converted, MATCHBOX_FOLDERS};
use crate::manifest;
use crate::source::read_directory;
use crate::tree::{Entry, Limits, RepoPath, Revision, Tree};

/// Every flag of `import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is overwritten: --out must be empty or not exist. Everything that could be converted is written; what \
                  could not is told with its place in the original, and the exit code is 2.\n\nExit codes: 0 good, 1 something \
                  could not be read or written, 2 something was not converted or the result has errors, 64 bad usage."
)]
pub(super) struct Args {
    /// The server to come from
    #[arg(value_name = "SERVER")]
    from: From,
    /// matchbox: the data directory, with `groups` and `profiles`; phs: the YAML file
    #[arg(value_name = "DIR|FILE")]
    path: PathBuf,
    /// Where to write the manifests: a folder that is empty or does not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// The servers whose files can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// matchbox: groups, profiles and templates
    Matchbox,
    /// The Harvester PXE server: `data.yaml`
    Phs,
}

/// Converts, writes, and checks what was written.
pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let ready = empty_folder(&args.out)?;
    let options = compile::Options::default();
    let converted = match args.from {
        From::Matchbox => import::matchbox(&matchbox_tree(&args.path)?, options.budget),
        From::Phs => {
            let (tree, path) = file_tree(&args.path)?;
            import::phs(&tree, &path, options.budget)
        }
    };
    let Converted {
        files,
        diagnostics,
        rewrites,
    } = converted;
    let found = Diagnostics::new(diagnostics);
    io::stderr().write_all(found.render_human().as_bytes())?;
    if files.is_empty() {
        writeln!(io::stderr(), "error: there is nothing to write")?;
        return Ok(Outcome::ManifestErrors);
    }
    write(&args.out, ready, &files)?;
    let mut out = io::stdout();
    for line in &rewrites {
        writeln!(out, "{line}")?;
    }
    let (count, folder) = (files.len(), args.out.display());
    let plural = if count == 1 { "" } else { "s" };
    writeln!(out, "{count} file{plural} written to {folder}")?;
    let entries = files.into_iter();
    let entries = entries.map(|(path, bytes)| (path, Entry::File(bytes)));
    let tree = Tree::new(Revision::new(Revision::WORKTREE), entries.collect());
    let manifests = manifest::parse(&tree, options.budget);
    let (snapshot, checked) = compile(&tree, &manifests, &options);
    if !checked.is_empty() {
        writeln!(io::stderr(), "\nin {folder}:")?;
        io::stderr().write_all(checked.render_human().as_bytes())?;
    }
    if let Some(snapshot) = &snapshot {
        writeln!(out, "{}", summary(snapshot))?;
    }
    Ok(if found.error_count() > 0 || snapshot.is_none() {
        Outcome::ManifestErrors
    } else {
        Outcome::Good
    })
}

/// Whether the folder to write is there already; one with anything but `.git` in it is refused.
fn empty_folder(out: &Path) -> anyhow::Result<bool> {
    let entries = match fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write to `{}`", out.display()));
        }
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read `{}`", out.display()))?;
        if entry.file_name() != ".git" {
            let message = format!("--out: `{}` is not empty", out.display());
            return Err(Misuse(message).into());
        }
    }
    Ok(true)
}

/// The folders of matchbox that are there; its assets, which may be large, are not looked at.
fn matchbox_tree(dir: &Path) -> anyhow::Result<Tree> {
    fs::read_dir(dir).with_context(|| format!("cannot read `{}`", dir.display()))?;
    let mut entries = BTreeMap::new();
    for folder in MATCHBOX_FOLDERS {
        let path = dir.join(folder);
        if !path.is_dir() {
            continue;
        }
        let tree = read_directory(&path, &Limits::default())?;
        for (path, entry) in tree.iter() {
            let path = RepoPath::parse(&format!("{folder}/{path}"))?;
            entries.insert(path, entry.clone());
        }
    }
    if !["groups", "profiles"]
        .iter()
        .any(|one| dir.join(one).is_dir())
    {
        let message = format!("`{}` holds neither `groups` nor `profiles`", dir.display());
        return Err(Misuse(message).into());
    }
    Ok(Tree::new(Revision::new(Revision::WORKTREE), entries))
}

/// One file as a tree.
fn file_tree(path: &Path) -> anyhow::Result<(Tree, RepoPath)> {
    let cannot = || format!("cannot read `{}`", path.display());
    let limit = Limits::default().file_bytes;
    let length = fs::metadata(path).with_context(cannot)?.len();
    anyhow::ensure!(
        length <= limit,
        "`{}` has more than {limit} bytes",
        path.display()
    );
    let bytes = fs::read(path).with_context(cannot)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = RepoPath::parse(&name)?;
    let entries = BTreeMap::from([(name.clone(), Entry::File(bytes.into()))]);
    let tree = Tree::new(Revision::new(Revision::WORKTREE), entries);
    Ok((tree, name))
}

/// Writes all files: into a folder that is there, or into a new one that appears whole.
fn write(out: &Path, ready: bool, files: &BTreeMap<RepoPath, Bytes>) -> anyhow::Result<()> {
    if ready {
        return write_into(out, files);
    }
    let mut name = out
        .file_name()
        .with_context(|| format!("`{}` is no name of a folder", out.display()))?
        .to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let made = out.with_file_name(name);
    let cannot = || format!("cannot make `{}`", out.display());
    fs::create_dir(&made).with_context(cannot)?;
    let written =
        write_into(&made, files).and_then(|()| fs::rename(&made, out).with_context(cannot));
    if written.is_err() {
        // What is left of it is of no use, and the failure is told either way.
        let _ = fs::remove_dir_all(&made);
    }
    written
}

fn write_into(folder: &Path, files: &BTreeMap<RepoPath, Bytes>) -> anyhow::Result<()> {
    for (path, bytes) in files {
        let path = folder.join(path.as_str());
        let cannot = || format!("cannot write `{}`", path.display());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(cannot)?;
        }
        let mut file = fs::File::create_new(&path).with_context(cannot)?;
        file.write_all(bytes).with_context(cannot)?;
    }
    Ok(())
}
