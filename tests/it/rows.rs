//! The pitfalls of provisioning are numbered 1 to 35: each is named by a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROWS: std::ops::RangeInclusive<u32> = 1..=35;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The part of a file that is tests.
fn tests_of(path: &Path, text: &str) -> String {
    let all = path.ends_with("aws/src/rows.rs")
        || path.ends_with("tests.rs")
        || path.components().any(|c| c.as_os_str() == "it");
    if all {
        return text.to_owned();
    }
    text.split_once("#[cfg(test)]\nmod tests {").map(|(_, tests)| tests.to_owned()).unwrap_or_default()
}

/// The numbers after `row` or `rows`, as in "rows 13 and 16".
fn named(text: &str) -> Vec<u32> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut found = Vec::new();
    for (at, _) in words.iter().enumerate().filter(|(_, word)| matches!(**word, "row" | "rows")) {
        let numbers = words[at + 1..].iter().filter(|word| **word != "and").map_while(|word| word.parse::<u32>().ok());
        found.extend(numbers);
    }
    found
}

/// In the table of what AWS says, the row is the first field.
fn first_fields(text: &str) -> impl Iterator<Item = u32> + '_ {
    text.lines().filter_map(|line| line.trim().trim_start_matches('(').split_once(',')?.0.parse().ok())
}

#[test]
fn every_row_of_the_pitfalls_is_named_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    sources(&root.join("src"), &mut paths);
    sources(&root.join("crates"), &mut paths);
    sources(&root.join("tests"), &mut paths);
    let mut tested = BTreeSet::new();
    for path in paths.iter().filter(|path| !path.ends_with("it/rows.rs")) {
        let text = fs::read_to_string(path).expect("a source");
        tested.extend(named(&tests_of(path, &text)));
        if path.ends_with("aws/src/rows.rs") {
            tested.extend(first_fields(&text));
        }
    }
    let missing: Vec<u32> = ROWS.filter(|row| !tested.contains(row)).collect();
    assert!(missing.is_empty(), "no test names row {missing:?}");
}
