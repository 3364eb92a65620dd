//! A repository somewhere else: ask for one ref, and when it moved, fetch one commit without its history.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use gix::odb::pack;
use gix::progress::Discard;
use gix::protocol::fetch::negotiate::{Action, Round, one_round};
use gix::protocol::fetch::{Arguments, Context, Negotiate, Options, Response, Shallow, Tags};
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::client::blocking_io::Transport as Conversation;
use gix::protocol::transport::{Protocol, Service};
use gix::protocol::{Handshake, LsRefsCommand};

use super::error::{ErrorClass, SourceError, cause, causes};
use super::memo::Memo;
use super::remote::{Found, Settings};
use super::scratch::Scratch;
use super::store::{Generation, may_be_of_store};
use super::transport::Transport;
use super::unpacked::{Reporter, Unpacked};
use super::walk::{Scope, Walked};
use super::watch::Watch;
use super::{reference, walk};
use crate::tree::{Limits, Revision};

/// The most bytes of an answer about refs: an old server that ignores the prefix sends some 200,000 refs in as much.
const MAX_REFS_BYTES: u64 = 16 << 20;
/// The largest single object in bytes, wherever it stands in the commit, unless a file may be larger: each is inflated
/// once to be checked, one in each thread.
const MAX_OBJECT_BYTES: u64 = 24 << 20;
/// What one object takes in the list of all of them while they are unpacked, in bytes, with a reserve.
const LISTED_OBJECT_BYTES: u64 = 128;
/// How many objects are inflated at a time.
const UNPACKING_THREADS: usize = 2;
/// How often the watchdog looks whether a fetch has to end.
const WATCHDOG_TICK: Duration = Duration::from_millis(50);
/// What we call ourselves in the protocol.
const AGENT: &str = concat!("gitboot/", env!("CARGO_PKG_VERSION"));

/// Fetches from one repository.
#[derive(Debug)]
pub(super) struct Fetcher {
    transport: Transport,
    kept: Kept,
    /// Whether the remote has refused to leave out files, although it says that it can.
    refuses_filters: bool,
    /// How many bytes were received since the start.
    received: u64,
}

impl Fetcher {
    pub(super) fn new(transport: Transport, scratch: Scratch) -> Self {
        Self {
            transport,
            kept: Kept {
                scratch,
                generation: None,
            },
            refuses_filters: false,
            received: 0,
        }
    }

    /// How many bytes were received since the start.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Asks for the ref, and fetches when it is not at `known`.
    pub(super) fn check(
        &mut self,
        settings: &Settings,
        known: Option<&Revision>,
        memo: Option<&Memo>,
        interrupt: &AtomicBool,
    ) -> Result<Found, SourceError> {
        let watch = Watch::new(interrupt, settings.git_timeout, MAX_REFS_BYTES);
        let result = self.check_watched(settings, known, memo, &watch);
        self.received = self.received.saturating_add(watch.received());
        // What went wrong on the wire says more than what the layers above made of it.
        result.map_err(|error| watch.take_failure().unwrap_or(error))
    }

    fn check_watched(
        &mut self,
        settings: &Settings,
        known: Option<&Revision>,
        memo: Option<&Memo>,
        watch: &Watch<'_>,
    ) -> Result<Found, SourceError> {
        let mut connection = Connection::open(&mut self.transport, watch, !self.refuses_filters)?;
        let wanted = settings.reference.as_deref();
        let refs = connection.list(&reference::candidates(wanted))?;
        let (commit, is_advertised) = resolve(wanted, &refs)?;
        let revision = Revision::new(&commit.to_string());
        if let Some(known) = known.filter(|known| **known == revision) {
            connection.end();
            return Ok(Found::Known(known.clone()));
        }
        tracing::debug!(revision = revision.as_str(), "the remote has a new commit");
        // What is too large stays so: it is refused with its revision and not fetched again.
        let refused = |error: SourceError| {
            let error = watch.take_failure().unwrap_or(error);
            match error.class() {
                ErrorClass::Limit => error.of(&revision),
                _ => error,
            }
        };
        let request = Request {
            commit,
            is_advertised,
            settings,
            memo,
            watch,
        };
        if self.kept.is_usable(&connection) {
            if let Some(walked) = self
                .kept
                .reuse(&mut connection, &request)
                .map_err(refused)?
            {
                return Ok(Found::Read(walked));
            }
            // One conversation at a time.
            drop(connection);
            connection = Connection::open(&mut self.transport, watch, !self.refuses_filters)?;
        }
        let mut result = self.kept.renew(&mut connection, &request);
        if connection.filters() && result.as_ref().is_err_and(is_about_filters) {
            tracing::debug!("the remote leaves out no large files, so they are fetched, too");
            self.refuses_filters = true;
            drop(connection);
            connection = Connection::open(&mut self.transport, watch, false)?;
            result = self.kept.renew(&mut connection, &request);
        }
        result.map(Found::Read).map_err(refused)
    }
}

