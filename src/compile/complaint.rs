//! Mistakes that many machines share are told once, with whom they hit.

use std::collections::HashMap;
use std::fmt::Display;

use crate::diagnostic::{Diagnostic, content as say, lint as say_lint, template as say_template};
use crate::manifest::{Locator, Part};
use crate::template::{Place, Problem};

use super::content::{Contents, LoadedBody, beginning};
use super::lint::{Excess, MAX_COMMAND_LINE_BYTES, MAX_WORDS};
use super::secrets::Fault;

/// Users that a complaint keeps by name; the rest are counted.
const NAMED_USERS: usize = 3;

/// What is wrong with one body for somebody.
pub(super) enum Complaint {
    /// A value is missing: the `number`th that the template writes.
    Undefined { number: usize, near: Option<String> },
    /// A value is printed that cannot be.
    Unprintable { number: usize, what: &'static str },
    /// Something is wrong with the `number`th secret that the template writes.
    Secret { number: usize, fault: Fault },
    /// A label is printed without a filter.
    BareLabel { number: usize },
    /// Rendering failed.
    Render(Problem),
    /// The body is not the JSON it is called.
    InvalidJson {
        content_type: String,
        /// Untold where it would tell something of a secret.
        why: Option<String>,
    },
    /// The script does not start as one.
    NotAScript,
    /// A line of the script is too long; where it is written, as far as can be told.
    LongLine(Excess, Option<Place>),
}

impl Complaint {
    /// What makes two complaints about one body the same.
    fn key(&self) -> String {
        match self {
            Self::Undefined { number, .. } => format!("undefined {number}"),
            Self::Unprintable { number, .. } => format!("unprintable {number}"),
            Self::Secret { number, .. } => format!("secret {number}"),
            Self::BareLabel { number } => format!("bare {number}"),
            Self::Render(problem) => format!("render {:?}", problem.place),
            Self::InvalidJson { .. } => "json".to_owned(),
            Self::NotAScript => "script".to_owned(),
            Self::LongLine(Excess::Words { .. }, place) => format!("words {place:?}"),
            Self::LongLine(Excess::CommandLine { .. }, place) => format!("bytes {place:?}"),
        }
    }
}

/// All complaints of one compilation, in the order of their first user.
#[derive(Default)]
pub(super) struct Complaints<'a> {
    all: Vec<(usize, Option<&'a str>, Complaint, Users)>,
    known: HashMap<(usize, Option<&'a str>, String), usize>,
    unused: Vec<usize>,
}

/// Proof that a mistake was told: only [`Complaints::add`] gives one away, so nothing can be left out in silence.
pub(super) struct Told(());

/// Whom a complaint concerns.
#[derive(Default)]
pub(super) struct Users {
    named: Vec<String>,
    count: usize,
}

impl Display for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.named.join(", "))?;
        match self.count - self.named.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl<'a> Complaints<'a> {
    /// Notes what is wrong with a body of a Profile (`None` for its script), and for whom.
    pub(super) fn add(
        &mut self,
        profile: usize,
        body: Option<&'a str>,
        complaint: Complaint,
        whom: impl Display,
    ) -> Told {
        let users = self.users(profile, body, complaint);
        users.count += 1;
        if users.named.len() < NAMED_USERS {
            users.named.push(whom.to_string());
        }
        Told(())
    }

    /// Adds complaints of users who come later.
    pub(super) fn absorb(&mut self, later: Self) {
        for (profile, body, complaint, users) in later.all {
            let known = self.users(profile, body, complaint);
            known.count += users.count;
            let free = NAMED_USERS - known.named.len();
            known.named.extend(users.named.into_iter().take(free));
        }
        self.unused.extend(later.unused);
    }

    /// Whom a complaint concerns so far.
    fn users(&mut self, profile: usize, body: Option<&'a str>, complaint: Complaint) -> &mut Users {
        let key = (profile, body, complaint.key());
        let place = *self.known.entry(key).or_insert(self.all.len());
        if place == self.all.len() {
            self.all.push((profile, body, complaint, Users::default()));
        }
        let (.., users) = self.all.get_mut(place).expect("it was there or just added");
        users
    }

    /// Notes a Profile that no Assignment uses.
    pub(super) fn unused(&mut self, profile: usize) {
        self.unused.push(profile);
    }

    pub(super) fn tell(
        self,
        contents: &Contents<'_>,
        locator: &Locator<'_>,
        found: &mut Vec<Diagnostic>,
    ) {
        let loaded = |profile: usize| contents.profiles.get(profile).and_then(Option::as_ref);
        for profile in self.unused.iter().filter_map(|profile| loaded(*profile)) {
            let at = locator.place(
                &profile.profile.origin,
                &["metadata".into(), "name".into()],
                Part::Value,
            );
            found.push(say::unused_profile(at, &profile.profile.name));
        }
        for (profile, name, complaint, users) in &self.all {
            let body = loaded(*profile).and_then(|loaded| match name {
                None => loaded.script.as_ref(),
                Some(name) => loaded
                    .configs
                    .iter()
                    .find(|(other, _)| other == name)
                    .map(|(_, body)| body),
            });
            if let Some(body) = body {
                found.extend(diagnostic(
                    name.unwrap_or("script"),
                    body,
                    complaint,
                    users,
                    locator,
                ));
            }
        }
    }
}

fn diagnostic(
    name: &str,
    body: &LoadedBody<'_>,
    complaint: &Complaint,
    users: &Users,
    locator: &Locator<'_>,
) -> Option<Diagnostic> {
    let usage = body.template.as_ref().map(|template| template.usage());
    let value = |number: &usize| {
        let one = usage?.values.get(*number)?;
        Some((
            body.spot.place(&one.place, locator),
            format!("values.{}", one.path.join(".")),
        ))
    };
    let whom = users.to_string();
    Some(match complaint {
        Complaint::Undefined { number, near } => {
            let (at, path) = value(number)?;
            say_template::undefined_value(at, &path, &whom, near.as_deref())
        }
        Complaint::Unprintable { number, what } => {
            let (at, path) = value(number)?;
            say_template::unprintable_value(at, &path, what, &whom)
        }
        Complaint::Secret { number, fault } => {
            let one = usage?.secrets.get(*number)?;
            let at = body.spot.place(&one.place, locator);
            let path = [&["secrets".to_owned()], &one.path[..]].concat().join(".");
            match fault {
                Fault::NoSecrets => say_template::no_secrets(at, &path),
                Fault::Missing => say_template::undefined_secret(at, &path),
                Fault::Unprintable(what) => say_template::unprintable_secret(at, &path, what),
            }
        }
        Complaint::BareLabel { number } => {
            let place = usage?.bare_labels.get(*number)?;
            say_template::bare_label(body.spot.place(place, locator), name)
        }
        Complaint::Render(problem) => say_template::render_failed(
            body.spot.place(&problem.place, locator),
            &problem.kind,
            &whom,
        ),
        Complaint::InvalidJson { content_type, why } => {
            let whom = body.template.as_ref().map(|_| whom.as_str());
            let at = body.spot.start(locator);
            match why {
                Some(why) => say::invalid_json(at, name, content_type, why, whom),
                None => say::invalid_json_in_secret(at, name, content_type, whom),
            }
        }
        Complaint::LongLine(excess, place) => {
            let at = match place {
                Some(place) => body.spot.place(place, locator),
                None => body.spot.start(locator),
            };
            match excess {
                Excess::Words { words, .. } => {
                    say_lint::too_many_words(at, *words, MAX_WORDS, Some(&whom))
                }
                Excess::CommandLine {
                    bytes, is_least, ..
                } => {
                    let limit = MAX_COMMAND_LINE_BYTES;
                    say_lint::long_command_line(at, *bytes, limit, *is_least, Some(&whom))
                }
            }
        }
        Complaint::NotAScript => {
            say::not_a_script(body.spot.place(&beginning(&body.spot), locator), None)
        }
    })
}
