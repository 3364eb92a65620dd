//! OpenSSH's pattern lists: `*` and `?`, commas between patterns, `!` before one that must not match.

/// Whether `text` is in a list: some pattern matches, and none that starts with `!` does.
pub(super) fn matches_list(text: &str, list: &str) -> bool {
    let mut is_in = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(text.as_bytes(), pattern.as_bytes()) => return false,
            Some(_) => {}
            None => is_in = is_in || matches(text.as_bytes(), pattern.as_bytes()),
        }
    }
    is_in
}

/// Whether one pattern matches the whole text. Going back to the last `*` alone is enough, so that the time is at most
/// the product of both lengths.
fn matches(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut in_pattern) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(at) {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((in_pattern, at));
                in_pattern += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                at += 1;
                in_pattern += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else {
                    return false;
                };
                star = Some((star_at, taken + 1));
                at = taken + 1;
                in_pattern = star_at + 1;
            }
        }
    }
    pattern
        .get(in_pattern..)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_match_as_in_openssh() {
        let cases = [
            ("git", "git", true),
            ("git", "file,git", true),
            ("git", "file", false),
            ("git", "*", true),
            ("git", "g?t", true),
            ("git", "g??t", false),
            ("git", "*t", true),
            ("git", "g*g*t", false),
            ("git", "!git,*", false),
            ("git", "*,!git", false),
            ("git", "!file,*", true),
            ("git", "!file", false),
            ("git", "", false),
            ("git", "GIT", false),
            ("git", "git*", true),
            ("gitgit", "*git", true),
        ];
        for (text, list, expected) in cases {
            assert_eq!(matches_list(text, list), expected, "{text} in {list}");
        }
    }

    /// The definition, slow and obvious.
    fn slow(text: &[u8], pattern: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|from| slow(&text[from..], rest)),
            Some((wanted, rest)) => text.split_first().is_some_and(|(byte, text)| {
                (*wanted == b'?' || wanted == byte) && slow(text, rest)
            }),
        }
    }

    proptest! {
        #[test]
        fn one_pattern_matches_as_defined(text in "[ab]{0,8}", pattern in "[ab?*]{0,8}") {
            let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
            prop_assert_eq!(matches(text, pattern), slow(text, pattern));
        }
    }
}
