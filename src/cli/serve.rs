//! `gitboot serve`.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;

use super::credentials::Credentials;
use super::limits::TreeLimits;
use super::ops::Ops;
use super::otlp::Otlp;
use super::secrets::SecretFiles;
use super::tftp::Tftp;
use super::tls::Tls;
use super::units::{address, duration, interval, memory, positive_duration};
use super::{Misuse, Outcome, sockets};
use crate::compile::{self, Secrets};
use crate::diagnostic::Diagnostic;
use crate::http::{self, Access, Network, TlsError};
use crate::keyring::Keyring;
use crate::label::FixedLabels;
use crate::manifest::{self, Budget};
use crate::observe::{self, LogFilter, LogFormat, otlp};
use crate::poll::Built;
use crate::render::BaseUrl;
use crate::serve::{Server, Settings, Wiring};
use crate::source::{self, Remote, RepoUrl};
use crate::state::{Key, State};
use crate::systemd::{Kind, Sockets};
use crate::tree::{RepoPath, Tree};

/// How many diagnostics of a refused revision are kept as `validate` prints them, for people: some screenfuls, about 50 kB.
const MAX_SHOWN_DIAGNOSTICS: usize = 100;

/// How long a check of the repository that is running at the end may take to give up.
const GIVE_UP_TIME: Duration = Duration::from_secs(1);

/// Where machines ask unless somebody says otherwise: everywhere, in both families (contract, section 6).
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 8080);

/// Every flag of `serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every flag also reads a variable: GITBOOT_INTERVAL for --interval, and so on; the flag wins. \
                  Repeatable flags take one value a line. Durations are written 30s, 15m or 1h, sizes 16KiB or 4MiB."
)]
pub(super) struct Args {
    #[command(flatten)]
    repository: Repository,
    #[command(flatten)]
    credentials: Credentials,
    #[command(flatten)]
    secrets: SecretFiles,
    #[command(flatten)]
    boot: Boot,
    #[command(flatten)]
    tls: Tls,
    #[command(flatten)]
    tftp: Tftp,
    #[command(flatten)]
    ops: Ops,
    #[command(flatten)]
    otlp: Otlp,
    #[command(flatten)]
    process: Process,
    #[command(flatten)]
    tree_limits: TreeLimits,
    #[command(flatten)]
    http_limits: HttpLimits,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Repository")]
struct Repository {
    /// The git repository: an https, http, ssh, git or file URL, user@host:path, or a local path
    #[arg(long, value_name = "URL")]
    repo: String,
    /// The branch, tag, full ref or full commit id to serve [default: the remote's HEAD]
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// The folder of the repository to serve [default: the whole repository]
    #[arg(long, value_name = "DIR")]
    path: Option<String>,
    /// The pause between checks of the repository, a tenth more or less; at least 1s
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = interval)]
    interval: Duration,
    /// How long connecting and listing refs may take, and a fetch below 10 kB/s
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = positive_duration)]
    git_timeout: Duration,
    /// How long a fetch may take as a whole
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = positive_duration)]
    fetch_timeout: Duration,
    /// Where fetched objects and the last good revision are kept, or `none` for memory alone [default: $STATE_DIRECTORY, else
    /// $XDG_STATE_HOME/gitboot, else ~/.local/state/gitboot]
    #[arg(long, value_name = "DIR|none")]
    state_dir: Option<PathBuf>,
    /// Serve a repository that holds no Profile, no Assignment, or no --path
    #[arg(long)]
    allow_empty: bool,
    /// Serve only commits that are signed with an SSH key of this list (OpenSSH's allowed signers, as in
    /// gpg.ssh.allowedSignersFile); it is read again at every check
    #[arg(long, value_name = "FILE")]
    allowed_signers_file: Option<PathBuf>,
    /// With --allowed-signers-file, serve a commit although it is older than the last one that was served
    #[arg(long)]
    allow_rollback: bool,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Serving")]
