//! PostgreSQL's programs, and the identity under which they run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::error::PostgresError;
use super::supervised::{self, Ending};
use super::tree;

/// The role that owns each cluster of databases: replication and drctl's own statements use it, so that both go on when
/// the password of the user's role changes, and so that the user's role need not be a superuser (as on AWS, it is not).
pub(super) const ADMIN: &str = "drctl_admin";

/// How long `--version` may take: it reads the program from the disk.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// Longer than a copy of a server that a sandbox can hold takes: after this time, something hangs.
const PROGRAM_LIMIT: Duration = Duration::from_mins(5);

/// How many lines of a program's output are shown.
const OUTPUT_LINES: usize = 15;

/// The number of the account `nobody`, which has a name on every system.
const NOBODY: u32 = 65534;

/// How the programs run: PostgreSQL refuses to work as root, and as a user that has no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// As the user that runs drctl.
    Own,
    /// As the account `nobody` of a user namespace, which is the user that runs drctl outside of it. The files are that
    /// user's, as the rest of the sandbox's are.
    Namespace,
    /// As the account `nobody`, which keeps the capability to reach its files wherever they are: root's folders are
    /// closed to everybody else. This is what works in a container.
    Account,
}

impl Identity {
    /// What stands before a program, so that it runs under this identity.
    fn words(self) -> Vec<OsString> {
        let nobody = |option: &str| format!("--{option}={NOBODY}");
        let words = match self {
            Self::Own => Vec::new(),
            Self::Namespace => vec!["unshare".into(), "--user".into(), nobody("map-user"), nobody("map-group")],
            Self::Account => vec![
                "setpriv".into(),
                // Without it, access(2) does not see the capability, and the programs look for each other with that.
                "--securebits=+no_setuid_fixup".into(),
                nobody("reuid"),
                nobody("regid"),
                "--clear-groups".into(),
                "--inh-caps=+dac_override".into(),
                "--ambient-caps=+dac_override".into(),
            ],
        };
        words.into_iter().map(OsString::from).collect()
    }

    /// What it is called in a message.
    fn described(self) -> &'static str {
        match self {
            Self::Own => "as this user",
            Self::Namespace => "in a user namespace (unshare)",
            Self::Account => "as another account (setpriv)",
        }
    }

    /// Who has to own the data folders, if it is not the user that runs drctl. PostgreSQL refuses anybody else's.
    pub(super) fn owner(self) -> Option<u32> {
        (self == Self::Account).then_some(NOBODY)
    }
}

/// PostgreSQL's programs on this machine, and how they run.
#[derive(Debug, Clone)]
pub struct Programs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    version: String,
    identity: Identity,
    home: PathBuf,
    template: OnceCell<Template>,
}

/// An empty cluster of databases, from which new servers are copied: that takes a fraction of initdb's time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Template {
    /// The password of [`ADMIN`].
    pub(super) admin_password: String,
    version: String,
    #[serde(skip)]
    pub(super) data: PathBuf,
}

impl Programs {
    /// Finds out how the programs in `folder` run here. `home` is where the sandbox keeps what its servers share.
    ///
    /// # Errors
    ///
    /// When the programs do not run at all, or when they run under no identity that this process can give them.
    pub async fn find(folder: &Path, home: &Path) -> Result<Self, PostgresError> {
        let unusable = |why| PostgresError::Programs { folder: folder.to_owned(), why };
        let version = version(folder).await.map_err(unusable)?;
        let candidates = if rustix::process::geteuid().is_root() {
            [Identity::Namespace, Identity::Account]
        } else {
            [Identity::Own, Identity::Namespace]
        };
        let mut refusals = Vec::new();
        for identity in candidates {
            match refusal(folder, identity).await {
                None => {
                    tracing::debug!(version, ?identity, folder = %folder.display(), "PostgreSQL found");
                    return Ok(Self::with_identity(folder, home, version, identity));
                }
                Some(why) => refusals.push(format!("{}: {why}", identity.described())),
            }
        }
        Err(PostgresError::NoIdentity { refusals: refusals.join("\n  ") })
    }

    pub(super) fn with_identity(folder: &Path, home: &Path, version: String, identity: Identity) -> Self {
        Self(Arc::new(Inner {
            folder: folder.to_owned(),
            version,
            identity,
            home: home.to_owned(),
            template: OnceCell::new(),
        }))
    }

