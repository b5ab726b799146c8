//! The journal: the write-ahead log of the run in progress, one checksummed JSON line per transition.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Address, Entry, StateError};

/// The first line: the snapshot that the transitions build on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The format, as in the snapshot.
    pub format: u64,
    /// The snapshot's lineage.
    pub lineage: String,
    /// The snapshot's serial. A journal with a lower serial than the snapshot was folded already.
    pub serial: u64,
    /// The stack that the state belongs to: a first run has no snapshot yet.
    pub identity: super::Identity,
}

/// Every further line: what has become of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// When it happened.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The resource.
    pub address: Address,
    /// What the state holds of it from then on. Absent if the state no longer holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
}

const PREFIX: &[u8] = br#"{"crc":""#;
const MIDDLE: &[u8] = br#"","line":"#;

/// Appends one line: `{"crc":"<CRC-32 of the payload, 8 hex digits>","line":<payload>}`.
fn encode<T: Serialize>(payload: &T, into: &mut Vec<u8>) -> serde_json::Result<()> {
    into.extend_from_slice(PREFIX);
    let digits_at = into.len();
    into.extend_from_slice(b"00000000");
    into.extend_from_slice(MIDDLE);
    let payload_at = into.len();
    serde_json::to_writer(&mut *into, payload)?;
    let crc = format!("{:08x}", crc32fast::hash(&into[payload_at..]));
    into[digits_at..digits_at + 8].copy_from_slice(crc.as_bytes());
    into.extend_from_slice(b"}\n");
    Ok(())
}

/// The payload of a line (without its line feed), if its checksum is right.
fn payload(line: &[u8]) -> Result<&[u8], &'static str> {
    let rest = line.strip_prefix(PREFIX).ok_or("it does not begin as a journal line does")?;
    let (crc, rest) = rest.split_at_checked(8).ok_or("it is cut off")?;
    let payload = rest.strip_prefix(MIDDLE).and_then(|rest| rest.strip_suffix(b"}")).ok_or("it is cut off")?;
    if format!("{:08x}", crc32fast::hash(payload)).as_bytes() == crc {
        Ok(payload)
    } else {
        Err("its checksum is wrong")
    }
}

/// A journal as found on disk.
#[derive(Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The snapshot it builds on.
    pub header: Header,
    /// What has happened since.
    pub transitions: Vec<Transition>,
}

/// Reads a journal. `None` when there is none, or when a crash left it without a whole first line.
///
/// # Errors
/// When a line before the last is damaged: a crash damages only the end.
pub fn read(path: &Path) -> Result<Option<Recovered>, StateError> {
    match super::error::read(path)? {
        Some(bytes) => parse(path, &bytes),
        None => Ok(None),
    }
}

/// Parses the bytes of a journal. `path` is only named in errors.
///
/// # Errors
/// As for [`read`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Option<Recovered>, StateError> {
    let mut lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    // After the last line feed comes nothing, or what a crash has left of a line. Some file systems leave zeros there.
    lines.pop();
    while lines.last().is_some_and(|line| payload(line).is_err() && line.iter().all(|b| *b == 0)) {
        lines.pop();
    }
    let damaged = |line: usize, detail: String| StateError::JournalDamaged {
        path: path.to_owned(),
        line: line + 1,
        detail: super::error::quoted(&detail),
        help: format!(
            "Nothing was changed. A crash damages only the last line, so something else did this. Keep a copy, cut off the file \
             before line {}, and run `drctl plan`: resources that were recorded after it are found again by their tags.",
            line + 1
        ),
    };
    let mut header = None;
    let mut transitions = Vec::with_capacity(lines.len().saturating_sub(1));
    let last = lines.len().saturating_sub(1);
    for (index, line) in lines.iter().enumerate() {
        let payload = match payload(line) {
            Ok(payload) => payload,
            Err(_) if index == last => break,
            Err(detail) => return Err(damaged(index, detail.to_owned())),
        };
        if header.is_none() {
            header = Some(serde_json::from_slice::<Header>(payload).map_err(|e| damaged(index, e.to_string()))?);
        } else {
            transitions.push(serde_json::from_slice(payload).map_err(|e| damaged(index, e.to_string()))?);
        }
    }
    Ok(header.map(|header| Recovered { header, transitions }))
}