pub(super) struct Boot {
    // Not clap's default: sockets that the process was started with take its place.
    /// An address to listen on; repeatable. `[::]` takes IPv4 too [default: [::]:8080]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Vec<SocketAddr>,
    /// What URLs in scripts start with [default: http:// and the request's Host]
    #[arg(long, value_name = "URL", value_parser = BaseUrl::parse)]
    external_url: Option<BaseUrl>,
    /// A label to add to every request, over what the machine says; repeatable, no identity keys
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// A file of the repository, below --path, that /boot.ipxe answers with byte for byte, in place of the built-in script
    #[arg(long = "boot-script", value_name = "FILE", value_parser = boot_script)]
    pub(super) script: Option<RepoPath>,
    /// How often /boot.ipxe asks before it goes on to the next boot device, over about 5 min by default; 0 for ever
    #[arg(long = "boot-attempts", value_name = "COUNT", default_value_t = 10)]
    attempts: u32,
    /// Turn /v1/boot/ off: whoever knows a MAC can read that machine's configs there
    #[arg(long)]
    no_boot_api: bool,
    /// A network whose machines get answers, all others get 403 but for /health and /ready; repeatable [default: everybody]
    #[arg(long, value_name = "CIDR", value_parser = Network::parse)]
    allow: Vec<Network>,
    /// A network of proxies that are believed when X-Forwarded-For says who asks; repeatable [default: none]
    #[arg(long, value_name = "CIDR", value_parser = Network::parse)]
    trusted_proxy: Vec<Network>,
    /// How long a superseded config stays reachable, for boots in flight; 0 not at all
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    retain: Duration,
    /// How old the last good check of the repository may be before /ready says 503 [default: any age]
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    ready_max_age: Option<Duration>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Process")]
pub(super) struct Process {
    /// How long new connections are still taken after SIGTERM, while /ready says 503
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    drain_delay: Duration,
    /// How long requests in flight get after that
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    drain: Duration,
    /// How log lines look
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    log_format: Format,
    /// What is logged: error, warn, info, debug or trace, or directives like gitboot=debug,hyper=info
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log_level: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Human,
    Json,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits of connections")]
pub(super) struct HttpLimits {
    /// The size of a request's header section
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = memory)]
    max_header_bytes: usize,
    /// How long a request's header may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = positive_duration)]
    header_timeout: Duration,
    /// How long a connection may do nothing
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = positive_duration)]
    idle_timeout: Duration,
    /// How long one request may take, from its first byte until its answer has left
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = positive_duration)]
    request_timeout: Duration,
    /// The number of connections; more wait
    #[arg(long, value_name = "COUNT", default_value_t = http::Limits::default().max_connections)]
    max_connections: usize,
    /// The number of connections of one address, trusted proxies excepted; more are turned away
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = http::Limits::default().max_connections_per_address
    )]
    max_connections_per_address: usize,
}

impl Boot {
    /// Whether somebody said where to listen.
    pub(super) fn listens(&self) -> bool {
        !self.listen.is_empty()
    }
}

/// Runs the server.
pub(super) fn run(args: &Args, vars: &[(OsString, OsString)]) -> anyhow::Result<Outcome> {
    let Args {
        repository,
        credentials,
        secrets,
        boot,
        tls,
        tftp,
        ops,
        otlp,
        process,
        tree_limits,
        http_limits,
    } = args;
    let folder = repository.path.as_deref().map(served_root).transpose()?;
    let folder = folder.flatten();
    let folder = folder.as_ref().map(RepoPath::as_str);
    let sockets = sockets::take(boot, tls, tftp, ops, vars)?;
    let settings = Settings {
        tls: tls.settings(sockets.has(Kind::Https))?,
        ops: ops.settings(&repository.repo, folder, sockets.ops_address()),
        traces: otlp.settings(vars)?,
        ..settings(boot, tftp, process, http_limits, repository.interval)?
    };
    let settings = Settings {
        listen: if sockets.has(Kind::Http) {
            Vec::new()
        } else {
            settings.listen
        },
        ..settings
    };
    let source = source_settings(repository, credentials, tree_limits, vars)?;
    let options = compile::Options {
        allow_empty: repository.allow_empty,
        budget: tree_limits.budget(),
        boot_script: boot.script.clone(),
        ..compile::Options::default()
    };
    let keyring = |budget| secrets.open(budget, Secrets::None);
    let place = Place { settings, sockets };
    start(process, place, source, options, keyring, |_| Ok(()))
}

/// What is served how, and where.
pub(super) struct Place {
    pub(super) settings: Settings,
    pub(super) sockets: Sockets,
}

/// Binds, tells the caller where, and serves until the end.
pub(super) fn start(
    process: &Process,
    mut place: Place,
    source: source::Settings,
    options: compile::Options,
    keyring: impl FnOnce(Budget) -> Result<Keyring, Misuse>,
    bound: impl FnOnce(&[SocketAddr]) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let filter = LogFilter::parse(&process.log_level)
        .map_err(|error| Misuse(format!("--log-level: {error}")))?;
    let format = match process.log_format {
        Format::Human => LogFormat::Human,
        Format::Json => LogFormat::Json,
    };
    let _log = observe::init(format, filter).context("cannot start the log")?;
    let keyring = keyring(options.budget)?;
    let _traces = traced(place.settings.traces.take())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let Place { settings, sockets } = place;
        let retain = settings.retain;
        let server = Server::bind(settings, sockets).map_err(or_misuse)?;
        bound(&server.addresses())?;
        server.run(wiring(source, options, keyring, retain)?).await
    });
    runtime.shutdown_timeout(GIVE_UP_TIME);
    result.map(|()| Outcome::Good)
}

