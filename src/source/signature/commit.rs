//! A commit object taken apart as git does it: what was signed, and the signature.

/// The header that holds the signature of a commit whose id is a SHA-1.
const SIGNATURE_HEADER: &[u8] = b"gpgsig ";
/// What the names of all headers with signatures start with; none of them is signed.
const SIGNATURE_HEADERS: &[u8] = b"gpgsig";

/// The two parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// What the signature is over: the commit object without the headers that hold signatures.
    pub(super) payload: Vec<u8>,
    /// The texts of all `gpgsig` headers, in order. git writes one at most.
    pub(super) signatures: Vec<Vec<u8>>,
}

/// Takes a commit object apart.
pub(super) fn take_apart(raw: &[u8]) -> Parts {
    let mut parts = Parts {
        payload: Vec::with_capacity(raw.len()),
        signatures: Vec::new(),
    };
    let mut header = Header::Other;
    let mut rest = raw;
    while !rest.is_empty() {
        if rest.starts_with(b"\n") {
            // Headers end at the first empty line; the message follows.
            parts.payload.extend_from_slice(rest);
            break;
        }
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
        rest = after;
        let continued = line.strip_prefix(b" ");
        if continued.is_none() {
            header = Header::of(line);
        }
        match (header, continued) {
            (Header::Other, _) => parts.payload.extend_from_slice(line),
            (Header::OtherSignature, _) => {}
            (Header::Signature, Some(text)) => {
                if let Some(signature) = parts.signatures.last_mut() {
                    signature.extend_from_slice(text);
                }
            }
            (Header::Signature, None) => {
                let text = line.strip_prefix(SIGNATURE_HEADER).unwrap_or_default();
                parts.signatures.push(text.to_vec());
            }
        }
    }
    parts
}

/// What the header that a line belongs to is for.
#[derive(Clone, Copy)]
enum Header {
    /// It is signed.
    Other,
    /// It holds the signature.
    Signature,
    /// It holds a signature over something else, such as the same commit with other ids.
    OtherSignature,
}

impl Header {
    fn of(line: &[u8]) -> Self {
        if line.starts_with(SIGNATURE_HEADER) {
            Self::Signature
        } else if line.starts_with(SIGNATURE_HEADERS) {
            Self::OtherSignature
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(raw: &str) -> (String, Vec<String>) {
        let Parts {
            payload,
            signatures,
        } = take_apart(raw.as_bytes());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(payload), signatures.into_iter().map(text).collect())
    }

    #[test]
    fn the_signature_comes_out_wherever_it_stands() {
        let (payload, signatures) =
            parts("tree 1\ngpgsig A\n B\n \n C\nencoding x\n\ngpgsig no\n D\n");
        assert_eq!(payload, "tree 1\nencoding x\n\ngpgsig no\n D\n");
        assert_eq!(signatures, ["A\nB\n\nC\n"]);
    }

    #[test]
    fn signatures_inside_other_headers_stay() {
        let raw = "tree 1\nmergetag object 2\n tag v1\n gpgsig A\n \n B\n\nmerge\n";
        assert_eq!(parts(raw), (raw.to_owned(), vec![]));
    }

    #[test]
    fn a_signature_over_other_ids_is_not_signed() {
        let (payload, signatures) = parts("tree 1\ngpgsig-sha256 X\n Y\ngpgsig A\n B\n\nm");
        assert_eq!(
            (payload.as_str(), signatures),
            ("tree 1\n\nm", vec!["A\nB\n".to_owned()])
        );
    }

    #[test]
    fn two_signatures_are_both_seen() {
        assert_eq!(parts("gpgsig A\ngpgsig B\n\n").1, ["A\n", "B\n"]);
    }

    proptest! {
        #[test]
        fn without_a_signature_nothing_is_taken(raw in "([a-f ]{0,6}\n){0,6}") {
            prop_assert_eq!(parts(&raw), (raw.clone(), vec![]));
        }
    }
}
