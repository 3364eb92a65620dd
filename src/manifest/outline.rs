//! What a look at the characters of a file tells before the YAML parser is let at it.
//!
//! The parser holds all events of a document at once, about a hundred bytes for each: two bytes of text (`a,`) may take a
//! hundred times as much memory. So no more of a file is handed over than can be held. How much that is, the characters
//! tell from above: each event has to begin with one of a few. They overstate it, since texts hold commas, too; so where
//! they promise too many, the parser reads a piece of the file and counts, and then a longer piece.

use std::ops::Range;

use super::yaml::{self, Budget, Fault};

/// How many brackets of one document may be open at once, wherever they stand, before it is not even parsed: the parser's
/// time grows with the square of them. Four times [`yaml::MAX_DEPTH`], since texts hold brackets that mean nothing.
const MAX_OPEN_BRACKETS: usize = 512;

/// How often the parser is asked whether so many open brackets are any in a text that holds them: a boot menu in colours has
/// one for each colour (`ESC[32m`), and a few thousand of these are more than a screen shows.
const MAX_LOOKS: usize = 16;

/// Which part of the nodes may be lists and maps in a file that uses up its budget: they have a start and an end. Five nodes to a
/// list or map is more than a machine with a name and an address has.
const LISTS_AND_MAPS: usize = 5;

/// The part of the budget by which a piece grows at the least, so that a file is read a few times and not a thousand.
const LEAST_GROWTH: usize = 8;

/// Where a document opens one bracket too many.
pub(super) fn too_many_brackets(text: &str, budget: Budget) -> Option<(usize, usize)> {
    let (mut open, mut looks) = (0_usize, 0);
    let (mut document, mut start) = (0, 0);
    let mut brackets = Brackets::default();
    for (number, line) in text.split('\n').enumerate() {
        if starts_document(line.as_bytes()) {
            open = 0;
            document = start;
            brackets = Brackets::default();
        }
        brackets.read(line);
        for (offset, opens) in brackets.of_line.iter().copied() {
            if !opens {
                open = open.saturating_sub(1);
                continue;
            }
            open += 1;
            if open > MAX_OPEN_BRACKETS {
                let so_far = text.get(document..start + offset).unwrap_or_default();
                looks += 1;
                if looks > MAX_LOOKS || !is_shallow(so_far, budget) {
                    let before = line.get(..offset).unwrap_or_default();
                    return Some((number + 1, before.chars().count() + 1));
                }
                // No more than these are open, whatever stands in texts, and this one.
                open = yaml::MAX_DEPTH + 1;
            }
        }
        start += line.len() + 1;
    }
    None
}

/// The brackets of a document, line by line. One that closes counts only where it is certain to be no part of a text or of a
/// comment: `[ #]` opens and closes nothing. What is doubtful leaves too many open, and then the parser is asked.
#[derive(Default)]
struct Brackets {
    /// Where brackets stand in the line that was read last, and whether each opens something.
    of_line: Vec<(usize, bool)>,
    /// A text in quotes goes on in the next line, or so it seems: from there on nothing is certain.
    lost: bool,
}

impl Brackets {
    fn read(&mut self, line: &str) {
        self.of_line.clear();
        let line = line.strip_suffix('\r').unwrap_or(line);
        if self.lost || !self.read_exactly(line) {
            self.of_line.clear();
            let brackets = line.bytes().enumerate();
            let open = brackets.filter(|(_, byte)| matches!(byte, b'[' | b'{'));
            self.of_line.extend(open.map(|(offset, _)| (offset, true)));
        }
    }

    /// Reads a line outside of quotes; false where a quote may be something else, or what looks like one line is several.
    fn read_exactly(&mut self, line: &str) -> bool {
        let mut quote = None;
        let mut escaped = false;
        // What stands before, and what stands before that without blanks.
        let (mut before, mut token) = (b' ', b' ');
        for (offset, byte) in line.bytes().enumerate() {
            match (quote, byte) {
                // Other line breaks of YAML: NEL, LS and PS begin with these bytes.
                (_, b'\r' | 0xC2 | 0xE2) => return false,
                (Some(_), _) if escaped => escaped = false,
                (Some(b'"'), b'\\') => escaped = true,
                (Some(end), _) if byte == end => quote = None,
                (None, b'"' | b'\'') => {
                    let is_first =
                        matches!(token, b'[' | b'{' | b',') || (token == b':' && before != b':');
                    if !is_first {
                        return false;
                    }
                    quote = Some(byte);
                }
                (None, b'#') if matches!(before, b' ' | b'\t') => break,
                (None, b'[' | b'{') => self.of_line.push((offset, true)),
                (None, b']' | b'}') => self.of_line.push((offset, false)),
                _ => {}
            }
            before = byte;
            if !matches!(byte, b' ' | b'\t') {
                token = byte;
            }
        }
        self.lost = quote.is_some();
        !self.lost
    }
}