/// Sends traces where somebody wants that.
fn traced(
    settings: Option<Result<otlp::Settings, String>>,
) -> anyhow::Result<Option<otlp::Traces>> {
    match settings {
        Some(Ok(settings)) => {
            let traces = otlp::trace_to(settings).context("cannot start the sending of traces")?;
            Ok(Some(traces))
        }
        Some(Err(why)) => {
            tracing::warn!("nothing is traced: {why}");
            Ok(None)
        }
        None => Ok(None),
    }
}

/// A file whose content cannot be used is a bad setting; one that cannot be read, a fault of the world.
fn or_misuse(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<TlsError>() {
        Some(tls) if !tls.is_of_the_world() => Misuse(tls.to_string()).into(),
        _ => error,
    }
}

/// What the flags tell the server.
pub(super) fn settings(
    boot: &Boot,
    tftp: &Tftp,
    process: &Process,
    http_limits: &HttpLimits,
    interval: Duration,
) -> Result<Settings, Misuse> {
    let fixed_labels = FixedLabels::parse(&boot.label).map_err(Misuse)?;
    Ok(Settings {
        listen: if boot.listen.is_empty() {
            vec![DEFAULT_LISTEN]
        } else {
            boot.listen.clone()
        },
        tls: None,
        ops: None,
        traces: None,
        external_url: boot.external_url.clone(),
        fixed_labels,
        boot_attempts: boot.attempts,
        boot_api: !boot.no_boot_api,
        access: Access {
            allow: boot.allow.iter().copied().collect(),
            trusted_proxies: boot.trusted_proxy.iter().copied().collect(),
        },
        ready_max_age: boot.ready_max_age,
        interval,
        retain: boot.retain,
        drain_delay: process.drain_delay,
        drain: process.drain,
        limits: http::Limits {
            max_header_bytes: http_limits.max_header_bytes,
            header_timeout: http_limits.header_timeout,
            idle_timeout: http_limits.idle_timeout,
            request_timeout: http_limits.request_timeout,
            max_connections: http_limits.max_connections,
            max_connections_per_address: http_limits.max_connections_per_address,
        },
        tftp: tftp.settings(),
    })
}

fn wiring(
    source: source::Settings,
    options: compile::Options,
    keyring: Keyring,
    retain: Duration,
) -> anyhow::Result<Wiring> {
    let cache = Mutex::default();
    let keyring = Arc::new(Mutex::new(keyring));
    let keys = Arc::clone(&keyring);
    Ok(Wiring {
        state: state(&source, retain),
        refuses_rollbacks: source.refuses_rollbacks(),
        desired: Box::new(Remote::new(source)?),
        build: Arc::new(move |tree| build(tree, &with_keys(&options, &keys), &cache)),
        keyring,
    })
}

/// Where publications survive a restart.
fn state(source: &source::Settings, retain: Duration) -> Option<State> {
    let key = Key {
        repo: source.repo.to_string(),
        reference: source.reference.clone(),
        path: source.path.as_ref().map(ToString::to_string),
    };
    let folder = source.state_dir.clone()?;
    Some(State::new(folder, key, source.limits, retain))
}

/// The options with what the files of secrets hold now.
fn with_keys(options: &compile::Options, keyring: &Mutex<Keyring>) -> compile::Options {
    let keyring = keyring.lock().unwrap_or_else(PoisonError::into_inner);
    compile::Options {
        id_key: keyring.id_key().cloned(),
        secrets: keyring.secrets().clone(),
        ..options.clone()
    }
}

/// One build runs at a time, so nobody waits for the cache.
fn build(tree: &Tree, options: &compile::Options, cache: &Mutex<manifest::Cache>) -> Built {
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = observe::stage("parse");
    let manifests = manifest::parse_changed(tree, options.budget, &mut cache);
    drop(stage);
    tracing::debug!("its manifests are parsed");
    let stage = observe::stage("compile");
    let (snapshot, diagnostics) = compile::compile(tree, &manifests, options);
    drop(stage);
    tracing::debug!("its manifests are compiled");
    Built {
        snapshot,
        errors: diagnostics.error_count(),
        warnings: diagnostics.warning_count(),
        lines: diagnostics.iter().map(with_help).collect(),
        text: diagnostics.render_first(MAX_SHOWN_DIAGNOSTICS),
    }
}

