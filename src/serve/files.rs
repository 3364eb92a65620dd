//! Open files: every connection is one, and systems begin with few.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The open files that are no connections: listeners, the log, the runtime's own, and those of a fetch.
const OTHERS: u64 = 512;

/// Raises the process's soft limit of open files to what this many connections need, as far as the system lets it, and
/// says so when that is not far enough.
pub(super) fn allow(connections: usize) {
    let wanted = OTHERS.saturating_add(u64::try_from(connections).unwrap_or(u64::MAX));
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let reachable = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = Rlimit {
        current: Some(reachable),
        maximum,
    };
    if setrlimit(Resource::Nofile, raised).is_err() || reachable < wanted {
        tracing::warn!(
            "this process may open {} files, {wanted} are needed for `--max-connections {connections}`; raise its limit \
             (`LimitNOFILE=`) or lower the flag",
            getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
        );
    }
}