    /// PostgreSQL's version, for example `18.6`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// Where PostgreSQL's programs are: `psql` and `pgbench` among them.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    pub(super) fn identity(&self) -> Identity {
        self.0.identity
    }

    /// The command line that runs a program.
    pub(super) fn words(&self, program: &str) -> Vec<OsString> {
        let mut words = self.0.identity.words();
        words.push(self.0.folder.join(program).into_os_string());
        words
    }

    /// Runs a program that works on the server in `folder` until it has ended.
    pub(super) async fn run(
        &self,
        program: &'static str,
        arguments: Vec<OsString>,
        password: &str,
        folder: &Path,
    ) -> Result<(), PostgresError> {
        let mut words = self.words(program);
        words.extend(arguments);
        let mut command = supervised::command(&words, Ending::Terminate);
        command.env("PGPASSWORD", password).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|source| PostgresError::Spawn { program: program.to_owned(), source })?;
        // Closed when this function returns, or is not polled any more: the program is then ended.
        let _channel = child.stdin.take();
        let failed = |output| PostgresError::ProgramFailed { program, folder: folder.to_owned(), output };
        match tokio::time::timeout(PROGRAM_LIMIT, child.wait_with_output()).await {
            Err(_) => Err(failed(format!("it did not end within {} minutes", PROGRAM_LIMIT.as_secs() / 60))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => {
                let text = [output.stdout, output.stderr].concat();
                let text = String::from_utf8_lossy(&text);
                let lines: Vec<&str> = text.lines().collect();
                let text =
                    format!("{}\n({})", lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n"), output.status);
                Err(PostgresError::shortage(folder, &text).unwrap_or_else(|| failed(text)))
            }
        }
    }

    /// Makes what new servers are copied from, if it is not there yet, so that the first of them does not take longer.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub async fn prepare(&self) -> Result<(), PostgresError> {
        self.template().await.map(|_| ())
    }

    /// The empty cluster, which is made first if there is none.
    pub(super) async fn template(&self) -> Result<&Template, PostgresError> {
        self.0.template.get_or_try_init(|| self.make_template()).await
    }

    async fn make_template(&self) -> Result<Template, PostgresError> {
        let home = &self.0.home;
        tree::create(home)?;
        // initdb runs in another folder.
        let home = std::fs::canonicalize(home).map_err(PostgresError::file("resolve", home))?;
        let (place, building) = (home.join("template"), home.join("template.unfinished"));
        if let Some(template) = read_template(&place)?.filter(|template| template.version == self.0.version) {
            return Ok(template);
        }
        tree::remove(&building).await?;
        tree::create(&building)?;
        let template = Template {
            admin_password: uuid::Uuid::new_v4().simple().to_string(),
            version: self.0.version.clone(),
            data: building.join("data"),
        };
        let password = building.join("password");
        std::fs::write(&password, &template.admin_password).map_err(PostgresError::file("write", &password))?;
        let mut arguments: Vec<OsString> = [
            "--username",
            ADMIN,
            "--auth=scram-sha-256",
            // Hashing a password is made cheap: each new connection does it, and nobody who cannot read this folder sees
            // the hash.
            "--set=scram_iterations=64",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            // Segments of 1 MB instead of 16: an idle server is that much smaller.
            "--wal-segsize=1",
            "--no-sync",
            "--no-instructions",
        ]
        .map(OsString::from)
        .into();
        for (option, path) in [("--pwfile", &password), ("--pgdata", &template.data)] {
            arguments.extend([option.into(), path.into()]);
        }
        self.run("initdb", arguments, "", &building).await?;
        std::fs::remove_file(&password).map_err(PostgresError::file("remove", &password))?;
        let described = building.join(TEMPLATE);
        let json = serde_json::to_vec(&template)
            .map_err(|source| PostgresError::Unreadable { path: described.clone(), source })?;
        std::fs::write(&described, json).map_err(PostgresError::file("write", &described))?;
        tree::remove(&place).await?;
        std::fs::rename(&building, &place).map_err(PostgresError::file("move the finished template to", &place))?;
        Ok(Template { data: place.join("data"), ..template })
    }
}

/// The file that describes a template, written last.
const TEMPLATE: &str = "template.json";

fn read_template(place: &Path) -> Result<Option<Template>, PostgresError> {
    let path = place.join(TEMPLATE);
    match std::fs::read(&path) {
        Ok(json) => serde_json::from_slice(&json)
            .map(|template| Some(Template { data: place.join("data"), ..template }))
            .map_err(|source| PostgresError::Unreadable { path, source }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PostgresError::file("read", path)(error)),
    }
}

/// The version of the programs in `folder`, which any user may ask for; or what happened instead.
pub(super) async fn version(folder: &Path) -> Result<String, String> {
    let output = answer(folder.join("postgres").into(), vec!["--version".into()]).await?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        return Err(format!("{} ({})", said(&output.stderr), output.status));
    }
    // "postgres (PostgreSQL) 18.6", to which distributions may add words of their own.
    let answer = said(&output.stdout);
    let version = answer.split_once(") ").and_then(|(_, rest)| rest.split_whitespace().next());
    version.map(str::to_owned).ok_or_else(|| format!("it printed {answer:?} instead of a version"))
}

/// Why the programs in `folder` do not work under `identity`; `None` if they do.
///
/// initdb is asked to work in a place where there can be no folder. It looks at that place only once it is content with
/// the user, and names it in its complaint.
pub(super) async fn refusal(folder: &Path, identity: Identity) -> Option<String> {
    const NO_PLACE: &str = "/dev/null/server";
    let mut words = identity.words();
    words.push(folder.join("initdb").into_os_string());
    let program = words.remove(0);
    words.extend(["--pgdata".into(), NO_PLACE.into()]);
    match answer(program, words).await {
        Err(why) => Some(why),
        Ok(output) => {
            let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            (!complaint.contains(NO_PLACE)).then(|| format!("{complaint} ({})", output.status))
        }
    }
}

async fn answer(program: OsString, arguments: Vec<OsString>) -> Result<Output, String> {
    let running =
        Command::new(&program).args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true).output();
    match tokio::time::timeout(ANSWERS_WITHIN, running).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(format!("{} cannot be started: {error}", program.to_string_lossy())),
        Err(_) => Err(format!("no answer within {} s", ANSWERS_WITHIN.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn programs_that_do_not_run_are_an_error_that_says_so() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let error =
            Programs::find(dir.path(), dir.path()).await.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("cannot be started"), "{error}");
        Ok(())
    }

    #[test]
    fn only_the_account_has_files_of_its_own() {
        assert_eq!(Identity::Own.owner(), None);
        assert_eq!(Identity::Namespace.owner(), None);
        assert_eq!(Identity::Account.owner(), Some(NOBODY));
        assert!(Identity::Own.words().is_empty());
    }
}
