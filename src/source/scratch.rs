//! `Scratch`: where the temporary files of a check are.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::error::{ErrorClass, SourceError};

/// The state directory, and where that cannot be written, the folder for temporary files: a server whose disk is away or
/// not its own goes on following the repository.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    /// `None` means the folder for temporary files alone.
    state_dir: Option<PathBuf>,
}

impl Scratch {
    /// Removes with `sweep` what a killed process left here.
    pub(super) fn new(state_dir: Option<&Path>, sweep: impl Fn(&Path)) -> Self {
        match state_dir {
            Some(folder) => sweep(folder),
            None => sweep(&std::env::temp_dir()),
        }
        Self {
            state_dir: state_dir.map(Path::to_owned),
        }
    }

    /// Makes something in the folder, which may have gone away or come back since the last time.
    pub(super) fn make<T>(
        &self,
        make: impl Fn(&Path) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let Some(folder) = &self.state_dir else {
            return make(&std::env::temp_dir());
        };
        // Why it cannot be made is said by what cannot be made in it.
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        match make(folder) {
            Err(error) if error.class() == ErrorClass::Disk => {
                tracing::debug!("the folder for temporary files is used instead: {error}");
                // The first failure says more.
                make(&std::env::temp_dir()).map_err(|_| error)
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(folder: &Path) -> SourceError {
        SourceError::new(ErrorClass::Disk, folder.display().to_string())
    }

    #[test]
    fn the_state_directory_comes_first_and_is_made_anew() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let scratch = Scratch::new(Some(&folder), |_| ());
        let first = scratch.make(|folder| Ok(folder.to_owned())).unwrap();
        assert_eq!(first, folder);
        assert!(folder.is_dir());
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::write(&folder, "a file").unwrap();
        let is_folder = |folder: &Path| {
            let found = folder.is_dir().then(|| folder.to_owned());
            found.ok_or_else(|| refuse(folder))
        };
        assert_eq!(scratch.make(is_folder).unwrap(), std::env::temp_dir());
        std::fs::remove_file(&folder).unwrap();
        assert_eq!(scratch.make(is_folder).unwrap(), folder);
    }

    #[test]
    fn the_state_directory_is_blamed_when_nothing_works() {
        let scratch = Scratch::new(Some(Path::new("/proc/nope")), |_| ());
        let error = scratch.make(|folder| Err::<(), _>(refuse(folder)));
        assert_eq!(error.unwrap_err().to_string(), "/proc/nope");
    }
}
