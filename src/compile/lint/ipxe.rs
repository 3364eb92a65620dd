//! Scripts as iPXE reads them (its `src/image/script.c` and `src/core/exec.c`): lines, labels, commands, words.

use std::ops::Range;

use crate::template::{EXPRESSION, STATEMENT};

/// Every command of iPXE's source, whatever a build switches on: `src/hci/commands/*.c`, `src/core/exec.c`, `src/image/script.c`,
/// `src/hci/shell.c` and `src/arch/x86/hci/commands/*.c`, with what gPXE and older versions had. Sorted.
pub(super) const COMMANDS: &[&str] = &[
    "autoboot",
    "boot",
    "certfree",
    "certstat",
    "certstore",
    "chain",
    "choose",
    "clear",
    "colour",
    "config",
    "console",
    "cpair",
    "cpuid",
    "dhcp",
    "digest",
    "echo",
    "exit",
    "fcels",
    "fcstat",
    "fdt",
    "form",
    "gdbstub",
    "goto",
    "help",
    "ibstat",
    "ifclose",
    "ifconf",
    "iflinkwait",
    "ifopen",
    "ifstat",
    "imgargs",
    "imgdecrypt",
    "imgexec",
    "imgextract",
    "imgfetch",
    "imgfree",
    "imgload",
    "imgmem",
    "imgselect",
    "imgset",
    "imgstat",
    "imgtrust",
    "imgverify",
    "inc",
    "initrd",
    "ipstat",
    "iseq",
    "isset",
    "item",
    "iwlist",
    "iwstat",
    "kernel",
    "login",
    "lotest",
    "md4sum",
    "md5sum",
    "menu",
    "module",
    "netboot",
    "nslookup",
    "nstat",
    "ntp",
    "param",
    "params",
    "pciscan",
    "ping",
    "poweroff",
    "present",
    "profstat",
    "prompt",
    "pxebs",
    "read",
    "reboot",
    "route",
    "sanboot",
    "sanhook",
    "sanunhook",
    "set",
    "sha1sum",
    "sha224sum",
    "sha256sum",
    "sha384sum",
    "sha512_224sum",
    "sha512_256sum",
    "sha512sum",
    "shell",
    "shim",
    "show",
    "sleep",
    "startpxe",
    "stoppxe",
    "sync",
    "time",
    "usbscan",
    "vcreate",
    "vdestroy",
];

/// A word of a line, and its bytes in the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) range: Range<usize>,
}

impl Word {
    /// Whether iPXE sees it as it stands here.
    pub(super) fn is_literal(&self) -> bool {
        !self.text.contains([EXPRESSION, STATEMENT]) && !self.text.contains("${")
    }
}

/// A line with those that it continues on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::compile) struct Line {
    pub(super) range: Range<usize>,
    /// The text without what continues it.
    pub(super) text: String,
    /// Which byte of the script the bytes of the text come from: where a part begins in the text, and in the script.
    parts: Vec<(usize, usize)>,
}

impl Line {
    /// Its words, those of a comment left out.
    pub(super) fn words(&self) -> Vec<Word> {
        let mut words = Vec::new();
        let mut next = 0;
        for word in self.text.split(is_space) {
            let end = next + word.len();
            next = end + 1;
            // A statement in front of a line's first word, or all alone, prints nothing there.
            let word = if words.is_empty() || word.chars().all(|one| one == STATEMENT) {
                word.trim_start_matches(STATEMENT)
            } else {
                word
            };
            if word.starts_with('#') {
                break;
            }
            if !word.is_empty() {
                let start = end - word.len();
                words.push(Word {
                    text: word.to_owned(),
                    range: self.origin(start)..self.origin(end),
                });
            }
        }
        words
    }

    /// Its commands: each a list of words that is not empty. A label in front is left out.
    pub(super) fn commands(&self) -> Vec<Vec<Word>> {
        let mut words = self.words();
        if words.first().is_some_and(|word| word.text.starts_with(':')) {
            words.remove(0);
        }
        words
            .split(|word| matches!(word.text.as_str(), "||" | "&&" | ";"))
            .filter(|command| !command.is_empty())
            .map(<[Word]>::to_vec)
            .collect()
    }

    fn origin(&self, at: usize) -> usize {
        let part = self.parts.iter().rev().find(|(start, _)| *start <= at);
        part.map_or(0, |(start, origin)| origin + (at - start))
    }
}

/// C's `isspace`, of which the marks of a template are none.
fn is_space(one: char) -> bool {
    matches!(one, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// The lines of a script, each with those that it continues on.
pub(super) fn lines(script: &str) -> impl Iterator<Item = Line> {
    let mut physical = script.split_inclusive('\n');
    let mut start = 0;
    std::iter::from_fn(move || {
        let from = start;
        let mut line: Option<Line> = None;
        for whole in physical.by_ref() {
            let at = start;
            start += whole.len();
            let text = whole.strip_suffix('\n').unwrap_or(whole);
            let text = text.strip_suffix('\r').unwrap_or(text);
            let end = at + text.len();
            let continued = text.trim_end_matches(STATEMENT).strip_suffix('\\');
            let one = line.get_or_insert(Line {
                range: from..end,
                text: String::new(),
                parts: Vec::new(),
            });
            one.parts.push((one.text.len(), at));
            one.text.push_str(continued.unwrap_or(text));
            one.range.end = end;
            if continued.is_none() {
                break;
            }
        }
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &str) -> Vec<Vec<Vec<String>>> {
        let text = |command: Vec<Word>| command.into_iter().map(|word| word.text).collect();
        lines(script)
            .map(|line| line.commands().into_iter().map(text).collect())
            .collect()
    }

    #[test]
    fn commands_are_sorted() {
        assert!(COMMANDS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn lines_are_read_as_ipxe_reads_them() {
        assert_eq!(
            words("#!ipxe\n\n  :a echo b # c || d\nx y||z || w && v ; u\n"),
            [
                vec![],
                vec![],
                vec![vec!["echo", "b"]],
                vec![vec!["x", "y||z"], vec!["w"], vec!["v"], vec!["u"]],
            ]
        );
        assert_eq!(
            words("kernel a \\\r\n  b\\\nc\r\nboot"),
            [vec![vec!["kernel", "a", "bc"]], vec![vec!["boot"]],]
        );
    }

    #[test]
    fn words_know_where_they_stand() {
        let script = "kernel a \\\n  ü=1 initrd=x # y\n:l echo \u{2}\u{2}z\n\u{2}\u{2}boot\n";
        for line in lines(script) {
            for word in line.words() {
                assert_eq!(script.get(word.range.clone()), Some(word.text.as_str()));
            }
        }
        let commands: Vec<_> = lines(script).flat_map(|line| line.commands()).collect();
        assert_eq!(commands.len(), 3);
        assert_eq!(commands[2][0].text, "boot");
        assert!(!commands[1][1].is_literal());
    }
}
