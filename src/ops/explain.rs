//! `/api/explain?label=value&…`: why a machine gets what it gets.

use ::http::StatusCode;

use super::Sources;
use super::lists::starting;
use super::reply::Reply;
use crate::explain::Report;
use crate::label::{Dropped, LabelError, Labels, decode_percent};
use crate::publish::Publication;

/// How URLs begin their signature.
const SIGNATURE: &str = "sig=";

pub(super) fn document(publication: &Publication, query: &str, sources: &Sources) -> Reply {
    let Some(snapshot) = publication.snapshot.as_deref() else {
        return starting();
    };
    let (labels, dropped) = match asked(query, sources) {
        Ok(found) => found,
        Err(LabelError::TooMany) => {
            return Reply::line(StatusCode::BAD_REQUEST, "too many labels\n");
        }
        Err(LabelError::Repeated(_)) => {
            let line = "a label is repeated with different values\n";
            return Reply::line(StatusCode::BAD_REQUEST, line);
        }
    };
    let explanation = snapshot.explain(&labels);
    let said = (&labels, &*dropped);
    let report = Report::new(snapshot.revision(), said, &explanation, None, &sources.base);
    let text = report.json();
    let is_keyed = explanation
        .outcome
        .is_ok_and(|matched| matched.configs().any(|(_, config)| config.signer.is_some()));
    Reply::json(if is_keyed { unsigned(&text) } else { text })
}

/// The labels as a machine's request would have them, and what of them would be absent.
pub(super) fn asked(query: &str, sources: &Sources) -> Result<(Labels, Vec<Dropped>), LabelError> {
    let fixed = &sources.fixed_labels;
    let labels = Labels::parse(query, fixed)?;
    let mut bytes = Vec::new();
    let mut decoded = |text: &str| {
        decode_percent(text, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decoded(key), decoded(value)))
        .collect();
    let pairs = pairs.iter().map(|(key, value)| (&**key, &**value));
    let dropped = Labels::from_pairs(pairs, fixed).map(|(_, dropped)| dropped);
    Ok((labels, dropped.unwrap_or_default()))
}

/// The text with its signatures cut: whoever has one is taken for the machine that it was made for.
pub(super) fn unsigned(text: &str) -> String {
    let mut parts = text.split(SIGNATURE);
    let mut cut = parts.next().unwrap_or("").to_owned();
    for part in parts {
        cut.push_str(SIGNATURE);
        cut.push('…');
        cut.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_cut() {
        assert_eq!(
            unsigned("a?x=1&sig=0123abcDEF b sig=00\"sig="),
            "a?x=1&sig=… b sig=…\"sig=…"
        );
        assert_eq!(unsigned("nothing"), "nothing");
    }
}
