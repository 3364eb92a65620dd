//! Lines of scripts that are longer than iPXE or a kernel takes.

use crate::template::{EXPRESSION, Place, STATEMENT, Template, skeleton};

use super::ipxe::{self, Line, Word};

/// The most words on a line: iPXE's `MAX_ARGUMENTS` is 0xff (`src/include/ipxe/parseopt.h`), and its version of 2019 on BIOS, with
/// a stack of 4 KiB for a list of all words, hangs at 300.
pub(in crate::compile) const MAX_WORDS: usize = 255;

/// The most bytes of a kernel command line with its closing NUL: Linux's `COMMAND_LINE_SIZE` on x86 and arm64.
pub(in crate::compile) const MAX_COMMAND_LINE_BYTES: usize = 2048;

/// The commands whose arguments become a kernel's command line.
const WITH_ARGUMENTS: [&str; 7] = [
    "kernel",
    "imgselect",
    "imgload",
    "imgargs",
    "chain",
    "imgexec",
    "boot",
];

/// A line that is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::compile) enum Excess {
    /// It has this many words.
    Words { line: Line, words: usize },
    /// It has a kernel command line of this many bytes, or of more where iPXE puts in something.
    CommandLine {
        line: Line,
        bytes: usize,
        is_least: bool,
    },
}

impl Excess {
    pub(in crate::compile) fn line(&self) -> &Line {
        match self {
            Self::Words { line, .. } | Self::CommandLine { line, .. } => line,
        }
    }
}

/// The lines of a rendered script that are too long. A million scripts are looked at, nearly all of which have no line that
/// could be.
pub(in crate::compile) fn excesses(script: &str) -> Vec<Excess> {
    // So many words take a byte each, and a blank between two.
    const SHORTEST: usize = 2 * MAX_WORDS + 1;
    if script.len() < SHORTEST {
        return Vec::new();
    }
    let is_long = |line: &str| {
        let blanks = || line.bytes().filter(|byte| *byte <= b' ').count();
        line.len() >= MAX_COMMAND_LINE_BYTES
            || line.len() >= SHORTEST && blanks() >= MAX_WORDS
            || line.trim_end().ends_with('\\')
    };
    if !script.split('\n').any(is_long) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for line in ipxe::lines(script).filter(|line| line.text.len() >= SHORTEST) {
        let words = line.words().len();
        if words > MAX_WORDS {
            let line = line.clone();
            found.push(Excess::Words { line, words });
        }
        let lengths = line
            .commands()
            .into_iter()
            .filter_map(|command| command_line(&command));
        if let Some((bytes, is_least)) = lengths
            .max()
            .filter(|_| line.text.len() >= MAX_COMMAND_LINE_BYTES)
            && bytes > MAX_COMMAND_LINE_BYTES
        {
            found.push(Excess::CommandLine {
                line,
                bytes,
                is_least,
            });
        }
    }
    found
}

/// How long a kernel's command line gets with its NUL, and whether iPXE puts something into it.
fn command_line(command: &[Word]) -> Option<(usize, bool)> {
    let (_, arguments) = arguments(command)?;
    let lengths = arguments.iter().map(|word| length(&word.text));
    let bytes: usize = lengths.map(|(bytes, _)| bytes + 1).sum();
    let is_least = arguments.iter().any(|word| length(&word.text).1);
    Some((bytes, is_least))
}

/// The image that a command starts, and the words that it gets.
pub(super) fn arguments(command: &[Word]) -> Option<(&Word, &[Word])> {
    let (name, rest) = command.split_first()?;
    if !WITH_ARGUMENTS.contains(&name.text.as_str()) {
        return None;
    }
    let (image, arguments) = positional(rest)?;
    Some((image, arguments))
}

/// The first word that is no option, and those behind it. Options with a value are written `--name x`, `-n x` or `--name=x`.
pub(super) fn positional(words: &[Word]) -> Option<(&Word, &[Word])> {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        match word.text.as_str() {
            "--name" | "-n" | "--timeout" | "-t" | "--signer" => at += 1,
            option if option.starts_with('-') && option.len() > 1 => {}
            _ => return Some((word, words.get(at..).unwrap_or_default())),
        }
    }
    None
}