/// What is here already, and where it is.
#[derive(Debug)]
struct Kept {
    /// Where the stores are made.
    scratch: Scratch,
    generation: Option<Generation>,
}

impl Kept {
    /// Whether something is here that this connection can be told of and that another fetch may go into.
    fn is_usable(&self, connection: &Connection<'_>) -> bool {
        connection.takes_haves() && self.generation.as_ref().is_some_and(Generation::has_room)
    }

    /// Fetches into the generation that is here. `None` when it does not do any more and is gone.
    fn reuse(
        &mut self,
        connection: &mut Connection<'_>,
        request: &Request<'_>,
    ) -> Result<Option<Walked>, SourceError> {
        let Some(generation) = &mut self.generation else {
            return Ok(None);
        };
        let error = match connection.obtain(generation, request) {
            Ok(walked) => return Ok(Some(walked)),
            Err(error) => error,
        };
        // A failure of the wire says nothing about what is here.
        if let Some(error) = request.watch.take_failure() {
            return Err(error);
        }
        if !may_be_of_store(error.class()) {
            return Err(error);
        }
        tracing::warn!(
            class = error.class().as_str(),
            "what earlier fetches left is of no use any more, so everything is fetched anew: {error}"
        );
        self.generation = None;
        Ok(None)
    }

    /// Fetches into a fresh generation, which takes the place of the old one when it has what was asked for.
    fn renew(
        &mut self,
        connection: &mut Connection<'_>,
        request: &Request<'_>,
    ) -> Result<Walked, SourceError> {
        let fresh = self.scratch.make(Generation::create);
        let mut fresh = fresh.inspect_err(|_| self.generation = None)?;
        let result = connection.obtain(&mut fresh, request);
        let is_good = match &result {
            Ok(_) => true,
            // The commit is here, and what is wrong is in it.
            Err(error) => error.revision().is_some() && !may_be_of_store(error.class()),
        };
        if is_good && fresh.tip().is_some() {
            self.generation = Some(fresh);
        }
        if matches!(&result, Err(error) if error.class() == ErrorClass::Disk) {
            // What is kept may be what fills the disk.
            self.generation = None;
        }
        result
    }
}

/// What is asked of a connection.
struct Request<'a> {
    commit: ObjectId,
    /// Whether a ref of the remote leads to it.
    is_advertised: bool,
    settings: &'a Settings,
    memo: Option<&'a Memo>,
    watch: &'a Watch<'a>,
}

/// A conversation with the remote.
struct Connection<'a> {
    transport: Box<dyn Conversation + 'a>,
    handshake: Handshake,
    /// Whether the remote has not refused yet to leave out large files.
    may_filter: bool,
}

impl<'a> Connection<'a> {
    fn open(
        transport: &'a mut Transport,
        watch: &'a Watch<'a>,
        may_filter: bool,
    ) -> Result<Self, SourceError> {
        let mut transport = transport.open(watch)?;
        let handshake = gix::protocol::handshake(
            &mut transport,
            Service::UploadPack,
            |_| Ok(None),
            Vec::new(),
            &mut Discard,
        )
        .map_err(|error| match causes(&error) {
            // What a `git daemon` says, to whoever it may be.
            said if said.contains("access denied or repository not exported") => {
                let message = "the remote has no repository at this path, or does not export it";
                SourceError::new(ErrorClass::NotFound, message)
            }
            _ => protocol("the remote does not answer as a git server", &error),
        })?;
        let format = handshake.capabilities.capability("object-format");
        if let Some(format) = format.and_then(|format| format.value().map(ToOwned::to_owned))
            && format != "sha1"
        {
            let message =
                "the repository names its objects by SHA-256, which is not supported; SHA-1 is";
            return Err(SourceError::new(ErrorClass::Unsupported, message));
        }
        Ok(Self {
            transport,
            handshake,
            may_filter,
        })
    }

    /// The refs of the remote whose names start with one of these.
    fn list(&mut self, names: &[String]) -> Result<Vec<Ref>, SourceError> {
        // The protocol before version 2 lists all refs at once.
        if let Some(refs) = self.handshake.refs.take() {
            return Ok(refs);
        }
        let mut prefixes = RefPrefixes::new();
        prefixes.extend(names.iter().map(|name| name.as_str().into()));
        LsRefsCommand::new(Some(prefixes), &self.handshake.capabilities, agent())
            .invoke_blocking(&mut self.transport, &mut Discard, false)
            .map_err(|error| protocol("the remote does not list its refs", &error))
    }

