//! A repository somewhere else: ask for one ref, and when it moved, fetch one commit without its history.

use std::num::NonZeroU32;
use std::path::PathBuf;
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
use gix::protocol::transport::Service;
use gix::protocol::transport::client::blocking_io::Transport as Conversation;
use gix::protocol::{Handshake, LsRefsCommand};

use super::error::{ErrorClass, SourceError, cause, causes};
use super::remote::{Check, Settings};
use super::store::Store;
use super::transport::Transport;
use super::unpacked::{Reporter, Unpacked};
use super::watch::Watch;
use super::{reference, walk};
use crate::tree::{Revision, Tree};

/// The most bytes of an answer about refs: an old server that ignores the prefix sends some 200,000 refs in as much.
const MAX_REFS_BYTES: u64 = 16 << 20;
/// The largest single object in bytes, wherever it stands in the commit: each is inflated once to be checked.
const MAX_OBJECT_BYTES: usize = 512 << 20;
/// How often the watchdog looks whether a fetch has to end.
const WATCHDOG_TICK: Duration = Duration::from_millis(50);
/// What we call ourselves in the protocol.
const AGENT: &str = concat!("gitboot/", env!("CARGO_PKG_VERSION"));

/// Fetches from one repository.
#[derive(Debug)]
pub(super) struct Fetcher {
    transport: Transport,
    /// Where the stores are made.
    folder: PathBuf,
}

impl Fetcher {
    pub(super) fn new(transport: Transport, folder: PathBuf) -> Self {
        Self { transport, folder }
    }

    /// Asks for the ref, and fetches when it is not at `known`.
    pub(super) fn check(
        &mut self,
        settings: &Settings,
        known: Option<&Revision>,
        interrupt: &AtomicBool,
    ) -> Result<Check, SourceError> {
        let watch = Watch::new(interrupt, settings.git_timeout, MAX_REFS_BYTES);
        let result = self.check_watched(settings, known, &watch);
        // What went wrong on the wire says more than what the layers above made of it.
        result.map_err(|error| watch.take_failure().unwrap_or(error))
    }

    fn check_watched(
        &mut self,
        settings: &Settings,
        known: Option<&Revision>,
        watch: &Watch<'_>,
    ) -> Result<Check, SourceError> {
        let mut connection = Connection::open(self.transport.open(watch)?)?;
        let wanted = settings.reference.as_deref();
        let refs = connection.list(&reference::candidates(wanted))?;
        let (commit, is_advertised) = resolve(wanted, &refs)?;
        let revision = Revision::new(&commit.to_string());
        if let Some(known) = known.filter(|known| **known == revision) {
            connection.close();
            return Ok(Check::Unchanged(known.clone()));
        }
        watch.extend(settings.fetch_timeout, settings.wire_bytes);
        let store = Store::create(&self.folder)?;
        let unpacked = Unpacked::default();
        let tree = supervised(watch, &unpacked, settings.unpacked_bytes, |stop| {
            connection
                .fetch(commit, &store, unpacked.progress(), stop)
                .map_err(|error| match error.class() {
                    // Whether a remote has a commit that no ref names is seen only now.
                    ErrorClass::Protocol if !is_advertised => reference::not_found(wanted),
                    _ => error,
                })?;
            read(&store, commit, settings, stop)
        })?;
        Ok(Check::Changed(tree))
    }
}

/// A conversation with the remote.
struct Connection<'a> {
    transport: Box<dyn Conversation + 'a>,
    handshake: Handshake,
}

impl<'a> Connection<'a> {
    fn open(mut transport: Box<dyn Conversation + 'a>) -> Result<Self, SourceError> {
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
    fn close(mut self) {
        // The answer is known; how the conversation ends changes nothing.
        let _ = gix::protocol::indicate_end_of_interaction(&mut self.transport, false);
    }

    /// Fetches `commit` without its history into the store.
    fn fetch(
        &mut self,
        commit: ObjectId,
        store: &Store,
        progress: Reporter,
        stop: &AtomicBool,
    ) -> Result<(), SourceError> {
        let mut failure = None;
        let outcome = gix::protocol::fetch(
            &mut OneCommit(commit),
            |reader, progress, stop| {
                let written = pack::Bundle::write_to_directory(
                    reader,
                    Some(&store.pack_folder()),
                    progress,
                    stop,
                    None::<gix::odb::Handle>,
                    commit.kind(),
                    pack::bundle::write::Options {
                        alloc_limit_bytes: Some(MAX_OBJECT_BYTES),
                        ..Default::default()
                    },
                );
                match written {
                    Ok(_) => Ok(true),
                    Err(error) => {
                        let what = "what the remote sent cannot be stored";
                        failure = Some(SourceError::caused(store_class(&error), what, &error));
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

/// The negotiation of somebody who has nothing and wants one commit.
struct OneCommit(ObjectId);

impl Negotiate for OneCommit {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<Action> {
        Ok(Action::MustNegotiate {
            remote_ref_target_known: vec![false],
        })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        arguments.want(self.0);
        true
    }

    fn one_round(
        &mut self,
        _state: &mut one_round::State,
        _arguments: &mut Arguments,
        _previous: Option<&Response>,
    ) -> gix::Result<(Round, bool)> {
        let round = Round {
            haves_sent: 0,
            in_vain: 0,
            haves_to_send: 0,
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}

/// Reads the tree out of a store that was just filled.
fn read(
    store: &Store,
    commit: ObjectId,
    settings: &Settings,
    stop: &AtomicBool,
) -> Result<Tree, SourceError> {
    let folder = store.objects_folder();
    let objects = gix::odb::at(&folder, commit.kind())
        .map_err(|error| SourceError::disk("cannot read the objects in", &folder, &error))?;
    walk::read_commit(&objects, commit, &settings.scope(), stop)
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

fn agent() -> (&'static str, Option<String>) {
    ("agent", Some(AGENT.to_owned()))
}

fn protocol(what: &str, error: &gix::Error) -> SourceError {
    SourceError::caused(ErrorClass::Protocol, what, error)
}

/// Whether a pack could not be stored because of the disk or because of the pack.
fn store_class(error: &gix::Error) -> ErrorClass {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(error) = current.downcast_ref::<std::io::Error>()
            && error.raw_os_error().is_some()
        {
            return ErrorClass::Disk;
        }
        next = cause(current);
    }
    ErrorClass::Corrupt
}
