//! What a server's folder says about the server, and the configuration that follows from it.
//!
//! The folder has `data` (PostgreSQL's own), `postgres.log`, and `server.json`, the description. It is written when the
//! server is complete: a folder without it was left by a creation that was interrupted.

use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::PostgresError;
use super::programs::ADMIN;

/// The file in which the description is kept.
const FILE: &str = "server.json";

/// A server, as its folder describes it. Whether it is a standby is PostgreSQL's own knowledge: `standby.signal`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Description {
    /// What tells this server's processes from those of others; it is in their titles.
    #[serde(default)]
    pub(super) id: String,
    /// The password of [`ADMIN`], which a standby has from its primary.
    pub(super) admin_password: String,
    /// The role that owns the database.
    pub(super) owner: String,
    /// The name of that database.
    pub(super) database: String,
    /// The port of the pipe that leads to the primary, if there ever was one.
    #[serde(default)]
    pub(super) source: Option<u16>,
    /// The port that was asked for.
    #[serde(default)]
    pub(super) wanted_port: Option<u16>,
    /// The port of the last start, which is tried again so that clients find the server; 0 before the first.
    #[serde(default)]
    pub(super) port: u16,
    /// Whether what is committed survives the end of the machine, and not only that of the process.
    #[serde(default)]
    pub(super) durable: bool,
    /// Whether sessions are read-only unless they ask for something else.
    #[serde(default)]
    pub(super) fenced: bool,
    /// Whether the data is being rewound: if that is interrupted, the data is unusable.
    #[serde(default)]
    pub(super) rewinding: bool,
}

impl Description {
    /// Reads the description of the server in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, PostgresError> {
        let path = folder.join(FILE);
        match std::fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map_err(|source| PostgresError::Unreadable { path, source }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(PostgresError::Incomplete { folder: folder.to_owned() })
            }
            Err(error) => Err(PostgresError::file("read", path)(error)),
        }
    }

    /// Whether there is a complete server in `folder`.
    pub(super) fn is_in(folder: &Path) -> bool {
        folder.join(FILE).exists()
    }

    /// Writes the description of the server in `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<(), PostgresError> {
        let path = folder.join(FILE);
        let json = serde_json::to_vec_pretty(self)
            .map_err(|source| PostgresError::Unreadable { path: path.clone(), source })?;
        replace(&path, &json)
    }

    /// The whole of `postgresql.conf` for the server called `name` at `port`.
    pub(super) fn configuration(&self, name: &str, port: u16) -> String {
        let set = |name: &str, value: &str| format!("{name} = '{}'", value.replace('\\', "\\\\").replace('\'', "''"));
        let on = |yes| if yes { "on" } else { "off" };
        let mut lines = vec![
            SETTINGS.to_owned(),
            set("port", &port.to_string()),
            set("cluster_name", name),
            set("fsync", on(self.durable)),
            set("default_transaction_read_only", on(self.fenced)),
        ];
        if let Some(source) = self.source {
            let password = &self.admin_password;
            let source = format!("host=127.0.0.1 port={source} user={ADMIN} password={password} dbname=postgres");
            lines.push(set("primary_conninfo", &source));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

/// Writes a file so that whoever reads it sees the old contents or the new ones.
pub(super) fn replace(path: &Path, contents: &[u8]) -> Result<(), PostgresError> {
    let failed = || PostgresError::file("write", path);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
    file.write_all(contents).map_err(failed())?;
    file.persist(path).map_err(|error| failed()(error.error))?;
    Ok(())
}

/// The settings of every server: many of them, small and quiet, run on one machine.
const SETTINGS: &str = "\
# Written by drctl at each start.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
# An operator in a hurry compares times with those of drctl's report.
timezone = 'UTC'
log_timezone = 'UTC'

# Memory and processes.
shared_buffers = 8MB
dynamic_shared_memory_type = mmap
io_method = sync
max_worker_processes = 2
max_parallel_workers = 0
max_logical_replication_workers = 0
autovacuum_max_workers = 1
autovacuum_worker_slots = 1
jit = off

# Replication. A standby that was cut off finds the last 256 MB of changes; after more, it is copied anew. Connections
# are never given up because of silence: how late the pipe between two servers is, is the sandbox's affair.
wal_level = replica
max_wal_senders = 5
max_replication_slots = 0
wal_keep_size = 256MB
min_wal_size = 4MB
max_wal_size = 64MB
checkpoint_timeout = 30min
wal_sender_timeout = 0
wal_receiver_timeout = 0
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 500ms

# Passwords: cheap to check, and never in the log.
password_encryption = scram-sha-256
scram_iterations = 64
log_min_error_statement = panic
log_checkpoints = off
";

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn description() -> Description {
        Description {
            id: "1a2b".to_owned(),
            admin_password: "a'b\\c".to_owned(),
            owner: "payments".to_owned(),
            database: "ledger".to_owned(),
            source: Some(4711),
            wanted_port: None,
            port: 0,
            durable: false,
            fenced: true,
            rewinding: false,
        }
    }

    #[test]
    fn a_description_round_trips_and_is_read_by_its_owner_only() -> TestResult {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir()?;
        assert!(matches!(Description::read(dir.path()), Err(PostgresError::Incomplete { .. })));
        description().write(dir.path())?;
        let read = Description::read(dir.path())?;
        assert_eq!((read.source, read.fenced, read.admin_password), (Some(4711), true, "a'b\\c".to_owned()));
        assert_eq!(std::fs::metadata(dir.path().join(FILE))?.permissions().mode() & 0o777, 0o600);
        Ok(())
    }

    #[test]
    fn the_configuration_quotes_its_values() {
        let text = description().configuration("o'ne", 5432);
        assert!(text.contains("cluster_name = 'o''ne'\n"), "{text}");
        assert!(text.contains("password=a''b\\\\c dbname"), "{text}");
        assert!(text.contains("default_transaction_read_only = 'on'\n") && text.contains("port = '5432'\n"), "{text}");
    }
}