/// Whether the beginning of a document nests no deeper than a document may, as far as the parser may be asked.
fn is_shallow(piece: &str, budget: Budget) -> bool {
    let most = most_events(budget);
    furthest(piece, 0..piece.len(), most) == piece.len() && yaml::count(piece, budget, most).is_ok()
}

/// The documents of a text that may be parsed, and what is wrong with the one behind them.
pub(super) fn readable(text: &str, budget: Budget) -> (&str, Option<Fault>) {
    let most = most_events(budget);
    let least = (budget.nodes / LEAST_GROWTH).max(1);
    let mut end = furthest(text, 0..text.len(), most);
    while end < text.len() {
        let piece = text.get(..end).unwrap_or_default();
        match yaml::count(piece, budget, most) {
            Ok(events) => {
                let growth = most.saturating_sub(events).max(least);
                end = furthest(text, end..text.len(), growth);
            }
            Err(fault) => return (before_document(piece, &fault), Some(fault)),
        }
    }
    (text, None)
}

/// The documents before the one that has this fault.
fn before_document<'t>(text: &'t str, fault: &Fault) -> &'t str {
    let last = fault.at.map_or(0, |(line, _)| line);
    let mut start = 0;
    let mut end = 0;
    for line in text.split_inclusive('\n').take(last) {
        if starts_document(line.as_bytes()) {
            end = start;
        }
        start += line.len();
    }
    text.get(..end).unwrap_or_default()
}

/// The most events that are held of a document.
pub(super) fn most_events(budget: Budget) -> usize {
    budget.nodes.saturating_add(budget.nodes / LISTS_AND_MAPS)
}

/// The most events that one document of a text may have, as far as its characters tell.
pub(super) fn weight(text: &[u8]) -> usize {
    let mut most = 0;
    let mut sum = 0_usize;
    for at in 0..text.len() {
        match weigh(text, at) {
            Weight::Document => sum = 0,
            Weight::Events(events) => sum += events,
        }
        most = most.max(sum);
    }
    most
}

/// Up to where each document has no more than so many events in this range.
fn furthest(text: &str, range: Range<usize>, most: usize) -> usize {
    let mut sum = 0_usize;
    for at in range.clone() {
        match weigh(text.as_bytes(), at) {
            Weight::Document => sum = 0,
            Weight::Events(events) => sum = sum.saturating_add(events),
        }
        if sum > most {
            let end = text.floor_char_boundary(at);
            // One character may weigh more than is left.
            return if end > range.start {
                end
            } else {
                text.ceil_char_boundary(at + 1)
            };
        }
    }
    range.end
}

enum Weight {
    /// A document starts here.
    Document,
    /// How many events may begin here, or begin after it without a character of their own.
    Events(usize),
}

/// What the character at a place may mean, wherever it stands.
///
/// A scalar follows an indicator or a line break, or is left out behind an indicator.
fn weigh(text: &[u8], at: usize) -> Weight {
    let byte = |at: usize| text.get(at).copied();
    let before = |back: usize| at.checked_sub(back).and_then(byte);
    let is_blank = |byte: Option<u8>| byte.is_none_or(|byte| b" \t\r\n".contains(&byte));
    let is_word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    // Other blanks than those of ASCII are line breaks of three characters, each counted by its last byte.
    let next_may_be_blank = is_blank(byte(at + 1)) || byte(at + 1).is_some_and(|byte| byte >= 0x80);
    Weight::Events(match byte(at) {
        Some(b'-') if before(1).is_none_or(|byte| byte == b'\n') => {
            if starts_document(text.get(at..).unwrap_or_default()) {
                return Weight::Document;
            }
            if next_may_be_blank { 3 } else { 0 }
        }
        // The start, the end, and the first item.
        Some(b'[' | b'{') => 3,
        // The start and the end of a list, and an item.
        Some(b'-') if next_may_be_blank => 3,
        // A value that is left out before it, and what follows.
        Some(b',') => 2,
        // The start and the end of a map, a key that is left out, and a value. Inside of a word it means nothing.
        Some(b':' | b'?') if next_may_be_blank || !is_word(before(1)) || !is_word(byte(at + 1)) => {
            4
        }
        // A `:` may end the name, and mean a map there even inside of a word.
        Some(b'*' | b'&' | b'!') => 4,
        Some(b'\n' | b'\r') => 1,
        Some(0x85) if before(1) == Some(0xC2) => 1,
        Some(0xA8 | 0xA9) if before(1) == Some(0x80) && before(2) == Some(0xE2) => 1,
        _ => 0,
    })
}

