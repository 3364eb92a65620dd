//! One request, from its socket to its log line.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

use super::content::{Content, Unsendable};
use super::packet::{self, Code, Request, Said};
use super::transfer::{Plan, Step, Transfer};

/// How long a transfer may take, for one that goes on block by block at a crawl: far more than the largest image over a bad
/// line, so that places come back.
const LONGEST_TRANSFER: Duration = Duration::from_hours(1);

/// How many packets of strangers a transfer answers: one that is lost asks once or twice, the rest is noise.
const STRANGERS: u32 = 8;

/// The most bytes of a packet from a client that are read: acknowledgements have four, errors some words.
const PACKET_BYTES: usize = 600;

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// What HTTP would have answered; 200 when everything arrived.
    pub(super) status: u16,
    /// Why, in one word.
    pub(super) reason: &'static str,
    /// What the client said, or the system.
    pub(super) detail: Option<String>,
    /// The bytes that surely arrived.
    pub(super) bytes: u64,
}

impl End {
    pub(super) fn refused(unsendable: Unsendable) -> Self {
        Self {
            status: unsendable.status,
            reason: unsendable.reason,
            detail: None,
            bytes: 0,
        }
    }

    fn of(status: u16, reason: &'static str, detail: Option<String>, bytes: u64) -> Self {
        Self {
            status,
            reason,
            detail,
            bytes,
        }
    }
}

/// Tells the client why there is nothing; once, since an error that is lost is asked for again.
pub(super) async fn refuse(socket: &UdpSocket, peer: SocketAddr, code: Code, words: &str) {
    // Whoever cannot be reached need not know.
    let _ = socket.send_to(&packet::error(code, words), peer).await;
}

/// Sends the content until the client has it, gives up, or is silent for good.
pub(super) async fn send(
    socket: &UdpSocket,
    peer: SocketAddr,
    request: &Request,
    mut content: Content,
) -> End {
    let plan = Plan::agree(&request.options, content.bytes());
    let mut transfer = Transfer::new(plan);
    let mut step = transfer.start();
    let until = Instant::now() + LONGEST_TRANSFER;
    let mut strangers = STRANGERS;
    loop {
        match carry_out(socket, peer, &transfer, &mut content, &step).await {
            Ok(()) => {}
            Err(Trouble::Content(error)) => {
                refuse(
                    socket,
                    peer,
                    Code::Other,
                    "the file cannot be read any more",
                )
                .await;
                return End::of(
                    500,
                    "unreadable",
                    Some(error.to_string()),
                    transfer.arrived(),
                );
            }
            Err(Trouble::Network(error)) => {
                return End::of(
                    500,
                    "unreachable",
                    Some(error.to_string()),
                    transfer.arrived(),
                );
            }
        }
        match step {
            Step::Done => return End::of(200, "ok", None, transfer.arrived()),
            Step::GiveUp => return End::of(408, "timeout", None, transfer.arrived()),
            Step::Wait | Step::Oack | Step::Blocks(_) => {}
        }
        let deadline = Instant::now() + transfer.patience();
        step = match news(socket, peer, &mut transfer, deadline, &mut strangers).await {
            News::Step(step) => step,
            News::Error(code, words) => {
                let words = format!("error {code}: {words}");
                return End::of(499, "client_error", Some(words), transfer.arrived());
            }
        };
        if Instant::now() >= until && step != Step::Done {
            refuse(socket, peer, Code::Other, "the transfer takes too long").await;
            return End::of(408, "too_slow", None, transfer.arrived());
        }
    }
}

enum Trouble {
    Content(io::Error),
    Network(io::Error),
}

enum News {
    Step(Step),
    Error(u16, String),
}

async fn carry_out(
    socket: &UdpSocket,
    peer: SocketAddr,
    transfer: &Transfer,
    content: &mut Content,
    step: &Step,
) -> Result<(), Trouble> {
    let plan = transfer.plan();
    match step {
        Step::Oack => {
            let oack = plan.oack().unwrap_or_default();
            socket.send_to(oack, peer).await.map_err(Trouble::Network)?;
        }
        Step::Blocks(blocks) => {
            for block in blocks.clone() {
                let (start, length) = plan.place(block);
                let bytes = content
                    .read(start, length)
                    .await
                    .map_err(Trouble::Content)?;
                // The count on the wire begins again after 65,535.
                let number = u16::try_from(block & 0xffff).unwrap_or_default();
                let packet = packet::data(number, &bytes);
                socket
                    .send_to(&packet, peer)
                    .await
                    .map_err(Trouble::Network)?;
            }
        }
        Step::Wait | Step::Done | Step::GiveUp => {}
    }
    Ok(())
}

/// Waits for something that changes what is to be done, until the deadline.
async fn news(
    socket: &UdpSocket,
    peer: SocketAddr,
    transfer: &mut Transfer,
    deadline: Instant,
    strangers: &mut u32,
) -> News {
    let mut buffer = [0; PACKET_BYTES];
    loop {
        let received =
            tokio::time::timeout_at(deadline.into(), socket.recv_from(&mut buffer)).await;
        let (length, from) = match received {
            Err(_) => return News::Step(transfer.silence()),
            Ok(Ok(received)) => received,
            // What the network says about one packet; the next one may come through.
            Ok(Err(_)) => continue,
        };
        let said = packet::said(buffer.get(..length).unwrap_or_default());
        if from != peer {
            // Its own transfer goes on undisturbed. An error is never answered, so that no two servers quarrel for ever.
            if *strangers > 0 && !matches!(said, Said::Error(..)) {
                *strangers -= 1;
                refuse(socket, from, Code::UnknownTransfer, "unknown transfer").await;
            }
            continue;
        }
        match said {
            Said::Ack(number) => match transfer.ack(number) {
                Step::Wait => {}
                step => return News::Step(step),
            },
            Said::Error(code, words) => return News::Error(code, words),
            Said::Noise => {}
        }
    }
}