    /// Says goodbye to a server that waits for more.
    fn end(&mut self) {
        // The answer is known; how the conversation ends changes nothing.
        let _ = gix::protocol::indicate_end_of_interaction(&mut self.transport, false);
    }

    /// Whether the remote can be told what is here already. The protocol before version 2 would need several rounds.
    fn takes_haves(&self) -> bool {
        self.handshake.server_protocol_version == Protocol::V2
    }

    /// Whether the remote can leave out large files. Before version 2 of the protocol few can, and nothing is asked of them.
    fn filters(&self) -> bool {
        let fetch = self.handshake.capabilities.capability("fetch");
        self.may_filter
            && self.handshake.server_protocol_version == Protocol::V2
            && fetch.is_some_and(|fetch| fetch.supports("filter") == Some(true))
    }

    /// Fetches a commit into a generation, unless it was the last one to come into it, and reads what is new in it.
    fn obtain(
        &mut self,
        generation: &mut Generation,
        request: &Request<'_>,
    ) -> Result<Walked, SourceError> {
        let Request {
            commit,
            is_advertised,
            settings,
            memo,
            watch,
        } = *request;
        watch.extend(settings.fetch_timeout, settings.wire_bytes);
        let unpacked = Unpacked::default();
        supervised(watch, &unpacked, settings.unpacked_bytes, |stop| {
            if generation.tip() == Some(commit) {
                self.end();
            } else {
                let limits = &settings.limits;
                self.fetch(commit, limits, generation, unpacked.progress(), stop)
                    .map_err(|error| match error.class() {
                        // Whether a remote has a commit that no ref names is seen only now.
                        ErrorClass::Protocol if !is_advertised => {
                            reference::not_found(settings.reference.as_deref())
                        }
                        _ => error,
                    })?;
                generation.fetched(commit);
            }
            tracing::debug!("its objects are here");
            let objects = generation.objects()?;
            let scope = Scope {
                lacks_large_files: self.filters() && generation.is_fresh(),
                ..settings.scope()
            };
            let walked = walk::read_change(&objects, commit, &scope, memo, stop)?;
            tracing::debug!("its files are read");
            Ok(walked)
        })
    }

    /// Fetches `commit` without its history, and without the files that are too large where the remote can leave them out:
    /// a large file that nobody names does no harm then.
    fn fetch(
        &mut self,
        commit: ObjectId,
        limits: &Limits,
        generation: &Generation,
        progress: Reporter,
        stop: &AtomicBool,
    ) -> Result<(), SourceError> {
        let store = generation.prepare()?;
        let bases = store.objects()?;
        let limit = object_limit(limits);
        let alloc_limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut failure = None;
        let outcome = gix::protocol::fetch(
            &mut OneCommit {
                wanted: commit,
                have: generation.tip(),
                largest_file: self.filters().then_some(limits.file_bytes),
            },
            |reader, progress, stop| {
                let written = pack::Bundle::write_to_directory(
                    reader,
                    Some(&store.pack_folder()),
                    progress,
                    stop,
                    Some(bases),
                    commit.kind(),
                    pack::bundle::write::Options {
                        thread_limit: Some(UNPACKING_THREADS),
                        alloc_limit_bytes: Some(alloc_limit),
                        ..Default::default()
                    },
                );
                match written {
                    Ok(_) => Ok(true),
                    Err(error) => {
                        let what = "what the remote sent cannot be stored";
                        failure = Some(match store_class(&error) {
                            ErrorClass::Corrupt if error.is_resource_exhausted() => {
                                too_large(limit)
                            }
                            class => SourceError::caused(class, what, &error),
                        });
                        Err(error)
                    }
                }
            },
            progress,
            stop,
            Context {
                handshake: &mut self.handshake,
                transport: &mut self.transport,
                user_agent: agent(),
                trace_packetlines: false,
            },
            Options {
                shallow_file: store.shallow_file(),
                shallow: &Shallow::DepthAtRemote(NonZeroU32::MIN),
                tags: Tags::None,
                reject_shallow_remote: false,
            },
        );
        match outcome {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(failure
                    .unwrap_or_else(|| protocol("the remote does not send the commit", &error)))
            }
        }
    }
}

/// The negotiation of somebody who wants one commit and has one at most.
struct OneCommit {
    wanted: ObjectId,
    have: Option<ObjectId>,
    /// The bytes of the largest file that is wanted, where the remote can leave out larger ones.
    largest_file: Option<u64>,
}

