//! The state of a stack on disk: snapshot, journal, and lock together.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::error::quoted;
use super::journal::{self, Header, Journal, Transition};
use super::lock::Lock;
use super::snapshot::{FORMAT, Identity, Snapshot};
use super::{Address, Entry, Failed, StateError, check_transition};

/// Where the files of one stack are.
#[derive(Debug, Clone)]
pub struct Location {
    folder: PathBuf,
    name: String,
}

impl Location {
    /// The files of stack `name` (`{stack}-{environment}`) in `folder`.
    #[must_use]
    pub fn new(folder: &Path, name: &str) -> Self {
        Self { folder: folder.to_owned(), name: name.to_owned() }
    }

    /// The path of the snapshot.
    #[must_use]
    pub fn snapshot(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }

    /// The path of the journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.folder.join(format!("{}.journal", self.name))
    }

    /// The path of the lock.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.folder.join(format!("{}.lock", self.name))
    }

    /// The stacks that have a state in a folder, sorted.
    #[must_use]
    pub fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".json").or_else(|| name.strip_suffix(".journal")).map(str::to_owned))
            .filter(|name| name.contains('-'))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Reads the state as it is, with what an unfinished run has left in the journal. Changes nothing, and takes no lock.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn read(&self) -> Result<Option<Snapshot>, StateError> {
        match self.read_once() {
            // Without the lock, a run may have folded its journal between the two reads.
            Err(StateError::Unreadable { .. }) => self.read_once(),
            read => read,
        }
    }

    fn read_once(&self) -> Result<Option<Snapshot>, StateError> {
        let journal = journal::read(&self.journal())?;
        let snapshot = Snapshot::read(&self.snapshot())?;
        let Some(recovered) = journal else {
            return Ok(snapshot);
        };
        let path = self.journal();
        if recovered.header.format > FORMAT {
            return Err(StateError::Newer { path, found: recovered.header.format, written_by: "unknown".to_owned() });
        }
        let mut snapshot = snapshot.unwrap_or_else(|| Snapshot {
            lineage: recovered.header.lineage.clone(),
            ..Snapshot::new(recovered.header.identity.clone())
        });
        if recovered.header.lineage != snapshot.lineage {
            let ours = format!("lineage {} of {}", quoted(&snapshot.lineage), self.snapshot().display());
            let theirs = format!("lineage {}", recovered.header.lineage);
            return Err(StateError::foreign(&path, "state", &theirs, &ours));
        }
        if recovered.header.serial < snapshot.serial {
            // The run ended between replacing the snapshot and removing the journal.
            return Ok(Some(snapshot));
        }
        if recovered.header.serial > snapshot.serial {
            return Err(StateError::Unreadable {
                path: self.snapshot(),
                detail: format!(
                    "it is missing or older (serial {}) than what {} builds on (serial {})",
                    snapshot.serial,
                    path.display(),
                    recovered.header.serial
                ),
                help: "Nothing was changed. Put back the snapshot of that serial; or move the journal aside and run \
                       `drctl up`, which finds by its tags what was created since. Do not run `drctl down` before that."
                    .to_owned(),
            });
        }
        let changed = !recovered.transitions.is_empty();
        for Transition { address, entry, .. } in recovered.transitions {
            match entry {
                Some(entry) => snapshot.resources.insert(address, entry),
                None => snapshot.resources.remove(&address),
            };
        }
        // Checked before it is folded into a snapshot, which would then be refused for ever.
        snapshot.check(&path)?;
        if changed {
            snapshot.serial = snapshot.serial.saturating_add(1);
        }
        Ok(Some(snapshot))
    }

    /// Takes the lock, folds what an unfinished run has left, and opens the state for writing.
    ///
    /// # Errors
    /// When the lock is held, a file cannot be used, or the state belongs to another stack.
    pub fn open(&self, identity: Identity, command: &str) -> Result<Store, StateError> {
        fs::create_dir_all(&self.folder).map_err(|e| StateError::io("create the state folder", &self.folder, e))?;
        let lock = Lock::acquire(&self.lock(), command)?;
        let mut snapshot = match self.read()? {
            // A state without resources is not bound to anything: Regions and account may change after a `down`.
            Some(snapshot) if snapshot.resources.is_empty() => {
                let failed = if snapshot.identity == identity { snapshot.failed } else { BTreeMap::new() };
                Snapshot { identity, failed, ..snapshot }
            }
            Some(snapshot) => {
                check_identity(&self.snapshot(), &snapshot.identity, &identity)?;
                snapshot
            }
            None => Snapshot::new(identity),
        };
        env!("CARGO_PKG_VERSION").clone_into(&mut snapshot.tool_version);
        let mut store = Store { at: Some(self.clone()), snapshot, journal: None, is_folded: true, _lock: Some(lock) };
        if self.journal().exists() {
            store.replace_snapshot()?;
        }
        Ok(store)
    }
}

