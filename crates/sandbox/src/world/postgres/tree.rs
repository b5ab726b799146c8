//! Folders of servers, as wholes.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};

use super::error::PostgresError;

/// Creates a folder that only this user can read, with the folders above it. It is not an error if it exists.
pub(super) fn create(folder: &Path) -> Result<(), PostgresError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(PostgresError::file("create", folder))
}

/// Removes a folder with everything in it. It is not an error if there is none.
pub(super) async fn remove(folder: &Path) -> Result<(), PostgresError> {
    let path = folder.to_owned();
    match blocking(move || std::fs::remove_dir_all(path)).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PostgresError::file("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// Copies a data folder to a place where there is nothing, for `owner` if it is not for this user.
///
/// Where the file system can share blocks between files, it does. What identifies a running server is left out.
pub(super) async fn copy(from: &Path, to: &Path, owner: Option<u32>) -> Result<(), PostgresError> {
    let (source, target) = (from.to_owned(), to.to_owned());
    match blocking(move || copy_folder(&source, &target, owner)).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            Err(PostgresError::NoSpace { folder: to.to_owned(), output: error.to_string() })
        }
        Err(error) => Err(PostgresError::file("copy the data folder to", to)(error)),
    }
}

/// The files that belong to a process and not to the data.
const OF_A_PROCESS: [&str; 2] = ["postmaster.pid", "postmaster.opts"];

fn copy_folder(from: &Path, to: &Path, owner: Option<u32>) -> io::Result<()> {
    let mut folders: Vec<(PathBuf, PathBuf)> = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = folders.pop() {
        std::fs::DirBuilder::new().mode(0o700).create(&to)?;
        own(&to, owner)?;
        for entry in std::fs::read_dir(&from)? {
            let entry = entry?;
            if OF_A_PROCESS.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let target = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push((entry.path(), target));
            } else {
                std::fs::copy(entry.path(), &target)?;
                own(&target, owner)?;
            }
        }
    }
    Ok(())
}

fn own(path: &Path, owner: Option<u32>) -> io::Result<()> {
    match owner {
        Some(owner) => chown(path, Some(owner), Some(owner)),
        None => Ok(()),
    }
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[tokio::test]
    async fn a_copy_has_everything_but_the_traces_of_the_process() -> TestResult {
        let dir = tempfile::tempdir()?;
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::create_dir_all(from.join("base/1"))?;
        std::fs::write(from.join("base/1/1259"), "rows")?;
        std::fs::write(from.join("postmaster.pid"), "17")?;
        copy(&from, &to, None).await?;
        assert_eq!(std::fs::read_to_string(to.join("base/1/1259"))?, "rows");
        assert!(!to.join("postmaster.pid").exists());
        assert_eq!(std::fs::metadata(&to)?.permissions().mode() & 0o777, 0o700);
        assert!(copy(&from, &to, None).await.is_err(), "two servers must not be mixed");
        remove(&to).await?;
        remove(&to).await?;
        assert!(!to.exists());
        Ok(())
    }
}
