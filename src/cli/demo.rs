//! `gitboot demo`: a repository to push to and a server that follows it, from the example inside the binary.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use include_dir::{Dir, DirEntry};

use super::ops::Ops;
use super::serve::{self, Boot, HttpLimits, Process};
use super::tftp::Tftp;
use super::units::interval;
use super::{Misuse, Outcome};
use crate::compile;
use crate::keyring::{KeyFiles, Keyring};
use crate::source::{self, RepoUrl, seed};
use crate::systemd::Sockets;
use crate::tree::RepoPath;

/// The example, as it is in the source tree.
static EXAMPLE: Dir<'_> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/example-repo");
/// The branch of the demo's repository.
const BRANCH: &str = "main";

/// Every flag of `demo`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The repository stays where it is: run `gitboot demo` again and it serves what you pushed."
)]
pub(super) struct Args {
    /// Where the demo's repository is made [default: as for `serve`]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The pause between checks of the repository; at least 1s
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    #[command(flatten)]
    boot: Boot,
    #[command(flatten)]
    tftp: Tftp,
    #[command(flatten)]
    ops: Ops,
    #[command(flatten)]
    process: Process,
    #[command(flatten)]
    http_limits: HttpLimits,
}

/// Makes the repository unless it is there, and serves it.
pub(super) fn run(args: &Args, vars: &[(OsString, OsString)]) -> anyhow::Result<Outcome> {
    let state = serve::state_dir(args.state_dir.as_deref(), vars).ok_or_else(|| {
        Misuse("--state-dir: the demo needs a folder for its repository, such as `--state-dir /tmp/gitboot`".to_owned())
    })?;
    let state = std::path::absolute(state).context("the current folder cannot be told")?;
    let repository = state.join("demo.git");
    let is_new = make(&repository)?;
    let url: RepoUrl = repository
        .to_string_lossy()
        .parse()
        .map_err(|error| Misuse(format!("--state-dir: {error}")))?;
    let settings = serve::settings(
        &args.boot,
        &args.tftp,
        &args.process,
        &args.http_limits,
        args.interval,
    )?;
    let settings = crate::serve::Settings {
        ops: args.ops.settings("", None, None),
        ..settings
    };
    let place = serve::Place {
        settings,
        sockets: Sockets::default(),
    };
    let source = source::Settings {
        state_dir: Some(state),
        ..source::Settings::new(url)
    };
    serve::start(
        &args.process,
        place,
        source,
        compile::Options {
            boot_script: args.boot.script.clone(),
            ..compile::Options::default()
        },
        |budget| {
            let keyring = Keyring::open(KeyFiles::default(), budget, compile::Secrets::None);
            keyring.map_err(|error| Misuse(error.to_string()))
        },
        |addresses| {
            let text = banner(&repository, is_new, addresses, args.interval);
            std::io::stdout()
                .write_all(text.as_bytes())
                .context("cannot write to standard output")
        },
    )
}

/// Makes the bare repository; says whether it was not there before.
fn make(repository: &Path) -> anyhow::Result<bool> {
    if repository.exists() {
        return Ok(false);
    }
    let mut files = Vec::new();
    collect(&EXAMPLE, &mut files);
    let parent = repository.parent().unwrap_or(repository);
    std::fs::create_dir_all(parent)
        .with_context(|| format!("cannot make the folder `{}`", parent.display()))?;
    seed::create_bare(
        repository,
        files.into_iter(),
        "Boot the example site",
        BRANCH,
    )
    .with_context(|| {
        format!(
            "cannot make the demo's repository `{}`",
            repository.display()
        )
    })?;
    Ok(true)
}

fn collect(dir: &Dir<'static>, files: &mut Vec<(RepoPath, &'static [u8])>) {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => collect(dir, files),
            DirEntry::File(file) => {
                let path = file.path().to_string_lossy().replace('\\', "/");
                let path = RepoPath::parse(&path).expect("the example's own paths are right");
                files.push((path, file.contents()));
            }
        }
    }
}

/// What to try, as commands to copy.
fn banner(repository: &Path, is_new: bool, addresses: &[SocketAddr], interval: Duration) -> String {
    let repository = repository.display();
    let base = addresses.first().map_or_else(String::new, |address| {
        format!("http://{}", reachable(*address))
    });
    let made = if is_new {
        "made from the built-in example"
    } else {
        "found from an earlier run"
    };
    let mut text = String::new();
    let _ = write!(
        text,
        "\
gitboot demo
  repository  {repository} ({made})
  server      {base}

Ask as a machine would:
  curl {base}/boot.ipxe
  curl '{base}/ipxe?mac=52:54:00:00:03:02'      # a node of the Harvester cluster
  curl '{base}/v1/boot/52-54-00-00-03-02/harvester'   # its configuration, as the script's URL serves it
  curl '{base}/ipxe?mac=52:54:00:00:09:99'      # a machine that nobody assigned

Change what boots:
  git clone {repository} site
  cd site
  sed -i 's/has no Assignment/is new here/' scripts/unknown-machine.ipxe
  git commit -am 'Say it differently' && git push
  curl '{base}/ipxe?mac=52:54:00:00:09:99'      # {} later

Make a mistake: write `profile: nobody` into assignments/unknown.yaml, commit and push. The line below will say what is wrong,
and every machine goes on getting what it got before.

Stop with Ctrl-C.

",
        humantime::format_duration(interval),
    );
    text
}

/// An address that a client on this machine can use for one that is listened on.
fn reachable(address: SocketAddr) -> String {
    match address.ip() {
        ip if ip.is_unspecified() => format!("localhost:{}", address.port()),
        IpAddr::V4(ip) => format!("{ip}:{}", address.port()),
        IpAddr::V6(ip) => format!("[{ip}]:{}", address.port()),
    }
}
