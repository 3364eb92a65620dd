//! Which trace a piece of work belongs to: W3C's `traceparent`, and the choice of what is traced.

/// The trace and the span that a piece of work is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) trace: u128,
    pub(super) span: u64,
}

/// What a client said of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) context: Context,
    /// Whether the client's own part is traced.
    pub(super) is_sampled: bool,
}

impl Context {
    /// A span of its own, in the trace of the parent or in a new one.
    pub(super) fn below(parent: Option<Self>) -> Self {
        Self {
            trace: parent.map_or_else(|| random_unless_zero(rand::random), |parent| parent.trace),
            span: random_unless_zero(rand::random),
        }
    }
}

/// Zero is no id.
fn random_unless_zero<T: PartialEq + Default>(random: impl Fn() -> T) -> T {
    loop {
        let id = random();
        if id != T::default() {
            return id;
        }
    }
}

impl Parent {
    /// Reads `traceparent` (W3C Trace Context, section 3.2): `00-<trace>-<span>-<flags>`. Later versions may be longer. What
    /// is malformed counts as not sent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim_matches([' ', '\t']).split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32)?;
        let span = hex(parts.next()?, 16)?;
        let flags = hex(parts.next()?, 2)?;
        let is_longer = parts.next().is_some();
        if version == 0xff || (version == 0 && is_longer) || trace == 0 || span == 0 {
            return None;
        }
        Some(Self {
            context: Context {
                trace,
                span: u64::try_from(span).ok()?,
            },
            is_sampled: flags & 1 == 1,
        })
    }
}

/// So many lower-case hex digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == digits && text.bytes().all(is_hex))
        .then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_parent_is_read_as_w3c_writes_it() {
        let parent = Parent::parse(GOOD).unwrap();
        assert_eq!(
            parent.context.trace,
            0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c
        );
        assert_eq!(parent.context.span, 0xb7ad_6b71_6920_3331);
        assert!(parent.is_sampled);
        assert!(
            !Parent::parse(&GOOD.replace("-01", "-00"))
                .unwrap()
                .is_sampled
        );
        assert!(Parent::parse(&format!("cc{}-more", &GOOD[2..])).is_some());
        for bad in [
            "",
            &format!("{GOOD}-more"),
            &format!("ff{}", &GOOD[2..]),
            &GOOD.to_uppercase(),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            &GOOD[..54],
            &GOOD.replace('-', "_"),
        ] {
            assert_eq!(Parent::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*|[0-9a-f-]{0,70}") {
            Parent::parse(&text);
        }
    }
}
