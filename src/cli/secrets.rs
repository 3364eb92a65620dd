//! The flags that name files with secrets.

use std::path::PathBuf;

use super::Misuse;
use crate::compile::Secrets;
use crate::keyring::{KeyFiles, Keyring};
use crate::manifest::Budget;

/// Files are named here, read at the start, and read again by a server when they hold something else.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Secrets, from files outside of the repository")]
pub(super) struct SecretFiles {
    /// The key that makes the ids of configs, so that nobody computes them from guessed content, and that signs the labels in
    /// their URLs; any bytes, at least 16
    #[arg(long, value_name = "FILE")]
    id_key_file: Option<PathBuf>,
    /// The YAML map that configs see as `secrets`; needs --id-key-file
    #[arg(long, value_name = "FILE")]
    secret_values_file: Option<PathBuf>,
}

impl SecretFiles {
    /// Reads the files. Ids that are made of secrets want a key: anybody could check a guess by a plain hash.
    pub(super) fn open(&self, budget: Budget, otherwise: Secrets) -> Result<Keyring, Misuse> {
        if self.secret_values_file.is_some() && self.id_key_file.is_none() {
            let words = "`--secret-values-file` needs `--id-key-file`: without a key, whoever sees the id of a config can \
                         check what he guesses of its secrets";
            return Err(Misuse(words.to_owned()));
        }
        self.open_without_ids(budget, otherwise)
    }

    /// The same for what shows no ids.
    pub(super) fn open_without_ids(
        &self,
        budget: Budget,
        otherwise: Secrets,
    ) -> Result<Keyring, Misuse> {
        let files = KeyFiles {
            id_key: self.id_key_file.clone(),
            values: self.secret_values_file.clone(),
        };
        Keyring::open(files, budget, otherwise).map_err(|error| Misuse(error.to_string()))
    }

    /// Whether the secrets themselves are given.
    pub(super) fn has_values(&self) -> bool {
        self.secret_values_file.is_some()
    }
}

/// The names of `--secret-names`, each a way from map to map between dots.
pub(super) fn names(texts: &[String]) -> Result<Secrets, Misuse> {
    let name = |text: &String| {
        let name: Vec<String> = text.split('.').map(|step| step.trim().to_owned()).collect();
        if name.iter().any(String::is_empty) {
            let shown = text.escape_debug();
            let words = format!(
                "--secret-names: `{shown}` is no name; write names like `db.password`, between commas"
            );
            return Err(Misuse(words));
        }
        Ok(name)
    };
    texts
        .iter()
        .map(name)
        .collect::<Result<_, _>>()
        .map(Secrets::Names)
}
