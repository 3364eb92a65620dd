//! The flags that bound what a repository may hold; the same for every command that reads one.

use super::units::{bytes, memory};
use crate::manifest::Budget;
use crate::tree;

/// The limits of a repository.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits of the repository; a revision over one is refused")]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are named like their flags"
)]
pub(super) struct TreeLimits {
    /// The number of files
    #[arg(long, value_name = "COUNT", default_value_t = tree::Limits::default().files)]
    max_files: usize,
    /// The size of one file
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = bytes)]
    max_file_bytes: u64,
    /// The size of all files together
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = bytes)]
    max_total_bytes: u64,
    /// The number of folders above a file
    #[arg(long, value_name = "COUNT", default_value_t = tree::Limits::default().depth)]
    max_depth: usize,
    /// The size of what one fetch receives
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = bytes)]
    max_wire_bytes: u64,
    /// The size of what one fetch unpacks to
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = bytes)]
    max_unpacked_bytes: u64,
    /// The scalars, lists and maps of one YAML file once its aliases are followed
    #[arg(long, value_name = "COUNT", default_value_t = Budget::default().nodes)]
    max_yaml_nodes: usize,
    /// The size of the scalars of one YAML file once its aliases are followed
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = memory)]
    max_yaml_bytes: usize,
}

impl TreeLimits {
    /// The limits of a tree.
    pub(super) fn tree(&self) -> tree::Limits {
        tree::Limits {
            files: self.max_files,
            file_bytes: self.max_file_bytes,
            total_bytes: self.max_total_bytes,
            depth: self.max_depth,
        }
    }

    /// The limit of one fetch.
    pub(super) fn wire_bytes(&self) -> u64 {
        self.max_wire_bytes
    }

    /// The limit of what one fetch unpacks to.
    pub(super) fn unpacked_bytes(&self) -> u64 {
        self.max_unpacked_bytes
    }

    /// How much one YAML file may unfold to.
    pub(super) fn budget(&self) -> Budget {
        Budget {
            nodes: self.max_yaml_nodes,
            bytes: self.max_yaml_bytes,
        }
    }
}
