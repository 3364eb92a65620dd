//! Standard output of commands that may have much to say.

use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write as _};

use anyhow::Context as _;

/// How much is collected before it is written: a line at a time would cost more than what is in it.
const BUFFER_BYTES: usize = 64 << 10;

/// Writes to standard output. Whoever closes it has read enough (`| head`): that is no failure.
pub(super) fn to_stdout(
    write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            // What is still in the buffer has no reader either.
            let _ = out.into_parts();
            Ok(())
        }
        other => other.context("cannot write to standard output"),
    }
}