/// Whether a document starts with this line: three dashes that are a word of their own, in whatever a line before opened.
fn starts_document(line: &[u8]) -> bool {
    line.strip_prefix(b"---")
        .is_some_and(|rest| rest.first().is_none_or(|byte| b" \t\r\n".contains(byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BUDGET: Budget = Budget {
        nodes: 4000,
        bytes: 1 << 20,
    };

    #[test]
    fn the_densest_files_weigh_enough() {
        for unit in [
            "a,", "[],", "{},", "a: b,", ": ,", "? ,", ":,", "[:],", "{?},", "? a : b,", "\"a\":b,",
        ] {
            let text = format!("[{}]", unit.repeat(300));
            let nodes = yaml::count(&text, BUDGET, 5000).unwrap_or(5000);
            assert!(weight(text.as_bytes()) >= nodes, "{unit}: {nodes}");
        }
    }

    #[test]
    fn a_dense_file_is_read_in_part() {
        let dense = format!("[{}]", "a,".repeat(100_000));
        let budget = |line, column| Fault {
            kind: yaml::FaultKind::Budget,
            at: Some((line, column)),
        };
        assert_eq!(readable(&dense, BUDGET), ("", Some(budget(1, 8000))));
        let second = format!("a: 1\n---\n{dense}");
        assert_eq!(readable(&second, BUDGET), ("a: 1\n", Some(budget(3, 7994))));
        // Commas in a text are not counted for long.
        let text = format!("a: |\n  {}\n", "a,".repeat(10_000));
        assert_eq!(readable(&text, BUDGET), (text.as_str(), None));
        // Each document counts for itself; the file's budget is not the business of this page.
        let documents = "---\n[a, b, c]\n".repeat(300);
        assert_eq!(readable(&documents, BUDGET), (documents.as_str(), None));
    }

    #[test]
    fn what_only_looks_like_a_document_starts_none() {
        let no_document = format!("[{}", "---x,[\n".repeat(600));
        assert!(too_many_brackets(&no_document, BUDGET).is_some());
        assert_eq!(too_many_brackets(&"---\n[\n".repeat(600), BUDGET), None);
    }

    #[test]
    fn brackets_that_seem_to_close_close_nothing() {
        for line in [
            "[ #]",
            "[ 'a]',",
            "[ \"]\",",
            "[ \"\\\"]\",",
            "[ !t \"]\",",
            "[ a\"b, \"]\", c\"d,",
            "[ \"\n]\",",
            "[ a:\"[\", #]",
            "[ #\r[ #",
        ] {
            let text = format!("a: {}", format!("{line}\n ").repeat(2_000));
            assert!(too_many_brackets(&text, BUDGET).is_some(), "{line}");
        }
    }

    #[test]
    fn a_fleet_on_one_line_each_is_asked_about_nothing() {
        let line =
            "    - {name: m1, mac: \"52:54:00:00:00:01\", values: {site: 'a]'}}   # rack [1]\n";
        let text = format!("machines:\n{}", line.repeat(20_000));
        let mut brackets = Brackets::default();
        let mut open = 0_i64;
        for line in text.lines() {
            brackets.read(line);
            let change = |(_, opens): &(usize, bool)| if *opens { 1 } else { -1 };
            open += brackets.of_line.iter().map(change).sum::<i64>();
            assert_eq!(open, 0, "{line}");
        }
    }

    #[test]
    fn brackets_in_texts_open_nothing() {
        let budget = Budget {
            nodes: 100_000,
            ..BUDGET
        };
        let menu =
            |lines: usize| format!("a: |\n{}", "  item ${esc}[32m x ${esc}[0m\n".repeat(lines));
        assert_eq!(too_many_brackets(&menu(3_000), budget), None);
        assert!(too_many_brackets(&menu(10_000), budget).is_some());
        // Some are in texts, and the others are not.
        let both = format!("{}b: {}", menu(250), "[".repeat(2_000));
        let at = too_many_brackets(&both, budget).unwrap();
        assert_eq!(at.0, 252);
    }

    proptest! {
        #[test]
        fn no_file_has_more_events_than_it_weighs(text in "[a:,?\\-\\[\\]{}\"'|>!#% \n]{0,60}") {
            let events = yaml::count(&text, BUDGET, 5000).unwrap_or_default();
            prop_assert!(events <= weight(text.as_bytes()) + 3, "{events}");
        }

        #[test]
        fn a_part_is_a_part(text in "\\PC{0,200}", nodes in 1_usize..20) {
            let (part, _) = readable(&text, Budget { nodes, bytes: 1 << 20 });
            prop_assert!(text.starts_with(part));
        }
    }
}
