//! Properties that hold for every input, whatever its bytes: no panic, no hang, and what each function documents. The fuzz
//! targets call these functions with libFuzzer's inputs, and `cargo test` calls them with every file in `fuzz/seeds`.

#![allow(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use drctl_config::{Config, ConfigError};
use drctl_engine::state::journal::{self, Journal, Recovered};
use drctl_engine::state::{Location, Snapshot};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use serde_json::Value;

/// A first line with this prefix gives the environment, as `--environment` does. To TOML, it is a comment.
const ENVIRONMENT: &str = "#--environment ";

/// How many problems a report may have: each is shown with its line, so without a limit, a small file with one long line would
/// make a report of many megabytes.
const MOST_PROBLEMS: usize = 50;

/// The text of a `drctl.toml`. If it is accepted, the configuration, written as TOML, reads as the same configuration. If it is
/// refused, there are reasons, each with its place in the text.
pub fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        // Only reading a file can lead to this refusal.
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("drctl.toml");
        fs::write(&path, input).expect("written");
        let error = Config::load(Some(&path), None).expect_err("this is not UTF-8");
        return config_refused(&String::from_utf8_lossy(input), &error);
    };
    let environment = text.lines().next().and_then(|line| line.strip_prefix(ENVIRONMENT));
    match Config::parse("drctl.toml", text, environment) {
        Ok(config) => {
            let written = as_toml(&config);
            match Config::parse("written.toml", &written, None) {
                Ok(again) => assert_eq!(again, config, "{written}"),
                Err(error) => panic!("{}\n{written}", report(&error, 100)),
            }
        }
        Err(error) => config_refused(text, &error),
    }
}

/// A configuration as a file with every value. It differs from the serialised form where the file has a special value for an
/// absent one.
fn as_toml(config: &Config) -> String {
    let Value::Object(sections) = serde_json::to_value(config).expect("JSON") else {
        panic!("a configuration is an object")
    };
    let mut text = String::new();
    for (section, keys) in &sections {
        writeln!(text, "[{section}]").expect("writing to a string cannot fail");
        for (key, value) in keys.as_object().expect("a section is an object") {
            let value = match (key.as_str(), value) {
                ("zone_id", Value::Null) => Value::from(""),
                ("reserved_concurrency", Value::Null) => Value::from(-1),
                ("package", Value::Object(path)) => path["path"].clone(),
                _ => value.clone(),
            };
            let value = toml::Value::try_from(value).expect("TOML");
            writeln!(text, "{key} = {value}").expect("writing to a string cannot fail");
        }
    }
    text
}

fn config_refused(text: &str, error: &ConfigError) {
    assert!((1..=MOST_PROBLEMS).contains(&error.problems().len()));
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in error.problems() {
        for said in [problem.message(), problem.advice()] {
            assert!(!said.is_empty() && !said.contains(char::is_control), "{said:?}");
        }
        if let Some(place) = problem.location() {
            let line = place.line.checked_sub(1).and_then(|line| lines.get(line));
            assert!(line.is_some_and(|line| (1..=line.len() + 1).contains(&place.column)), "{place:?} of {problem:?}");
        }
    }
    let places: Vec<_> = error.problems().iter().map(|p| p.location().map(|at| (at.line, at.column))).collect();
    assert!(places.is_sorted(), "{places:?}");
    refused(error);
}

/// The bytes of a snapshot. If they are accepted, what is written again reads the same, and no proper prefix of it is accepted.
pub fn snapshot(input: &[u8]) {
    let path = Path::new("pay-test.json");
    let snapshot = match Snapshot::parse(path, input) {
        Ok(snapshot) => snapshot,
        Err(error) => return refused(&error),
    };
    let written = serde_json::to_vec_pretty(&snapshot).expect("JSON");
    assert_eq!(Snapshot::parse(path, &written).expect("what was written can be read"), snapshot);
    for cut in places(input, written.len()) {
        assert!(Snapshot::parse(path, &written[..cut]).is_err(), "cut at {cut}");
    }
}