/// Refuses the state of another account, stack, environment, or pair of Regions.
///
/// # Errors
/// [`StateError::Foreign`], naming the first difference.
pub fn check_identity(path: &Path, recorded: &Identity, expected: &Identity) -> Result<(), StateError> {
    let pairs = [
        ("stack", &recorded.stack, &expected.stack),
        ("environment", &recorded.environment, &expected.environment),
        ("account", &recorded.account, &expected.account),
        ("primary Region", &recorded.regions.primary, &expected.regions.primary),
        ("secondary Region", &recorded.regions.secondary, &expected.regions.secondary),
    ];
    match pairs.into_iter().find(|(_, recorded, expected)| recorded != expected) {
        None => Ok(()),
        Some((what, recorded, expected)) => Err(StateError::foreign(path, what, recorded, expected)),
    }
}

/// A state that is open for writing. The lock is held while it lives.
#[derive(Debug)]
pub struct Store {
    /// `None` for a state in memory.
    at: Option<Location>,
    snapshot: Snapshot,
    journal: Option<Journal>,
    is_folded: bool,
    _lock: Option<Lock>,
}

impl Store {
    /// An empty state without files, for runs that create nothing that lasts, such as simulations.
    #[must_use]
    pub fn in_memory(identity: Identity) -> Self {
        Self { at: None, snapshot: Snapshot::new(identity), journal: None, is_folded: true, _lock: None }
    }

    /// The state as of the last durable transition.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What the state holds, by address.
    #[must_use]
    pub fn resources(&self) -> &BTreeMap<Address, Entry> {
        &self.snapshot.resources
    }

    /// Hands out the journal, so that a thread of its own can wait for the disk. It is given back with [`Store::returned`].
    ///
    /// # Errors
    /// When the journal cannot be started.
    pub fn take_journal(&mut self) -> Result<Journal, StateError> {
        match (self.journal.take(), &self.at) {
            (Some(journal), _) => Ok(journal),
            (None, None) => Ok(Journal::in_memory()),
            (None, Some(at)) => Journal::create(
                &at.journal(),
                &Header {
                    format: FORMAT,
                    lineage: self.snapshot.lineage.clone(),
                    serial: self.snapshot.serial,
                    identity: self.snapshot.identity.clone(),
                },
            ),
        }
    }

    /// Takes the journal back, with the transitions that it has made durable.
    pub fn returned(&mut self, journal: Journal, durable: Vec<Transition>) {
        self.journal = Some(journal);
        self.is_folded &= durable.is_empty();
        for Transition { address, entry, .. } in durable {
            match entry {
                Some(entry) => self.snapshot.resources.insert(address, entry),
                None => self.snapshot.resources.remove(&address),
            };
        }
    }

