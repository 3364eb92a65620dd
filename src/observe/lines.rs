//! Log lines on their way to stderr: handed to a thread of their own, so that a full pipe holds up no answer.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SendError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many bytes of lines may wait: seconds of a boot storm, as a reader that is alive needs them. More are lost, and counted.
const MAX_WAITING: usize = 16 << 20;

/// The most bytes that are written at once: what a pipe holds.
const MAX_BATCH: usize = 64 << 10;

/// How long the thread rests when it has written what waited, so that in a storm lines are written many at a time and nobody
/// has to wake it for each. A single line is written at once, and nobody reads faster than this.
const REST: Duration = Duration::from_millis(5);

/// How long the end of the process waits for the last lines: longer than any reader that is alive takes.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// What a message takes beside its lines, in bytes, so that many short ones are bounded, too.
const MESSAGE_BYTES: usize = 64;

enum Message {
    Lines(Vec<u8>),
    /// Everything before this has been written.
    Mark(SyncSender<()>),
}

/// Where events write their lines.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    sender: Sender<Message>,
    count: Arc<Count>,
}

#[derive(Debug, Default)]
struct Count {
    /// Of all lines that wait, in bytes.
    waiting: AtomicUsize,
    lost: AtomicU64,
}

impl Lines {
    /// Starts the thread that writes to `out`. Where lines are lost, `notice` makes the one that tells how many.
    pub(super) fn to(
        out: impl Write + Send + 'static,
        notice: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let count = Arc::<Count>::default();
        let counter = Arc::clone(&count);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&receiver, out, &counter, notice))?;
        Ok(Self { sender, count })
    }

    /// Hands over lines, or counts them as lost.
    pub(super) fn send(&self, lines: Vec<u8>) {
        let weight = weight(&lines);
        let waiting = self.count.waiting.fetch_add(weight, Ordering::Relaxed);
        let lost = if waiting + weight > MAX_WAITING {
            Some(ends(&lines))
        } else {
            let message = Message::Lines(lines);
            self.sender.send(message).err().map(|SendError(message)| {
                let Message::Lines(lines) = message else {
                    return 0;
                };
                ends(&lines)
            })
        };
        if let Some(lost) = lost {
            self.count.waiting.fetch_sub(weight, Ordering::Relaxed);
            self.count.lost.fetch_add(lost, Ordering::Relaxed);
            super::metrics().lost_lines(lost);
        }
    }

    /// Waits until the lines so far are written, for a second at most.
    pub(super) fn flush(&self) {
        let (sender, written) = sync_channel(1);
        // Nothing can be said about lines that cannot be written.
        if self.sender.send(Message::Mark(sender)).is_ok() {
            let _ = written.recv_timeout(FLUSH_TIME);
        }
    }
}

/// What lines take of the room that there is: their bytes, and those of the message.
fn weight(lines: &[u8]) -> usize {
    lines.len() + MESSAGE_BYTES
}

/// How many lines these are.
fn ends(lines: &[u8]) -> u64 {
    let ends = lines.iter().filter(|byte| **byte == b'\n');
    ends.map(|_| 1).sum()
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line {
            lines: self,
            bytes: Vec::new(),
        }
    }
}

/// One event's line while it is put together.
#[derive(Debug)]
pub(super) struct Line<'a> {
    lines: &'a Lines,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        // What this thread said before comes before it.
        super::direct::flush();
        self.lines.send(std::mem::take(&mut self.bytes));
    }
}

/// Writes until all senders are gone. A writer that fails loses its lines; how many is told once it works again.
fn write_all(
    receiver: &Receiver<Message>,
    out: impl Write,
    count: &Count,
    notice: impl Fn(u64) -> String,
) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    let mut sink = Sink {
        out,
        is_torn: false,
    };
    while let Ok(first) = receiver.recv() {
        let mut mark = None;
        let mut is_empty = false;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Lines(lines) => {
                    count.waiting.fetch_sub(weight(&lines), Ordering::Relaxed);
                    batch.extend_from_slice(&lines);
                }
                Message::Mark(done) => {
                    mark = Some(done);
                    break;
                }
            }
            if batch.len() >= MAX_BATCH {
                break;
            }
            next = receiver.try_recv().ok();
            is_empty = next.is_none();
        }
        let failed = sink.write(&batch);
        batch.clear();
        let lost = count.lost.swap(0, Ordering::Relaxed) + failed;
        if lost > 0 && sink.write(notice(lost).as_bytes()) > 0 {
            count.lost.fetch_add(lost, Ordering::Relaxed);
        }
        if let Some(done) = mark {
            let _ = done.try_send(());
        } else if is_empty {
            std::thread::sleep(REST);
        }
    }
}

