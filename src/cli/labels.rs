//! `--label` of the commands that look at one machine.

use super::Misuse;
use crate::label::{Dropped, FixedLabels, Labels};

/// Reads `--label`, and what a server would drop of it.
pub(super) fn read(pairs: &[String]) -> anyhow::Result<(Labels, Vec<Dropped>)> {
    let pairs = pairs.iter().map(|pair| {
        pair.split_once('=')
            .ok_or_else(|| Misuse(format!("--label: `{pair}` must be KEY=VALUE")))
    });
    let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
    let read = Labels::from_pairs(pairs, &FixedLabels::default());
    Ok(read.map_err(|error| Misuse(format!("--label: {error}")))?)
}
