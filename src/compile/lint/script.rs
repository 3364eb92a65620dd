//! Rules for scripts, as they are written.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Location, lint as say, similar};
use crate::template::{EXPRESSION, Place, STATEMENT, Source, skeleton};

use super::Subject;
use super::ipxe::{self, COMMANDS, Line, Word};
use super::length::{
    Excess, MAX_COMMAND_LINE_BYTES, MAX_WORDS, arguments, excesses, place, positional,
};
use crate::compile::content::{Loaded, LoadedBody};

/// What iPXE itself calls all initrds together.
const ALL_INITRDS: &str = "initrd.magic";

/// Loaders that take any file by its name, without `initrd=`.
const OTHER_LOADERS: [&str; 2] = ["wimboot", "memdisk"];

/// What git writes around the sides of a merge.
const CONFLICT_MARKS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// Ensure that a line of a script starts with a command of iPXE.
pub(super) fn unknown_commands(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for script in subject.profiles().filter_map(Script::of) {
        for (source, command) in &script.commands {
            let Some(name) = command.first().filter(|word| word.is_literal()) else {
                continue;
            };
            // Told as a conflict.
            if CONFLICT_MARKS.contains(&name.text.as_str()) {
                continue;
            }
            if COMMANDS.binary_search(&name.text.as_str()).is_err() {
                let near = similar(&name.text, COMMANDS.iter().copied());
                let at = script.place(source, name, subject);
                found.push(say::unknown_command(at, &name.text, near));
            }
        }
    }
}

/// Ensure that a kernel argument names each initrd that has a name.
pub(super) fn unused_initrds(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for script in subject.profiles().filter_map(Script::of) {
        let files = Files::of(&script);
        if !files.has_kernel || files.takes_any || files.may_name_more {
            continue;
        }
        for initrd in files.fetched.iter().filter(|one| one.needs_argument) {
            let name = initrd.name.as_str();
            if !files.named.contains_key(name) && !files.named.contains_key(ALL_INITRDS) {
                let at = script.place(initrd.source, initrd.word, subject);
                found.push(say::unused_initrd(at, name, files.named.keys().copied()));
            }
        }
    }
}

/// Ensure that `initrd=` names an initrd that the script fetches.
pub(super) fn unknown_initrds(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for script in subject.profiles().filter_map(Script::of) {
        let files = Files::of(&script);
        if files.takes_any || files.fetched.iter().any(|one| one.is_unsure) {
            continue;
        }
        for (name, (source, word)) in &files.named {
            let is_known = files.fetched.iter().any(|one| one.name == *name);
            if !is_known && *name != ALL_INITRDS && is_plain(name) {
                let known = files.fetched.iter().map(|one| one.name.as_str());
                let at = script.place(source, word, subject);
                found.push(say::unknown_initrd(at, name, known));
            }
        }
    }
}

/// Ensure that a line of a script has at most 255 words, in scripts that are rendered for nobody.
pub(super) fn long_lines(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for (at, excess) in unrendered(subject) {
        if let Excess::Words { words, .. } = excess {
            found.push(say::too_many_words(at, words, MAX_WORDS, None));
        }
    }
}

/// Ensure that a kernel command line fits into 2,048 bytes, in scripts that are rendered for nobody.
pub(super) fn long_command_lines(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for (at, excess) in unrendered(subject) {
        if let Excess::CommandLine { bytes, .. } = excess {
            // A template puts in more, if it puts in anything.
            found.push(say::long_command_line(
                at,
                bytes,
                MAX_COMMAND_LINE_BYTES,
                true,
                None,
            ));
        }
    }
}

/// The lines that are too long even before something is put in, in scripts of Profiles that no Assignment uses.
fn unrendered(subject: &Subject<'_>) -> Vec<(Location, Excess)> {
    let mut all = Vec::new();
    let bodies = subject
        .unused_profiles()
        .filter_map(|loaded| loaded.script.as_ref());
    for body in bodies {
        let Some((template, source)) = body
            .template
            .as_ref()
            .and_then(|template| Some((template, template.sources().first()?)))
        else {
            continue;
        };
        let literal = skeleton(&source.text)
            .text
            .replace([EXPRESSION, STATEMENT], "");
        for excess in excesses(&literal) {
            let at = match place(template, excess.line()) {
                Some(place) => body.spot.place(&place, subject.locator),
                None => body.spot.start(subject.locator),
            };
            all.push((at, excess));
        }
    }
    all
}

/// A script's commands in the order in which they are written, file by file.
struct Script<'a> {
    body: &'a LoadedBody<'a>,
    commands: Vec<(&'a Source, Vec<Word>)>,
    /// Whether a file is included in the middle of a line, or for its macros: what it holds is not read here.
    is_partial: bool,
}

