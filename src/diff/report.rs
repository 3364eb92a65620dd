//! The outcome of a comparison, as a value.

use crate::snapshot::Tier;
use crate::tree::Revision;

/// What was compared with what, as it was asked for and as it was found: `main (9be07d3)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revisions {
    /// How BASE was asked for, and what it is.
    pub base: (String, Revision),
    /// How HEAD was asked for, and what it is.
    pub head: (String, Revision),
}

/// Who receives something else, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was compared with what.
    pub revisions: Revisions,
    /// What was looked at.
    pub compared: Compared,
    /// How many machines receive something else; one that does in several ways stands in several groups.
    pub differing_machines: usize,
    /// How many combinations of class labels do.
    pub differing_classes: usize,
    /// How many machines have another Assignment and receive the same.
    pub moved_machines: usize,
    /// What differs, what matters most first: machines before classes, who gets nothing any more before all others.
    pub groups: Vec<Group>,
}

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The machines that either side names: each entry of `machines`, each identity value of a selector.
    pub machines: usize,
    /// The combinations of class labels, none at all among them.
    pub classes: usize,
    /// The class keys that Assignments without identities ask for, sorted.
    pub class_keys: Vec<String>,
    /// Whether `classes` are all combinations of the values that Assignments ask for.
    pub all_classes: bool,
    /// The machines that were not asked about with every combination of class labels.
    pub incomplete_machines: usize,
    /// How many sets of labels were asked about in all.
    pub label_sets: usize,
}

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Machines that an Assignment names.
    Machines,
    /// Whoever sends these class labels and is named by no Assignment.
    Classes,
}

/// What happens to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// They get nothing any more.
    Lost,
    /// They get something else.
    Changed,
    /// They got nothing before.
    New,
}

/// Those to whom the same happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Who they are.
    pub subject: Subject,
    /// What happens.
    pub kind: Kind,
    /// What they receive from BASE.
    pub before: Option<Received>,
    /// What they receive from HEAD.
    pub after: Option<Received>,
    /// In what that differs.
    pub parts: Vec<PartChange>,
    /// Whether it differs for each of them in its own way.
    pub varied: bool,
    /// How many they are.
    pub count: usize,
    /// Who they are, sorted. Of classes only those that say all: where `site=lab` differs, `site=lab rack=1` differs in the
    /// same way and is not listed, but counted.
    pub members: Vec<Member>,
    /// Their Assignments, the most frequent first.
    pub assignments: Vec<Assigned>,
    /// The differences in full, for the first of them.
    pub examples: Vec<Example>,
}

/// A Profile, and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The Profile's name.
    pub profile: String,
    /// The tier of the Assignment.
    pub tier: Tier,
}

/// The Assignments before and after, and for how many of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The Assignment that wins in BASE.
    pub before: Option<String>,
    /// The Assignment that wins in HEAD.
    pub after: Option<String>,
    /// For how many.
    pub count: usize,
}

/// A machine or a class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The machine's name; empty where it has none.
    pub name: String,
    /// The labels that it was asked about with: each key with one value, a MAC with those that follow it, a class label with
    /// all values that are alike.
    pub labels: Vec<(String, Vec<String>)>,
}

/// How a part differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Only HEAD has it.
    Added,
    /// Only BASE has it.
    Removed,
    /// It has other bytes.
    Text,
    /// It has another content type, and perhaps other bytes.
    ContentType,
    /// It has the same bytes for all labels that were tried, but is made by another template, or of other values.
    Template,
    /// It has the same bytes, but another id, and so another URL.
    Id,
}

/// A part of what is received, and how it differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartChange {
    /// The config's name; `None` for the script.
    pub config: Option<String>,
    /// How it differs.
    pub change: Change,
}

/// What differs for one of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Who it is, one of [`Group::members`].
    pub member: Member,
    /// Labels that had to be made up to show the difference.
    pub made_up: Vec<(String, String)>,
    /// The differences, the script first.
    pub diffs: Vec<PartDiff>,
}

/// A unified diff of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartDiff {
    /// The config's name; `None` for the script.
    pub config: Option<String>,
    /// Lines of a unified diff, without a newline at the end; what a terminal would not print is spelled out. Where none can
    /// be shown, a sentence in parentheses.
    pub lines: Vec<String>,
}

impl Report {
    /// Whether anybody receives something else.
    #[must_use]
    pub fn differs(&self) -> bool {
        !self.groups.is_empty()
    }
}

impl PartChange {
    /// `script` or `config NAME`.
    #[must_use]
    pub fn title(&self) -> String {
        title(self.config.as_deref())
    }
}

impl PartDiff {
    /// `script` or `config NAME`.
    #[must_use]
    pub fn title(&self) -> String {
        title(self.config.as_deref())
    }
}

fn title(config: Option<&str>) -> String {
    config.map_or_else(|| "script".to_owned(), |name| format!("config {name}"))
}

impl Change {
    /// The change as the outputs name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Text => "changed",
            Self::ContentType => "content-type",
            Self::Template => "template",
            Self::Id => "id",
        }
    }
}

impl Kind {
    /// The kind as the outputs name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Changed => "changed",
            Self::New => "new",
        }
    }
}

impl Subject {
    /// The subject as the outputs name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Machines => "machines",
            Self::Classes => "classes",
        }
    }
}