impl Negotiate for OneCommit {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<Action> {
        Ok(Action::MustNegotiate {
            remote_ref_target_known: vec![false],
        })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        arguments.want(self.wanted);
        if let Some(bytes) = self.largest_file {
            arguments.filter(&format!("blob:limit={}", bytes.saturating_add(1)));
        }
        if let Some(have) = self.have {
            arguments.have(have);
        }
        true
    }

    fn one_round(
        &mut self,
        _state: &mut one_round::State,
        _arguments: &mut Arguments,
        _previous: Option<&Response>,
    ) -> gix::Result<(Round, bool)> {
        let round = Round {
            haves_sent: usize::from(self.have.is_some()),
            in_vain: 0,
            haves_to_send: 0,
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}

/// Runs `work` with a flag that is set when the caller wants to stop, the time is over or too much was unpacked, so
/// that unpacking, which waits for no network, ends too.
fn supervised<T>(
    watch: &Watch<'_>,
    unpacked: &Unpacked,
    limit: u64,
    work: impl FnOnce(&AtomicBool) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let stop = AtomicBool::new(false);
    let (interrupt, deadline) = (watch.interrupt(), watch.deadline());
    let result = std::thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        let stop = &stop;
        scope.spawn(move || {
            while waiting.recv_timeout(WATCHDOG_TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                let is_over = Instant::now() >= deadline || unpacked.bytes() > limit;
                if is_over || interrupt.load(Ordering::Relaxed) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        let result = work(stop);
        drop(done);
        result
    });
    if unpacked.bytes() > limit {
        let message = format!(
            "the objects of the commit are larger than the limit of {limit} bytes unpacked"
        );
        return Err(SourceError::new(ErrorClass::Limit, message));
    }
    match result {
        // The work saw the flag only; the watch knows why it was set.
        Err(error) if stop.load(Ordering::Relaxed) => Err(watch.look().err().unwrap_or(error)),
        result => result,
    }
}

/// The commit that `--ref` names, and whether a ref of the remote leads to it.
fn resolve(wanted: Option<&str>, refs: &[Ref]) -> Result<(ObjectId, bool), SourceError> {
    for name in reference::candidates(wanted) {
        let found = refs.iter().find_map(|candidate| match candidate {
            Ref::Direct {
                full_ref_name,
                object,
            }
            | Ref::Peeled {
                full_ref_name,
                object,
                ..
            }
            | Ref::Symbolic {
                full_ref_name,
                object,
                ..
            } => (full_ref_name.as_bstr() == name).then_some(*object),
            Ref::Unborn { .. } => None,
        });
        if let Some(id) = found {
            return Ok((id, true));
        }
    }
    reference::commit_id(wanted)
        .map(|id| (id, false))
        .ok_or_else(|| reference::not_found(wanted))
}

/// Whether a remote refuses a fetch because of what it shall leave out: git's `uploadpackfilter.blob:limit.allow` forbids
/// that, and is told nowhere before.
fn is_about_filters(error: &SourceError) -> bool {
    error.class() == ErrorClass::Protocol && error.to_string().contains("filter")
}

fn agent() -> (&'static str, Option<String>) {
    ("agent", Some(AGENT.to_owned()))
}

fn protocol(what: &str, error: &gix::Error) -> SourceError {
    SourceError::caused(ErrorClass::Protocol, what, error)
}

/// How many bytes one object may have, and the list of all objects while they are unpacked.
fn object_limit(limits: &Limits) -> u64 {
    let list = (limits.files as u64).saturating_mul(LISTED_OBJECT_BYTES);
    limits.file_bytes.max(list).max(MAX_OBJECT_BYTES)
}

fn too_large(limit: u64) -> SourceError {
    let message = format!(
        "an object of the commit, or the list of them, is larger than the limit of {limit} bytes; \
         `--max-file-bytes` raises it"
    );
    SourceError::new(ErrorClass::Limit, message)
}

/// What only a disk says. Whoever adds the path to an error of the system hides its number.
fn is_disk(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind as Kind;

    matches!(
        kind,
        Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::FileTooLarge
            | Kind::ReadOnlyFilesystem
            | Kind::PermissionDenied
            | Kind::NotADirectory
            | Kind::NotFound
    )
}

/// Whether a pack could not be stored because of the disk or because of the pack.
fn store_class(error: &gix::Error) -> ErrorClass {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(error) = current.downcast_ref::<std::io::Error>()
            && (error.raw_os_error().is_some() || is_disk(error.kind()))
        {
            return ErrorClass::Disk;
        }
        next = cause(current);
    }
    ErrorClass::Corrupt
}
