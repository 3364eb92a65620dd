//! Files that git left behind instead of what should be in them: seen before anybody else reads them, whose complaint
//! would lead nowhere.

/// What the first line of a pointer starts with (git-lfs, docs/spec.md).
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";
/// What editors of Windows write first; it means nothing.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// How git starts, divides and ends a conflict: seven characters each.
const OURS: &[u8] = b"<<<<<<< ";
const DIVIDER: &[u8] = b"=======";
const THEIRS: &[u8] = b">>>>>>> ";

/// What a file holds instead of what should be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoiled {
    /// A pointer to a file that Git LFS keeps elsewhere.
    LfsPointer,
    /// Both sides of a merge, from this line on (the first is 1).
    Conflict(usize),
}

/// Looks for a pointer, or for a whole conflict at the start of lines.
#[must_use]
pub fn spoiled(bytes: &[u8]) -> Option<Spoiled> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.starts_with(LFS_POINTER) {
        return Some(Spoiled::LfsPointer);
    }
    let lines = bytes.split(|byte| *byte == b'\n');
    let mut lines = lines
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .enumerate();
    let (start, _) = lines.find(|(_, line)| line.starts_with(OURS))?;
    lines.find(|(_, line)| *line == DIVIDER)?;
    lines.find(|(_, line)| line.starts_with(THEIRS))?;
    Some(Spoiled::Conflict(start + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_conflicts_at_the_start_of_lines_count() {
        let conflict = "a: 1\r\n<<<<<<< HEAD\r\nb: 1\r\n=======\r\nb: 2\r\n>>>>>>> other\r\n";
        assert_eq!(spoiled(conflict.as_bytes()), Some(Spoiled::Conflict(2)));
        for text in [
            "",
            "<<<<<<< HEAD\n=======\n",
            "a: |\n  <<<<<<< HEAD\n  =======\n  >>>>>>> other\n",
            ">>>>>>> other\n=======\n<<<<<<< HEAD\n",
        ] {
            assert_eq!(spoiled(text.as_bytes()), None, "{text:?}");
        }
    }
}
