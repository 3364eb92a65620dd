//! What differences have in common.

use std::hash::{DefaultHasher, Hash as _};

/// Hashes in what two texts differ, but not what stands around it: of a change in a Profile the same for every machine,
/// whatever address stands on the same line.
pub(super) fn difference(before: &[u8], after: &[u8], hasher: &mut DefaultHasher) {
    let by_line = |text| split(text, |byte| byte == b'\n');
    let by_word = |text| split(text, |byte| byte.is_ascii_whitespace());
    let Some(lines) = pairs(by_line(before), by_line(after)) else {
        middle(before, after).hash(hasher);
        return;
    };
    for (before, after) in lines {
        match pairs(by_word(before), by_word(after)) {
            Some(words) => words.hash(hasher),
            None => middle(before, after).hash(hasher),
        }
    }
}

fn split(text: &[u8], is_end: impl Fn(u8) -> bool) -> Vec<&[u8]> {
    text.split(|byte| is_end(*byte)).collect()
}

/// The pieces that differ; `None` when there are more of one than of the other.
fn pairs<'a>(before: Vec<&'a [u8]>, after: Vec<&'a [u8]>) -> Option<Vec<(&'a [u8], &'a [u8])>> {
    if before.len() != after.len() {
        return None;
    }
    let all = before.into_iter().zip(after);
    Some(all.filter(|(one, other)| one != other).collect())
}

/// What is left of two texts when the words are taken off that they start with and end in alike.
fn middle<'a>(before: &'a [u8], after: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let is_end = |byte: &u8| byte.is_ascii_whitespace();
    let same = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let start = before
        .get(..same)
        .and_then(|head| head.iter().rposition(is_end))
        .map_or(0, |at| at + 1);
    let before = before.get(start..).unwrap_or_default();
    let after = after.get(start..).unwrap_or_default();
    let pairs = before.iter().rev().zip(after.iter().rev());
    let same = pairs.take_while(|(a, b)| a == b).count();
    let starts_word = |text: &[u8]| {
        let (head, _) = text.split_at(text.len() - same);
        head.last().is_none_or(is_end)
    };
    let tail = before.get(before.len() - same..).unwrap_or_default();
    let kept = if starts_word(before) && starts_word(after) {
        0
    } else {
        tail.iter().position(is_end).unwrap_or(same)
    };
    let end = same - kept;
    (
        before.get(..before.len() - end).unwrap_or_default(),
        after.get(..after.len() - end).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher as _;

    use super::*;

    fn signature(before: &str, after: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        difference(before.as_bytes(), after.as_bytes(), &mut hasher);
        hasher.finish()
    }

    #[test]
    fn one_change_is_the_same_beside_different_addresses() {
        let one = signature("a 1.2 ip=1 x\nb 1.2 ip=1\n", "a 1.3 ip=1 y\nb 1.3 ip=1\n");
        let other = signature("a 1.2 ip=2 x\nb 1.2 ip=2\n", "a 1.3 ip=2 y\nb 1.3 ip=2\n");
        assert_eq!(one, other);
        assert_ne!(
            one,
            signature("a 1.2 ip=1 x\nb 1.2 ip=1\n", "a 1.3 ip=9 y\nb 1.3 ip=1\n")
        );
        // A word more, and a line more.
        assert_eq!(
            signature("a ip=1 b\n", "a ip=1 c b\n"),
            signature("a ip=2 b\n", "a ip=2 c b\n")
        );
        assert_eq!(
            signature("ip=1\nb\n", "ip=1\nc\nb\n"),
            signature("ip=2\nb\n", "ip=2\nc\nb\n")
        );
    }

    #[test]
    fn what_is_left_in_the_middle_are_whole_words() {
        let left = |before: &'static str, after: &'static str| {
            let (before, after) = middle(before.as_bytes(), after.as_bytes());
            [before, after].map(|one| std::str::from_utf8(one).unwrap().to_owned())
        };
        assert_eq!(left("a b1 c", "a b2 c"), ["b1", "b2"]);
        assert_eq!(left("a c", "a b c"), ["", "b "]);
        assert_eq!(left("", "a"), ["", "a"]);
        assert_eq!(left("aa", "aaa"), ["aa", "aaa"]);
        assert_eq!(left("a a", "a a a"), ["", "a "].map(str::to_owned));
    }
}
