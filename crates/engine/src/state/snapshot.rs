//! The snapshot: the state as of the end of the last run, one JSON file per stack.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::quoted;
use super::{Address, Entry, Failed, StateError};

/// The format that this drctl writes. It reads older ones and refuses newer ones.
pub const FORMAT: u64 = 1;

/// The stack that a state belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The stack's name.
    pub stack: String,
    /// The environment's name.
    pub environment: String,
    /// The AWS account, 12 digits.
    pub account: String,
    /// The Regions that it was built in.
    pub regions: Regions,
}

/// The two Regions of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Regions {
    /// The Region that serves, e.g. `us-east-1`.
    pub primary: String,
    /// The standby Region, e.g. `us-east-2`.
    pub secondary: String,
}

/// The whole state of one stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The format of this file.
    pub format: u64,
    /// Created once, with the state: tells two states of the same name apart.
    pub lineage: String,
    /// Grows by one with every run that changes something.
    pub serial: u64,
    /// The version of drctl that wrote it.
    pub tool_version: String,
    /// The stack that it belongs to.
    pub identity: Identity,
    /// Whether drctl has set deletion protection, by `protection.deletion`, and has not lifted it yet: then `down` refuses, even without
    /// a configuration.
    #[serde(default)]
    pub protected: bool,
    /// The resources, by address.
    pub resources: BTreeMap<Address, Entry>,
    /// What runs have failed at, by address, until a later run succeeds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<Address, Failed>,
}

impl Snapshot {
    /// An empty state.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            format: FORMAT,
            lineage: uuid::Uuid::new_v4().to_string(),
            serial: 0,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            identity,
            protected: false,
            resources: BTreeMap::new(),
            failed: BTreeMap::new(),
        }
    }

    /// The JSON Schema of the format, as shipped in `docs/state.schema.json`.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// Reads a snapshot. `None` when there is no such file.
    ///
    /// # Errors
    /// When it cannot be read, is not a state, or is newer than this drctl.
    pub fn read(path: &Path) -> Result<Option<Self>, StateError> {
        let Some(bytes) = super::error::read(path)? else { return Ok(None) };
        Self::parse(path, &bytes).map(Some)
    }

    /// Parses the bytes of a snapshot, the only way to get one from outside. The version is checked first.
    ///
    /// # Errors
    /// When they are not a state, or newer than this drctl. `path` is only named in the error.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, StateError> {
        #[derive(Deserialize)]
        struct Gate {
            format: u64,
            #[serde(default)]
            tool_version: String,
        }
        let unreadable = |detail: String| unreadable(path, &detail);
        if bytes.is_empty() {
            return Err(unreadable("the file is empty".to_owned()));
        }
        let gate: Gate = serde_json::from_slice(bytes).map_err(|e| unreadable(e.to_string()))?;
        if gate.format > FORMAT {
            let written_by = if gate.tool_version.is_empty() {
                "unknown".to_owned()
            } else {
                format!("drctl {}", quoted(&gate.tool_version))
            };
            return Err(StateError::Newer { path: path.to_owned(), found: gate.format, written_by });
        }
        if gate.format == 0 {
            return Err(unreadable("format 0 does not exist".to_owned()));
        }
        let snapshot: Self = serde_json::from_slice(bytes).map_err(|e| unreadable(e.to_string()))?;
        snapshot.check(path)?;
        Ok(snapshot)
    }

    /// Refuses an entry on which nothing could be done: one without an id. `path` is only named in the error.
    pub(super) fn check(&self, path: &Path) -> Result<(), StateError> {
        for (address, entry) in &self.resources {
            super::entry::check_transition(address, None, Some(entry))
                .or_else(|e| if entry.status.is_open_intent() && entry.id.is_some() { Ok(()) } else { Err(e) })
                .map_err(|_| unreadable(path, &format!("{address} is `{}` without an id", entry.status.as_str())))?;
        }
        Ok(())
    }

    /// Replaces the file: temporary file, fsync, the old one kept as `.bak`, rename, fsync of the folder.
    ///
    /// # Errors
    /// What the operating system says. The old file is then still in place.
    pub fn write(&self, path: &Path) -> Result<(), StateError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| StateError::io("write", path, e.into()))?;
        bytes.push(b'\n');
        // Always the same name, under the lock: the next run overwrites what a crash leaves.
        let new = beside(path, ".new");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            let backup = backup_path(path);
            // A hard link keeps the predecessor, and there is no moment without a state.
            match fs::remove_file(&backup) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            match fs::hard_link(path, &backup) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => fs::copy(path, &backup).map(|_| ())?,
                _ => {}
            }
            fs::rename(&new, path)?;
            sync_folder(path)
        };
        write().map_err(|e| {
            // What has to be reported is the failure itself, and the next run overwrites the file.
            drop(fs::remove_file(&new));
            StateError::io("write", path, e)
        })
    }
}

fn unreadable(path: &Path, detail: &str) -> StateError {
    let backup = backup_path(path);
    let aside = "Move it aside and run `drctl orphans --adopt`, which finds by its tags what was created, then `drctl up`, which \
                 completes the record.";
    let help = if backup.exists() {
        format!(
            "Nothing was changed. The state before the last run is kept in {}: copy it over this file if it is the one you \
             want; `drctl plan` then shows what differs from AWS. Or start without either: {}{}",
            backup.display(),
            aside[..1].to_lowercase(),
            &aside[1..]
        )
    } else {
        format!("Nothing was changed. {aside}")
    };
    StateError::Unreadable { path: path.to_owned(), detail: quoted(detail), help }
}

/// The path at which the predecessor of a snapshot is kept.
#[must_use]
pub fn backup_path(path: &Path) -> PathBuf {
    beside(path, ".bak")
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Makes a new file name durable, by an fsync of its folder.
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