    /// Makes transitions durable and waits for the disk.
    ///
    /// # Errors
    /// When a transition is not allowed or the disk refuses.
    pub fn append(&mut self, transitions: Vec<Transition>) -> Result<(), StateError> {
        for t in &transitions {
            check_transition(&t.address, self.snapshot.resources.get(&t.address), t.entry.as_ref())?;
        }
        let mut journal = self.take_journal()?;
        journal.append(&transitions.iter().collect::<Vec<_>>())?;
        self.returned(journal, transitions);
        Ok(())
    }

    /// Sets whether `protection.deletion` is on. The next [`Store::fold`] writes it.
    pub fn protect(&mut self, protected: bool) {
        self.is_folded &= self.snapshot.protected == protected;
        self.snapshot.protected = protected;
    }

    /// Records failures of this run, and removes older ones: of resources that this run completed, and of resources that are
    /// neither configured nor recorded. The next [`Store::fold`] writes it.
    pub fn remember(
        &mut self,
        outcomes: impl IntoIterator<Item = (Address, Option<Failed>)>,
        is_wanted: impl Fn(&Address) -> bool,
    ) {
        let Snapshot { resources, failed, .. } = &mut self.snapshot;
        let before = failed.len();
        failed.retain(|address, _| is_wanted(address) || resources.contains_key(address));
        self.is_folded &= failed.len() == before;
        for (address, failed) in outcomes {
            let failed_here = failed.is_some();
            let before = match failed {
                Some(failed) => self.snapshot.failed.insert(address, failed),
                None => self.snapshot.failed.remove(&address),
            };
            self.is_folded &= before.is_none() && !failed_here;
        }
    }

    /// Forgets a resource without touching AWS: `drctl state rm`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn forget(&mut self, address: &Address) -> Result<(), StateError> {
        self.append(vec![Transition { at: Timestamp::now(), address: address.clone(), entry: None }])
    }

    /// Folds the journal into the snapshot at the end of a run.
    ///
    /// # Errors
    /// When the disk refuses. The journal then still holds everything.
    pub fn fold(&mut self) -> Result<(), StateError> {
        if self.is_folded && self.journal.is_none() {
            return Ok(());
        }
        if !self.is_folded {
            self.snapshot.serial = self.snapshot.serial.saturating_add(1);
        }
        self.replace_snapshot()
    }

    fn replace_snapshot(&mut self) -> Result<(), StateError> {
        if let Some(at) = &self.at {
            self.snapshot.write(&at.snapshot())?;
        }
        self.journal = None;
        self.is_folded = true;
        let Some(at) = &self.at else { return Ok(()) };
        let path = at.journal();
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StateError::io("remove", &path, e)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Regions;

    fn identity() -> Identity {
        Identity {
            stack: "pay".into(),
            environment: "test".into(),
            account: "123456789012".into(),
            regions: Regions { primary: "us-east-1".into(), secondary: "us-east-2".into() },
        }
    }

    #[test]
    fn a_state_in_memory_needs_no_disk() {
        let mut store = Store::in_memory(identity());
        assert!(!store.take_journal().expect("a journal that keeps nothing").is_on_disk());
        let gone = Address::new(crate::state::Role::Primary, "vpc", "main");
        store.forget(&gone).expect("taken");
        store.fold().expect("folded");
        assert_eq!((store.snapshot().serial, store.resources().len()), (1, 0));
    }

    #[test]
    fn a_journal_that_builds_on_another_snapshot_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = Location::new(folder.path(), "pay-test");
        let mut store = at.open(identity(), "up").expect("opened");
        store.protect(true);
        store.fold().expect("folded");
        let journal = store.take_journal().expect("a journal on serial 1");
        drop((journal, store));
        assert!(at.read().expect("read").expect("some").protected);
        fs::remove_file(at.snapshot()).expect("removed");
        let refusal = at.read().expect_err("the journal alone is not a state");
        assert!(refusal.to_string().contains("missing or older (serial 0)"), "{refusal}");
    }
}
