//! The code that is deployed, as the zip that Lambda takes.
//!
//! The same input always gives the same bytes, on any machine, by any user and at any time: the zip's hash is a property of the
//! function, and code that did not change must not be deployed again.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use aws_smithy_types::base64;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

/// The name in the configuration of the function that comes with drctl.
const BUILT_IN: &str = "built-in";
const BUILT_IN_FILE: &str = "payment_processor.py";
const BUILT_IN_SOURCE: &[u8] = include_bytes!("../../../../../lambda/payment_processor.py");

/// Lambda's limits in bytes: of a zip in a call, and of its contents.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const ZIPPED: u64 = 50 * 1024 * 1024;
const UNZIPPED: u64 = 250 * 1024 * 1024;

/// The first bytes of every zip.
const MAGIC: &[u8] = b"PK";

/// Code in the form in which it is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The zip.
    pub bytes: Vec<u8>,
    /// Its SHA-256 hash in base64, as Lambda returns it.
    pub sha256: String,
}

/// Why there is no code to deploy.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The operating system refused.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not code.
    #[error("{} is neither a folder nor a zip file", path.display())]
    NoPackage {
        /// What was given.
        path: PathBuf,
    },
    /// A folder without code.
    #[error("{} holds no files (hidden ones and __pycache__ are left out)", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A link to something outside the folder.
    #[error("{} is a link that leads out of the folder, or around in it; put a copy in its place", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// Neither a file nor a folder, e.g. a socket or a device.
    #[error("{} is neither a file nor a folder", path.display())]
    Special {
        /// Its path.
        path: PathBuf,
    },
    /// A name that a zip cannot carry to every machine.
    #[error("{} has a name that is not Unicode; rename it", path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// More than Lambda takes.
    #[error(
        "{} has more than {} MB {what}, the most that Lambda takes; leave out what the runtime brings along (boto3), \
         tests and data",
        path.display(),
        limit / 1024 / 1024
    )]
    TooLarge {
        /// The zip or the folder.
        path: PathBuf,
        /// What is limited.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// The zip could not be written.
    #[error("{} cannot be zipped: {source}", path.display())]
    Zip {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: zip::result::ZipError,
    },
}

/// The zip of the built-in function, a zip file as it is, or the zip of a folder. A path is relative to the working folder.
///
/// Hidden files and `__pycache__` in a folder are left out.
///
/// # Errors
/// When there is no such code, or more than Lambda takes.
pub fn zip(package: &str) -> Result<Package, PackageError> {
    let path = Path::new(package);
    let bytes = if package == BUILT_IN {
        zipped(path, [Ok((BUILT_IN_FILE.to_owned(), BUILT_IN_SOURCE.to_vec(), false))])?
    } else if metadata(path)?.is_dir() {
        zipped(path, files_of(path)?.into_iter().map(contents))?
    } else {
        as_it_is(path)?
    };
    if bytes.len() as u64 > ZIPPED {
        return Err(PackageError::TooLarge { path: path.to_owned(), what: "zipped", limit: ZIPPED });
    }
    let sha256 = base64::encode(Sha256::digest(&bytes));
    Ok(Package { bytes, sha256 })
}

/// The SHA-256 hash of the zip in base64, as Lambda returns it.
///
/// # Errors
/// As for [`zip()`].
pub fn code_sha256(package: &str) -> Result<String, PackageError> {
    zip(package).map(|package| package.sha256)
}

fn as_it_is(path: &Path) -> Result<Vec<u8>, PackageError> {
    let found = metadata(path)?;
    if !found.is_file() {
        return Err(PackageError::NoPackage { path: path.to_owned() });
    }
    if found.len() > ZIPPED {
        return Err(PackageError::TooLarge { path: path.to_owned(), what: "zipped", limit: ZIPPED });
    }
    let bytes = read(path)?;
    if bytes.starts_with(MAGIC) { Ok(bytes) } else { Err(PackageError::NoPackage { path: path.to_owned() }) }
}