impl<'a> Script<'a> {
    fn of(loaded: &'a Loaded<'a>) -> Option<Self> {
        let body = loaded.script.as_ref()?;
        let sources = body.template.as_ref()?.sources();
        let skeletons: Vec<_> = sources.iter().map(|one| skeleton(&one.text)).collect();
        let is_partial = !skeletons.iter().all(|one| one.includes_lines);
        let read = if is_partial { 1 } else { sources.len() };
        let mut commands = Vec::new();
        for (source, skeleton) in sources.iter().zip(&skeletons).take(read) {
            let lines = ipxe::lines(&skeleton.text);
            let all = lines.flat_map(|line: Line| line.commands());
            commands.extend(all.map(|command| (source, command)));
        }
        Some(Self {
            body,
            commands,
            is_partial,
        })
    }

    fn place(&self, source: &Source, word: &Word, subject: &Subject<'_>) -> Location {
        let place = Place {
            path: source.path.clone(),
            range: word.range.clone(),
        };
        self.body.spot.place(&place, subject.locator)
    }
}

/// The files that a script fetches, and those that its kernels name.
struct Files<'s> {
    fetched: Vec<Fetched<'s>>,
    /// Each `initrd=` by its value, and where it stands first.
    named: BTreeMap<&'s str, (&'s Source, &'s Word)>,
    has_kernel: bool,
    /// Whether a loader takes whatever is fetched.
    takes_any: bool,
    /// Whether an argument may hold an `initrd=` that cannot be seen here.
    may_name_more: bool,
}

struct Fetched<'s> {
    /// As written, templates and all.
    name: String,
    source: &'s Source,
    word: &'s Word,
    /// Whether its name was chosen for an `initrd=`.
    needs_argument: bool,
    /// Whether the name depends on what is put in.
    is_unsure: bool,
}

impl<'s> Files<'s> {
    fn of(script: &'s Script<'_>) -> Self {
        let mut files = Self {
            fetched: Vec::new(),
            named: BTreeMap::new(),
            has_kernel: false,
            takes_any: script.is_partial,
            may_name_more: false,
        };
        for (source, command) in &script.commands {
            match command.first().map(|word| word.text.as_str()) {
                Some("initrd" | "module" | "imgfetch") => files.fetch(source, command),
                Some(_) => files.start(source, command),
                None => {}
            }
        }
        files
    }

    fn fetch(&mut self, source: &'s Source, command: &'s [Word]) {
        let rest = command.get(1..).unwrap_or_default();
        let Some((uri, arguments)) = positional(rest) else {
            return;
        };
        let option = rest
            .iter()
            .position(|word| matches!(word.text.as_str(), "--name" | "-n"));
        let glued = rest.iter().find(|word| word.text.starts_with("--name="));
        let (name, word) = match (option.and_then(|at| rest.get(at + 1)), glued) {
            (Some(word), _) => (written(source, word), word),
            (None, Some(word)) => (written(source, word).split_at("--name=".len()).1, word),
            (None, None) => (base_name(written(source, uri)), uri),
        };
        let is_initrd = command.first().is_some_and(|word| word.text == "initrd");
        self.fetched.push(Fetched {
            name: name.to_owned(),
            source,
            word,
            needs_argument: is_initrd
                && (option.is_some() || glued.is_some())
                && arguments.is_empty()
                && is_plain(name),
            is_unsure: !is_plain(name) || word.text.contains(STATEMENT),
        });
    }

    fn start(&mut self, source: &'s Source, command: &'s [Word]) {
        let Some((image, arguments)) = arguments(command) else {
            return;
        };
        let name = command.first().map_or("", |word| &word.text);
        self.has_kernel |= matches!(name, "kernel" | "imgselect" | "imgload");
        let image = base_name(written(source, image));
        self.takes_any |= OTHER_LOADERS.iter().any(|loader| image.starts_with(loader));
        for word in arguments {
            let text = written(source, word);
            let Some(value) = text.strip_prefix("initrd=") else {
                self.may_name_more |= word.text.starts_with(EXPRESSION)
                    || word.text.contains(STATEMENT)
                    || text.starts_with("${");
                continue;
            };
            let value = value.split("{%").next().unwrap_or(value);
            self.may_name_more |= !is_plain(value);
            for one in value.split(',').filter(|one| !one.is_empty()) {
                self.named.entry(one).or_insert((source, word));
            }
        }
    }
}

/// A word as the template writes it.
fn written<'s>(source: &'s Source, word: &Word) -> &'s str {
    source.text.get(word.range.clone()).unwrap_or_default()
}

/// Whether a name is the same for everybody.
fn is_plain(name: &str) -> bool {
    !name.contains("{{") && !name.contains("{%") && !name.contains("${")
}

/// What iPXE calls a file that has no other name: the last part of the path.
fn base_name(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    // A slash in an expression is no part of the path.
    let from = path.rfind("}}").map_or(0, |end| end + 2);
    let path = if path.get(from..).is_some_and(|rest| rest.contains('/')) || from == 0 {
        path.get(from..).unwrap_or(path)
    } else {
        return path;
    };
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_by_the_last_part_of_its_path() {
        assert_eq!(base_name("http://x/a/b.img?c=/d"), "b.img");
        assert_eq!(base_name("{{ values.a/2 }}/b.img"), "b.img");
        assert!(!is_plain(base_name("http://x/{{ values.b }}")));
        assert!(!is_plain(base_name("http://x/a-{{ values.b }}.img")));
        assert_eq!(base_name("b"), "b");
    }
}