/// A diagnostic in one line, with its remedy.
fn with_help(diagnostic: &Diagnostic) -> String {
    match diagnostic.help() {
        [] => diagnostic.to_string(),
        help => format!("{diagnostic} (help: {})", help.join("; ")),
    }
}

fn source_settings(
    repository: &Repository,
    credentials: &Credentials,
    limits: &TreeLimits,
    vars: &[(OsString, OsString)],
) -> Result<source::Settings, Misuse> {
    let path = repository.path.as_deref().map(served_root).transpose()?;
    let repo = repo_url(&repository.repo)?;
    Ok(source::Settings {
        credentials: credentials.settings(&repo)?,
        reference: repository.reference.clone(),
        path: path.flatten(),
        state_dir: state_dir(repository.state_dir.as_deref(), vars),
        limits: limits.tree(),
        wire_bytes: limits.wire_bytes(),
        unpacked_bytes: limits.unpacked_bytes(),
        git_timeout: repository.git_timeout,
        fetch_timeout: repository.fetch_timeout,
        allow_empty: repository.allow_empty,
        allowed_signers: repository.allowed_signers_file.clone(),
        allow_rollback: repository.allow_rollback,
        ..source::Settings::new(repo)
    })
}

/// The repository; clap would repeat the text, which may hold a secret.
pub(super) fn repo_url(text: &str) -> Result<RepoUrl, Misuse> {
    text.parse()
        .map_err(|error| Misuse(format!("--repo: {error}")))
}

/// The served folder; `None` for the whole repository.
pub(super) fn served_root(text: &str) -> Result<Option<RepoPath>, Misuse> {
    let text = text.trim_matches('/');
    let text = text.strip_prefix("./").unwrap_or(text);
    if matches!(text, "" | ".") {
        return Ok(None);
    }
    let path = RepoPath::parse(text);
    path.map(Some)
        .map_err(|error| Misuse(format!("--path: {error}")))
}

/// The file with the first script; its path may begin at the served root.
pub(super) fn boot_script(text: &str) -> Result<RepoPath, String> {
    let text = text.strip_prefix("./").unwrap_or(text);
    let text = text.strip_prefix('/').unwrap_or(text);
    RepoPath::parse(text).map_err(|error| format!("{error}; name a file below the served folder"))
}

/// The folder for state; `None` keeps everything in memory. systemd may give several folders, of which the first is ours.
pub(super) fn state_dir(flag: Option<&Path>, vars: &[(OsString, OsString)]) -> Option<PathBuf> {
    if let Some(flag) = flag {
        return (flag != Path::new("none")).then(|| flag.to_owned());
    }
    let var = |name: &str| {
        let found = vars
            .iter()
            .find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value)
    };
    let of_service = var("STATE_DIRECTORY").and_then(|dirs| std::env::split_paths(dirs).next());
    let of_user = || var("XDG_STATE_HOME").map(|dir| Path::new(dir).join("gitboot"));
    let of_home = || var("HOME").map(|dir| Path::new(dir).join(".local/state/gitboot"));
    of_service.or_else(of_user).or_else(of_home)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(flag: Option<&str>, vars: &[(&str, &str)]) -> Option<PathBuf> {
        let vars: Vec<_> = vars.iter().map(|(k, v)| (k.into(), v.into())).collect();
        state_dir(flag.map(Path::new), &vars)
    }

    #[test]
    fn state_stands_where_the_system_wants_it() {
        let all = [
            ("HOME", "/h"),
            ("XDG_STATE_HOME", "/x"),
            ("STATE_DIRECTORY", "/s:/t"),
        ];
        assert_eq!(state(Some("/f"), &all), Some("/f".into()));
        assert_eq!(state(Some("none"), &all), None);
        assert_eq!(state(None, &all), Some("/s".into()));
        assert_eq!(state(None, &all[..2]), Some("/x/gitboot".into()));
        assert_eq!(
            state(None, &all[..1]),
            Some("/h/.local/state/gitboot".into())
        );
        assert_eq!(state(None, &[("HOME", "")]), None);
    }

    #[test]
    fn the_served_root_may_be_written_in_many_ways() {
        for text in ["", "/", ".", "./"] {
            assert!(served_root(text).unwrap().is_none(), "{text:?}");
        }
        for text in ["clusters/a", "/clusters/a/", "./clusters/a"] {
            let path = served_root(text).unwrap().unwrap();
            assert_eq!(path.as_str(), "clusters/a");
        }
        assert!(served_root("../a").is_err());
    }
}