/// The bytes of a journal. If they are accepted, a journal that is cut short, as by a crash, yields the beginning of the whole
/// one; written again, it reads the same; and one changed byte is refused or loses the end, but never changes anything else.
pub fn journal(input: &[u8]) {
    let parse = |bytes: &[u8]| journal::parse(Path::new("pay-test.journal"), bytes);
    let found = match parse(input) {
        Ok(found) => found,
        Err(error) => return refused(&error),
    };
    for cut in places(input, input.len()) {
        let beginning = parse(&input[..cut]).expect("a journal cut short by a crash is not an error");
        assert!(is_beginning(beginning.as_ref(), found.as_ref()), "cut at {cut}");
    }
    let Some(found) = found else { return };

    let mut written = written(&found);
    assert_eq!(parse(&written).expect("what was written can be read").as_ref(), Some(&found));
    for place in places(input, written.len()) {
        let byte = written[place];
        written[place] ^= u8::try_from(place % 255).expect("less than 255") + 1;
        if let Ok(damaged) = parse(&written) {
            assert!(is_beginning(damaged.as_ref(), Some(&found)), "byte {place}");
        }
        written[place] = byte;
    }
}

/// The payloads of a journal, one per line. They get their checksums here, because a fuzzer would hardly ever find a valid one. A
/// line that begins with `!` is left as it is.
pub fn journal_lines(input: &[u8]) {
    journal(&with_checksums(input));
}

/// A snapshot on the first line, and the payloads of a journal on the others, as in [`journal_lines`]. If one of them is empty,
/// there is no such file. A state that can be read can be opened, which folds the journal, and then reads the same.
pub fn recovery(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (snapshot, lines) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let folder = tempfile::tempdir().expect("a folder");
    let at = Location::new(folder.path(), "pay-test");
    if !snapshot.is_empty() {
        fs::write(at.snapshot(), snapshot).expect("written");
    }
    if !lines.is_empty() {
        fs::write(at.journal(), with_checksums(lines)).expect("written");
    }

    let found = match at.read() {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) => return refused(&error),
    };
    let store = at.open(found.identity.clone(), "up").expect("what can be read can be opened");
    let held = (store.snapshot().serial, store.resources().clone());
    drop(store);
    assert!(!at.journal().exists());
    let folded = at.read().expect("what was opened can be read").expect("the state exists");
    assert_eq!((folded.serial, &folded.resources), (found.serial, &found.resources));
    assert_eq!(held, (found.serial, found.resources));
    assert_eq!((folded.lineage, folded.identity), (found.lineage, found.identity));
}

fn with_checksums(lines: &[u8]) -> Vec<u8> {
    let mut journal = Vec::new();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let payload = line.strip_suffix(b"\n").unwrap_or(line);
        if let Some(raw) = line.strip_prefix(b"!") {
            journal.extend_from_slice(raw);
            continue;
        }
        journal.extend_from_slice(format!("{{\"crc\":\"{:08x}\",\"line\":", crc32fast::hash(payload)).as_bytes());
        journal.extend_from_slice(payload);
        journal.extend_from_slice(b"}\n");
    }
    journal
}

/// The journal as drctl would have written it.
fn written(found: &Recovered) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pay-test.journal");
    let mut journal = Journal::create(&path, &found.header).expect("created");
    journal.append(&found.transitions.iter().collect::<Vec<_>>()).expect("appended");
    fs::read(&path).expect("read")
}

fn is_beginning(part: Option<&Recovered>, whole: Option<&Recovered>) -> bool {
    match (part, whole) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(part), Some(whole)) => part.header == whole.header && whole.transitions.starts_with(&part.transitions),
    }
}

/// A few places in `0..length`: the last one, and some that depend on the input. All of them would take too long.
fn places(input: &[u8], length: usize) -> impl Iterator<Item = usize> {
    let chance = crc32fast::hash(input).to_le_bytes();
    let chosen = [[chance[0], chance[1]], [chance[2], chance[3]]];
    let chosen = chosen.map(|two| usize::from(u16::from_le_bytes(two)) * length / 65536);
    chosen.into_iter().chain(length.checked_sub(1)).filter(move |place| *place < length)
}

/// Every refusal can be rendered, says what to do, and contains no control characters of the file.
fn refused(error: &dyn Diagnostic) {
    // One of the widths that drctl renders for; all of them would take too long.
    let report = report(error, 60 + error.to_string().len() % 61);
    assert!(report.contains("help:"), "{report}");
    let control = report.chars().find(|letter| letter.is_control() && *letter != '\n');
    assert_eq!(control, None, "{report:?}");
}

fn report(error: &dyn Diagnostic, width: usize) -> String {
    let mut report = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(width)
        .render_report(&mut report, error)
        .expect("a report");
    report
}
