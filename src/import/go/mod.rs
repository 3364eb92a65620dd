//! Go templates → templates of gitboot, for what means the same in both.
//!
//! matchbox hands a template the metadata of the group, with its selectors and the request. What a construct prints depends
//! on the types of that data, so the converter is given all of it: a construct is converted when it prints the same for
//! every group that uses the template, and told otherwise. Nothing is guessed, and a template with one construct that has no
//! equivalent is not converted at all.

mod assemble;
mod expression;
mod functions;
mod lex;
mod loops;
mod shape;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Map, Value};

use writer::Writer;

pub(super) use assemble::literal;
pub(super) use shape::printed_float;

/// A template in our language.
#[derive(Debug, Default)]
pub(super) struct Converted {
    /// The text.
    pub(super) text: String,
    /// The ways to values that may be missing: the Profile has to give them a default that is false.
    pub(super) optional: BTreeSet<Vec<String>>,
    /// The first steps of all ways to values.
    pub(super) used: BTreeSet<String>,
    /// What some group lacks although the template asks for it, with its place: there Go prints nothing at all.
    pub(super) lacking: Vec<(Range<usize>, Vec<String>)>,
    /// What is asked for without `index` although some group lacks it: there Go fails, and ours takes it as false.
    pub(super) softened: Vec<(Range<usize>, Vec<String>)>,
}

/// A construct that has no equivalent, or that Go cannot read either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Its bytes in the template.
    pub(super) range: Range<usize>,
    /// Why.
    pub(super) why: &'static str,
}

impl Fault {
    fn unreadable(range: Range<usize>, why: &'static str) -> Self {
        Self { range, why }
    }
}

/// Converts a template that is rendered with each of these maps; `taken` are names that mean a config.
///
/// # Errors
/// Every construct that has no equivalent.
pub(super) fn convert(
    text: &str,
    data: &[Map<String, Value>],
    taken: &[&str],
) -> Result<Converted, Vec<Fault>> {
    let parts = lex::parts(text).map_err(|fault| vec![fault])?;
    Writer::new(&parts, data, taken).write()
}
