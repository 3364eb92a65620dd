//! One transfer as a state machine: acknowledgements and silence in, what to send out. It knows neither sockets nor clocks nor
//! files, so that every order of events can be tried.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::packet::{self, Options};

/// The bytes of a block unless the client asks for another number (RFC 1350).
const DEFAULT_BLOCK_BYTES: u64 = 512;

/// The fewest and the most bytes of a block (RFC 2348): the most fit into one datagram.
const BLOCK_BYTES: RangeInclusive<u64> = 8..=65_464;

/// The most blocks on their way at once. Firmware asks for 4 to 16; more fills the buffers of switches, not the wire.
const MAX_WINDOW: u64 = 64;

/// The seconds that a client may choose as the time after which a packet counts as lost (RFC 2349). The RFC allows up to 255,
/// for which a client that is gone would hold its place for half an hour.
const TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=30;

/// How long the first silence is waited out: more than any local network takes, and less than the four seconds after
/// which firmware asks again.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);

/// The longest silence before a packet is sent again.
const LONGEST_PATIENCE: Duration = Duration::from_secs(8);

/// How often something is sent again to a client that has answered before: with growing pauses, 31 seconds of silence.
const RETRIES: u32 = 5;

/// How often the first packet is sent again. Nothing says yet that there is a client: anybody may write somebody else's
/// address on a request.
const FIRST_RETRIES: u32 = 3;

/// What was agreed upon before the first block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The bytes of the file.
    bytes: u64,
    /// The bytes of each block but the last.
    block: u64,
    window: u64,
    /// How long each silence lasts, where the client has chosen.
    patience: Option<Duration>,
    /// The packet that tells the client which of its options are taken, if any are.
    oack: Option<Vec<u8>>,
}

impl Plan {
    /// Takes of the options what is sound.
    pub(super) fn agree(options: &Options, bytes: u64) -> Self {
        let mut taken = Vec::new();
        let mut take = |name, value: Option<u64>| {
            taken.extend(value.map(|value| (name, value)));
            value
        };
        let block = options.blksize.filter(|bytes| bytes >= BLOCK_BYTES.start());
        let block = take("blksize", block.map(|bytes| bytes.min(*BLOCK_BYTES.end())));
        take("tsize", options.tsize.then_some(bytes));
        let seconds = options
            .timeout
            .filter(|seconds| TIMEOUT_SECONDS.contains(seconds));
        let seconds = take("timeout", seconds);
        let window = options.windowsize.filter(|blocks| *blocks > 0);
        let window = take("windowsize", window.map(|blocks| blocks.min(MAX_WINDOW)));
        Self {
            bytes,
            block: block.unwrap_or(DEFAULT_BLOCK_BYTES),
            window: window.unwrap_or(1),
            patience: seconds.map(Duration::from_secs),
            oack: (!taken.is_empty()).then(|| packet::oack(&taken)),
        }
    }

    /// The packet that tells which options are taken.
    pub(super) fn oack(&self) -> Option<&[u8]> {
        self.oack.as_deref()
    }

    /// Where a block begins in the file, and how many bytes it has.
    pub(super) fn place(&self, block: u64) -> (u64, usize) {
        let start = block.saturating_sub(1).saturating_mul(self.block);
        let length = self.bytes.saturating_sub(start).min(self.block);
        (start, usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// The number of blocks. The last one is shorter than the others, if need be empty: that is how clients know it.
    fn blocks(&self) -> u64 {
        self.bytes / self.block + 1
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait for what comes.
    Wait,
    /// Send the packet that tells which options are taken.
    Oack,
    /// Send these blocks, counted from 1 without end; on the wire the count begins again after 65,535 with 0.
    Blocks(RangeInclusive<u64>),
    /// The client has everything.
    Done,
    /// The client is silent for good.
    GiveUp,
}

/// One transfer.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    plan: Plan,
    /// The blocks that the client has.
    acked: u64,
    /// The last block that was sent.
    sent: u64,
    /// Whether the client has yet to answer the packet with the options.
    is_agreeing: bool,
    /// Whether the client has answered anything.
    is_confirmed: bool,
    /// The silences since it last did.
    silences: u32,
    /// Whether blocks were sent again, since the last that was news, because the client asked for them.
    has_repeated: bool,
}

impl Transfer {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            acked: 0,
            sent: 0,
            is_agreeing: plan.oack.is_some(),
            is_confirmed: false,
            silences: 0,
            has_repeated: false,
            plan,
        }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The bytes that the client has surely got.
    pub(super) fn arrived(&self) -> u64 {
        self.acked
            .saturating_mul(self.plan.block)
            .min(self.plan.bytes)
    }

    /// The first packet: at most one, and a small one, until the client has shown that it is there.
    pub(super) fn start(&mut self) -> Step {
        self.again()
    }

    /// The client has all blocks up to the one with this number on the wire.
    pub(super) fn ack(&mut self, number: u16) -> Step {
        if self.is_agreeing {
            if number != 0 {
                return Step::Wait;
            }
            self.is_agreeing = false;
            return self.go_on();
        }
        let known = u16::try_from(self.acked & 0xffff).unwrap_or_default();
        let news = u64::from(number.wrapping_sub(known));
        if news > self.sent - self.acked {
            return Step::Wait;
        }
        if news > 0 {
            self.acked += news;
            return self.go_on();
        }
        // Said twice. Where one block is sent at a time, to answer that would double every block from then on (RFC 1123,
        // section 4.2.3.1). In a window it means that its first block is missing, which is believed once.
        if self.plan.window == 1 || self.has_repeated {
            return Step::Wait;
        }
        self.has_repeated = true;
        self.again()
    }

    /// Nothing has come for as long as [`Self::patience`].
    pub(super) fn silence(&mut self) -> Step {
        self.silences += 1;
        let most = if self.is_confirmed {
            RETRIES
        } else {
            FIRST_RETRIES
        };
        if self.silences > most {
            return Step::GiveUp;
        }
        self.again()
    }

    /// How long to wait for news after what was sent last.
    pub(super) fn patience(&self) -> Duration {
        let growing = FIRST_PATIENCE.saturating_mul(1 << self.silences.min(RETRIES));
        let growing = growing.min(LONGEST_PATIENCE);
        match self.plan.patience {
            // Whoever writes somebody else's address on a request does not choose for how long it takes a place.
            Some(chosen) if !self.is_confirmed => chosen.min(growing),
            Some(chosen) => chosen,
            None => growing,
        }
    }

    /// After news: the next blocks, or the end.
    fn go_on(&mut self) -> Step {
        self.is_confirmed = true;
        self.silences = 0;
        self.has_repeated = false;
        if self.acked == self.plan.blocks() {
            return Step::Done;
        }
        self.again()
    }

    /// Whatever the client has yet to answer.
    fn again(&mut self) -> Step {
        if self.is_agreeing {
            return Step::Oack;
        }
        let last = (self.acked + self.plan.window).min(self.plan.blocks());
        self.sent = self.sent.max(last);
        Step::Blocks(self.acked + 1..=last)
    }
}

#[cfg(test)]
mod tests;