/// A journal that is open for writing. Lines that are handed over together share one write and one fsync.
#[derive(Debug)]
pub struct Journal {
    /// None for a state in memory.
    file: Option<File>,
    path: PathBuf,
    broken: bool,
}

impl Journal {
    /// Starts a journal. An older one must have been folded before.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn create(path: &Path, header: &Header) -> Result<Self, StateError> {
        let io = |e| StateError::io("write", path, e);
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(path).map_err(io)?;
        let mut line = Vec::new();
        encode(header, &mut line).map_err(|e| io(e.into()))?;
        file.write_all(&line).and_then(|()| file.sync_all()).map_err(io)?;
        super::snapshot::sync_folder(path).map_err(io)?;
        Ok(Self { file: Some(file), path: path.to_owned(), broken: false })
    }

    /// A journal that keeps nothing: for a state in memory.
    pub(super) fn in_memory() -> Self {
        Self { file: None, path: PathBuf::new(), broken: false }
    }

    /// Whether appending waits for a disk.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        self.file.is_some()
    }

    /// Makes transitions durable, all with one fsync.
    ///
    /// # Errors
    /// What the operating system says. The journal then takes nothing more, because a line after a damaged one would be lost.
    pub fn append(&mut self, transitions: &[&Transition]) -> Result<(), StateError> {
        if self.broken {
            return Err(StateError::Broken { path: self.path.clone() });
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut bytes = Vec::with_capacity(transitions.len() * 512);
        let written = transitions
            .iter()
            .try_for_each(|t| encode(t, &mut bytes).map_err(std::io::Error::from))
            .and_then(|()| file.write_all(&bytes))
            .and_then(|()| file.sync_data());
        written.map_err(|e| {
            self.broken = true;
            StateError::io("write", &self.path, e)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Identity, Regions, Role};

    fn header() -> Header {
        Header {
            format: 1,
            lineage: "l".into(),
            serial: 3,
            identity: Identity {
                stack: "pay".into(),
                environment: "test".into(),
                account: "123456789012".into(),
                regions: Regions { primary: "us-east-1".into(), secondary: "us-east-2".into() },
            },
        }
    }

    fn gone(name: &str) -> Transition {
        Transition { at: Timestamp::UNIX_EPOCH, address: Address::new(Role::Primary, "vpc", name), entry: None }
    }

    fn written(names: &[&str]) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j");
        let mut journal = Journal::create(&path, &header()).expect("created");
        journal
            .append(&names.iter().map(|n| gone(n)).collect::<Vec<_>>().iter().collect::<Vec<_>>())
            .expect("appended");
        std::fs::read(&path).expect("read")
    }

    #[test]
    fn every_line_is_json_and_is_read_back() {
        let bytes = written(&["a", "b"]);
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            serde_json::from_slice::<serde_json::Value>(line).expect("JSON");
        }
        let read = parse(Path::new("j"), &bytes).expect("parsed").expect("some");
        assert_eq!(read, Recovered { header: header(), transitions: vec![gone("a"), gone("b")] });
    }

    #[test]
    fn a_journal_that_is_cut_off_anywhere_yields_the_whole_lines_before_the_cut() {
        let bytes = written(&["a", "b", "c"]);
        for cut in 0..bytes.len() {
            let whole = bytes[..cut].split(|b| *b == b'\n').count() - 1;
            let read = parse(Path::new("j"), &bytes[..cut]).expect("what a crash does is not an error");
            assert_eq!(read.map_or(0, |r| r.transitions.len() + 1), whole, "cut at {cut}");
        }
    }

    #[test]
    fn damage_before_the_end_names_the_line() {
        let mut bytes = written(&["a", "b", "c"]);
        let second = bytes.iter().position(|b| *b == b'\n').expect("a line") + 60;
        bytes[second] ^= 1;
        let error = parse(Path::new("j"), &bytes).expect_err("damaged");
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn a_full_disk_is_reported_and_nothing_is_written_after_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("j");
        let mut journal = Journal::create(&path, &header()).expect("created");
        journal.file = Some(OpenOptions::new().write(true).open("/dev/full").expect("/dev/full"));
        let error = journal.append(&[&gone("a")]).expect_err("full");
        assert!(matches!(&error, StateError::Io { help, .. } if help.contains("disk is full")), "{error:?}");
        assert!(matches!(journal.append(&[&gone("a")]), Err(StateError::Broken { .. })));
    }
}