/// The bytes of a word without what iPXE puts in, and whether there is such.
fn length(word: &str) -> (usize, bool) {
    let mut bytes = 0;
    let mut rest = word;
    let mut expands = false;
    while let Some((before, setting)) = rest.split_once("${") {
        bytes += before.len();
        match setting.split_once('}') {
            Some((_, after)) => {
                expands = true;
                rest = after;
            }
            None => return (bytes + setting.len() + 2, expands),
        }
    }
    (bytes + rest.len(), expands)
}

/// Where the line of a rendered script comes from, as far as can be told: the line of its template that shares most with it.
pub(in crate::compile) fn place(template: &Template, line: &Line) -> Option<Place> {
    let marks = [EXPRESSION, STATEMENT];
    let rendered = line.text.trim_start();
    let mut best: Option<(usize, Place)> = None;
    for source in template.sources() {
        for one in ipxe::lines(&skeleton(&source.text).text) {
            let text = one
                .text
                .trim_start_matches(|c: char| marks.contains(&c) || c.is_whitespace());
            let (head, tail) = match text.split_once(marks) {
                Some((head, _)) => (head, text.rsplit(marks).next().unwrap_or_default()),
                None => (text, ""),
            };
            if head.is_empty() || !rendered.starts_with(head) {
                continue;
            }
            let shared = head.len()
                + if rendered.ends_with(tail) {
                    tail.len()
                } else {
                    0
                };
            if best.as_ref().is_none_or(|(most, _)| *most < shared) {
                let start = one
                    .words()
                    .first()
                    .map_or(one.range.start, |word| word.range.start);
                let end = one
                    .words()
                    .first()
                    .map_or(one.range.end, |word| word.range.end);
                let path = source.path.clone();
                let range = start..end;
                best = Some((shared, Place { path, range }));
            }
        }
    }
    best.map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(script: &str) -> Vec<(usize, bool)> {
        let size = |one: Excess| match one {
            Excess::Words { words, .. } => (words, false),
            Excess::CommandLine {
                bytes, is_least, ..
            } => (bytes, is_least),
        };
        excesses(script).into_iter().map(size).collect()
    }

    #[test]
    fn words_are_counted_to_the_limit() {
        let line = |words: usize| format!("#!ipxe\necho{}\n", " x".repeat(words - 1));
        assert_eq!(sizes(&line(255)), []);
        assert_eq!(sizes(&line(256)), [(256, false)]);
        let continued = format!("#!ipxe\necho{}\n", " x \\\n".repeat(255));
        assert_eq!(sizes(&continued), [(256, false)]);
        let comment = format!("#!ipxe\necho # {}\n", " x".repeat(300));
        assert_eq!(sizes(&comment), []);
    }

    #[test]
    fn a_kernel_command_line_is_counted_with_its_nul() {
        let line = |bytes: usize| {
            format!(
                "#!ipxe\nkernel --name k http://x/{} {}",
                "u".repeat(3000),
                "a".repeat(bytes)
            )
        };
        assert_eq!(sizes(&line(2047)), []);
        assert_eq!(sizes(&line(2048)), [(2049, false)]);
        let settings = format!(
            "#!ipxe\nkernel x ${{{}}} {}\n",
            "y".repeat(3000),
            "a".repeat(2046)
        );
        assert_eq!(sizes(&settings), []);
        let settings = format!("#!ipxe\nimgargs x ${{y}} {}\n", "a".repeat(2047));
        assert_eq!(sizes(&settings), [(2049, true)]);
        let other = format!("#!ipxe\nset x {}\n", "a".repeat(4000));
        assert_eq!(sizes(&other), []);
        let two = format!("#!ipxe\nkernel x {0} || kernel y {0}\n", "a".repeat(1500));
        assert_eq!(sizes(&two), []);
    }
}