/// Fixes everything that could differ between machines and times: times, permissions, system, compression. The entries keep their
/// order.
fn zipped(
    path: &Path,
    entries: impl IntoIterator<Item = Result<(String, Vec<u8>, bool), PackageError>>,
) -> Result<Vec<u8>, PackageError> {
    let refused = |source| PackageError::Zip { path: path.to_owned(), source };
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let (name, bytes, executable) = entry?;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(6))
            .last_modified_time(DateTime::DEFAULT)
            .system(System::Unix)
            .unix_permissions(if executable { 0o755 } else { 0o644 });
        writer.start_file(name, options).map_err(refused)?;
        writer.write_all(&bytes).map_err(|e| refused(e.into()))?;
    }
    writer.finish().map(Cursor::into_inner).map_err(refused)
}

/// The files of a folder with their paths in the zip, sorted by these paths.
fn files_of(folder: &Path) -> Result<Vec<(String, PathBuf)>, PackageError> {
    let mut walk = Walk { root: canonical(folder)?, folder, entries: Vec::new(), size: 0 };
    let mut above = vec![walk.root.clone()];
    walk.descend(folder, "", &mut above)?;
    if walk.entries.is_empty() {
        return Err(PackageError::Empty { path: folder.to_owned() });
    }
    walk.entries.sort();
    Ok(walk.entries)
}

struct Walk<'a> {
    folder: &'a Path,
    /// The folder, with its links resolved.
    root: PathBuf,
    /// The path of each file in the zip and on disk.
    entries: Vec<(String, PathBuf)>,
    size: u64,
}

impl Walk<'_> {
    /// `above` holds the folders above this one, with their links resolved: following a link to one of them would never end.
    fn descend(&mut self, folder: &Path, prefix: &str, above: &mut Vec<PathBuf>) -> Result<(), PackageError> {
        let failed = |source| PackageError::Read { path: folder.to_owned(), source };
        for item in fs::read_dir(folder).map_err(failed)? {
            let item = item.map_err(failed)?;
            let path = item.path();
            let Ok(name) = item.file_name().into_string() else { return Err(PackageError::Name { path }) };
            if name.starts_with('.') || name == "__pycache__" {
                continue;
            }
            let place = canonical(&path)?;
            if !place.starts_with(&self.root) || above.contains(&place) {
                return Err(PackageError::Link { path });
            }
            let found = metadata(&path)?;
            if found.is_dir() {
                above.push(place);
                self.descend(&path, &format!("{prefix}{name}/"), above)?;
                above.pop();
            } else if found.is_file() {
                self.size += found.len();
                if self.size > UNZIPPED {
                    let path = self.folder.to_owned();
                    return Err(PackageError::TooLarge { path, what: "unzipped", limit: UNZIPPED });
                }
                self.entries.push((format!("{prefix}{name}"), path));
            } else {
                return Err(PackageError::Special { path });
            }
        }
        Ok(())
    }
}

fn contents((name, file): (String, PathBuf)) -> Result<(String, Vec<u8>, bool), PackageError> {
    let executable = is_executable(&metadata(&file)?);
    Ok((name, read(&file)?, executable))
}

