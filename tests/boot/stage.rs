//! What all scenarios share: how machines are run, and the mirror that they boot Linux from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::accelerator::Accelerator;
use crate::initrd;
use crate::linux::Linux;
use crate::machine::HOST;
use crate::mirror::Mirror;

/// What all scenarios share.
pub(crate) struct Stage {
    pub(crate) accelerator: Accelerator,
    mirror: Mirror,
}

impl Stage {
    /// Gets everything ready.
    pub(crate) fn set() -> Self {
        let linux = Linux::find(&scratch().join("linux"));
        let initrd = initrd::build(&linux);
        let files = BTreeMap::from([("/vmlinuz", linux.image), ("/initrd", initrd)]);
        Self {
            accelerator: Accelerator::choose(),
            mirror: Mirror::start(files),
        }
    }

    /// The URL of the mirror as machines see it.
    pub(crate) fn mirror(&self) -> String {
        format!("http://{HOST}:{}", self.mirror.port)
    }
}

/// Where the consoles of machines are kept on which a scenario failed.
pub(crate) fn kept_logs() -> PathBuf {
    let folder = scratch().join("failed");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A folder below `target/` that outlives the tests.
fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("boot")
}