/// Where lines end up.
struct Sink<W> {
    out: W,
    /// Whether the last thing that was written is a part of a line.
    is_torn: bool,
}

impl<W: Write> Sink<W> {
    /// Writes lines and returns how many did not get out whole.
    fn write(&mut self, lines: &[u8]) -> u64 {
        let is_stuck = self.is_torn && !self.push(b"\n").is_empty();
        ends(if is_stuck { lines } else { self.push(lines) })
    }

    /// Writes as far as that works, and returns what is left.
    fn push<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(written @ 1..) => {
                    let (done, rest) = bytes.split_at(written.min(bytes.len()));
                    self.is_torn = done.last() != Some(&b'\n');
                    bytes = rest;
                }
                // Somebody who has the same pipe made it so that a full one is no wait; this thread has time.
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(REST),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Holds what is written, each time after it got leave.
    struct Slow(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Leave for ever once the other end is gone.
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Lines, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (leave, receiver) = channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let out = Slow(receiver, Arc::clone(&written));
        let lines = Lines::to(out, |count| format!("{count} lost\n")).unwrap();
        (lines, leave, written)
    }

    fn log(lines: &Lines, text: &str) {
        lines.make_writer().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn lines_come_out_in_order_before_a_flush_ends() {
        let (lines, leave, written) = slow();
        drop(leave);
        let expected = ["one\n", "two\n", "three\n"].repeat(50);
        for line in &expected {
            log(&lines, line);
        }
        lines.flush();
        assert_eq!(
            String::from_utf8(written.lock().unwrap().clone()).unwrap(),
            expected.concat()
        );
    }

    #[test]
    fn a_writer_that_hangs_holds_up_nobody_and_the_lost_lines_are_counted() {
        let (lines, leave, written) = slow();
        // As much as is written at once may be in the writer's hands; the others wait.
        let in_hand = MAX_BATCH / "x\n".len();
        let all = MAX_WAITING / weight(b"x\n") + in_hand + 100;
        for _ in 0..all {
            log(&lines, "x\n");
        }
        drop(leave);
        lines.flush();
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let kept = written.matches("x\n").count();
        let lost = all - kept;
        assert!((100..=100 + in_hand).contains(&lost), "{lost}");
        assert!(written.contains(&format!("{lost} lost\n")), "{lost}");
    }

    /// Does one after the other, and then takes everything.
    struct Odd(std::vec::IntoIter<io::Result<usize>>, Arc<Mutex<Vec<u8>>>);

    impl Write for Odd {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = self.0.next().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            self.1.lock().unwrap().extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What comes out of these lines, each flushed.
    fn written(steps: Vec<io::Result<usize>>, texts: &[&str]) -> String {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let out = Odd(steps.into_iter(), Arc::clone(&written));
        let lines = Lines::to(out, |count| format!("{count} lost\n")).unwrap();
        for text in texts {
            log(&lines, text);
            lines.flush();
        }
        String::from_utf8(written.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_full_pipe_that_does_not_block_is_waited_for() {
        let full = || Err(ErrorKind::WouldBlock.into());
        let steps = vec![full(), Ok(2), full(), full(), Ok(1), full()];
        assert_eq!(written(steps, &["one\n", "two\n"]), "one\ntwo\n");
    }

    #[test]
    fn lines_that_fail_are_counted_and_told_once_that_works() {
        let fails = || Err(ErrorKind::StorageFull.into());
        // The line, the notice of it, and the second line.
        let steps = vec![fails(), fails(), fails()];
        let texts = ["one\n", "two\n", "three\n"];
        assert_eq!(written(steps, &texts), "2 lost\nthree\n");
        // A part of a line is ended before anything else is said.
        let steps = vec![Ok(2), fails(), fails()];
        assert_eq!(written(steps, &texts), "on\ntwo\n1 lost\nthree\n");
    }
}