#[cfg(unix)]
fn is_executable(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    found.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

fn metadata(path: &Path) -> Result<fs::Metadata, PackageError> {
    fs::metadata(path).map_err(|source| PackageError::Read { path: path.to_owned(), source })
}

fn canonical(path: &Path) -> Result<PathBuf, PackageError> {
    fs::canonicalize(path).map_err(|source| PackageError::Read { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, PackageError> {
    fs::read(path).map_err(|source| PackageError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::time::{Duration, SystemTime};

    use zip::ZipArchive;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("in the folder")).expect("a folder in it");
            fs::write(path, text).expect("a file in it");
        }
        folder
    }

    fn zip_of(folder: &tempfile::TempDir) -> Result<Package, PackageError> {
        zip(folder.path().to_str().expect("Unicode"))
    }

    fn archive(package: &Package) -> ZipArchive<Cursor<Vec<u8>>> {
        ZipArchive::new(Cursor::new(package.bytes.clone())).expect("a zip")
    }

    /// The names of its files, in their order.
    fn names(package: &Package) -> Vec<String> {
        let mut archive = archive(package);
        let count = archive.len();
        let name = |index| archive.by_index(index).expect("an entry").name().expect("a name").into_owned();
        (0..count).map(name).collect()
    }

    #[test]
    fn the_built_in_function_is_zipped_alone_and_the_same_each_time() {
        let package = zip("built-in").expect("it comes along");
        assert_eq!(names(&package), ["payment_processor.py"]);
        assert_eq!(zip("built-in").expect("again"), package);
        assert_eq!(code_sha256("built-in").expect("again"), package.sha256);
        assert_eq!(base64::decode(&package.sha256).expect("base64").len(), 32);
        let mut archive = archive(&package);
        let mut file = archive.by_index(0).expect("its file");
        assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(0o644));
        let mut source = Vec::new();
        file.read_to_end(&mut source).expect("what was zipped");
        assert_eq!(source, BUILT_IN_SOURCE);
    }

    #[test]
    fn neither_order_nor_time_nor_place_changes_a_byte() {
        let one = folder(&[("b.py", "b"), ("a/x.py", "x"), ("a.py", "a")]);
        let other = folder(&[("a.py", "a"), ("a/x.py", "x"), ("b.py", "b")]);
        let past = SystemTime::now() - Duration::from_hours(24 * 400);
        let file = fs::File::options().write(true).open(other.path().join("a.py")).expect("a file");
        file.set_modified(past).expect("another time");
        let package = zip_of(&one).expect("a package");
        assert_eq!(names(&package), ["a.py", "a/x.py", "b.py"]);
        assert_eq!(zip_of(&other).expect("a package"), package);
        fs::write(one.path().join("b.py"), "c").expect("a change");
        assert_ne!(zip_of(&one).expect("a package").sha256, package.sha256);
    }

    #[test]
    fn hidden_files_and_caches_are_left_out() {
        let folder =
            folder(&[("m.py", ""), (".git/config", ""), (".env", ""), ("p/__pycache__/m.pyc", ""), ("p/n.py", "")]);
        assert_eq!(names(&zip_of(&folder).expect("a package")), ["m.py", "p/n.py"]);
    }

    #[test]
    fn a_zip_is_taken_as_it_is_and_nothing_else_is() {
        let package = zip("built-in").expect("it comes along");
        let folder = folder(&[("code.zip", ""), ("code.tar", "not a zip"), ("empty/.hidden", "")]);
        let given = |name: &str| zip(folder.path().join(name).to_str().expect("Unicode"));
        fs::write(folder.path().join("code.zip"), &package.bytes).expect("a zip");
        assert_eq!(given("code.zip").expect("as it is"), package);
        assert!(matches!(given("code.tar"), Err(PackageError::NoPackage { .. })));
        assert!(matches!(given("empty"), Err(PackageError::Empty { .. })));
        let missing = given("missing.zip").expect_err("not there").to_string();
        assert!(missing.contains("missing.zip cannot be read"), "{missing}");
    }

    #[test]
    fn code_that_is_too_large_is_refused_with_what_to_do() {
        let folder = folder(&[("code.zip", "PK")]);
        let path = folder.path().join("code.zip");
        fs::File::options().write(true).open(&path).and_then(|file| file.set_len(ZIPPED + 1)).expect("a large file");
        let refusal = zip(path.to_str().expect("Unicode")).expect_err("too large").to_string();
        assert!(refusal.contains("more than 50 MB zipped") && refusal.contains("leave out"), "{refusal}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_within_the_folder_only() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = folder(&[("run", "#!"), ("p/n.py", "")]);
        fs::set_permissions(folder.path().join("run"), fs::Permissions::from_mode(0o700)).expect("executable");
        symlink("p", folder.path().join("q")).expect("a link");
        let package = zip_of(&folder).expect("a package");
        assert_eq!(names(&package), ["p/n.py", "q/n.py", "run"]);
        let mut archive = archive(&package);
        let mode = archive.by_name("run").expect("it is there").unix_mode();
        assert_eq!(mode.map(|mode| mode & 0o777), Some(0o755));
        symlink("..", folder.path().join("p/up")).expect("a link");
        assert!(matches!(zip_of(&folder), Err(PackageError::Link { .. })));
        fs::remove_file(folder.path().join("p/up")).expect("gone");
        symlink("/", folder.path().join("out")).expect("a link");
        assert!(matches!(zip_of(&folder), Err(PackageError::Link { .. })));
    }
}
