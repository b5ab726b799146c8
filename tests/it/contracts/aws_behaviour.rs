//! docs/aws-behaviour.md and the code agree: every cited name is an entry, every entry is cited where it says that it is handled,
//! and the tests that it names exist.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

const PAGE: &str = "docs/aws-behaviour.md";

/// How a citation begins; the name of an entry follows.
const MARK: &str = "aws-behaviour.md#";

/// The folders that are read, if they exist, and the documents at the root.
const ROOTS: [&str; 6] = ["src", "crates", "tests", "lambda", "localstack", "docs"];
const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

/// The kinds of files that are read in them.
const KINDS: [&str; 4] = ["rs", "py", "md", "toml"];

/// The sections whose entries need neither a place nor a test.
const FREE: [&str; 2] = ["Durations", "Background: failover"];

/// A file, by its path in the repository.
struct File {
    path: String,
    text: String,
}

/// An entry of the page.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    name: String,
    section: String,
    has_source: bool,
    /// The files that handle it, and those of the sandbox that enforce it.
    places: Vec<String>,
    /// `module::function`.
    tests: Vec<String>,
}

fn read(root: &Path, folder: &str, found: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries.map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        if entry.path().is_dir() {
            if !name.starts_with('.') && name != "target" {
                read(root, &path, found);
            }
        } else if Path::new(&name).extension().and_then(OsStr::to_str).is_some_and(|kind| KINDS.contains(&kind)) {
            let text = fs::read(entry.path()).expect("a file");
            found.push(File { path, text: String::from_utf8_lossy(&text).into_owned() });
        }
    }
}

/// The sources and documents of the repository.
fn tree() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ROOTS {
        read(root, folder, &mut found);
    }
    for path in DOCUMENTS {
        found.push(File { path: path.to_owned(), text: fs::read_to_string(root.join(path)).expect("a document") });
    }
    found
}

/// The entries of the repository's page.
fn known(tree: &[File]) -> Vec<Entry> {
    let page = tree.iter().find(|file| file.path == PAGE).unwrap_or_else(|| panic!("there is no {PAGE}"));
    let entries = entries(&page.text);
    assert!(entries.len() > 100, "{PAGE} is not read as it is written: {} entries", entries.len());
    entries
}

fn entries(page: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    let (mut section, mut field, mut is_example) = ("", "", false);
    for line in page.lines() {
        is_example ^= line.starts_with("```");
        if is_example {
            continue;
        }
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        } else if let Some(name) = line.strip_prefix("### ") {
            found.push(Entry { name: name.to_owned(), section: section.to_owned(), ..Entry::default() });
        }
        field = match line.strip_prefix("- ").and_then(|rest| rest.split_once(':')) {
            Some((name, _)) => name,
            None if line.starts_with("  ") => field,
            None => "",
        };
        let Some(entry) = found.last_mut() else { continue };
        let quoted = line.split('`').skip(1).step_by(2).map(str::to_owned);
        match field {
            "Source" => entry.has_source = true,
            "Handled in" | "Sandbox" => entry.places.extend(quoted),
            "Test" => entry.tests.extend(quoted),
            _ => {}
        }
    }
    found
}

/// The names that a text cites.
fn citations(text: &str) -> impl Iterator<Item = &str> {
    let names = text.match_indices(MARK).map(|(at, _)| {
        let name = &text[at + MARK.len()..];
        let end = name.find(|c: char| !matches!(c, 'a'..='z' | '0'..='9' | '-'));
        &name[..end.unwrap_or(name.len())]
    });
    names.filter(|name| !name.is_empty())
}

/// The tests in a text, Rust's and Python's.
fn tests_in(text: &str) -> Vec<&str> {
    let (mut found, mut is_marked) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        let function = ["fn ", "async fn ", "def "].iter().find_map(|start| line.strip_prefix(start));
        let Some(function) = function else {
            is_marked |= line == "#[test]" || line.starts_with("#[tokio::test");
            continue;
        };
        if is_marked || line.starts_with("def test_") {
            found.push(function.split('(').next().unwrap_or_default());
        }
        is_marked = false;
    }
    found
}

/// The last name of a file's module.
fn module(path: &str) -> &str {
    let mut parts = path.rsplit('/');
    let stem = parts.next().and_then(|name| name.split('.').next()).unwrap_or_default();
    if matches!(stem, "mod" | "tests" | "main") { parts.next().unwrap_or_default() } else { stem }
}

/// The part of a file that is not a test.
fn source(file: &File) -> &str {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let is_test = file.path.starts_with("tests/") || file.path.contains("/tests/");
    if is_test || name == "tests.rs" || name.starts_with("test_") {
        return "";
    }
    file.text.split_once("#[cfg(test)]\nmod tests {").map_or(file.text.as_str(), |(source, _)| source)
}

/// Whether a file has this path, from any folder down.
fn is_at(file: &File, place: &str) -> bool {
    file.path.strip_suffix(place).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
}

fn is_free(entry: &Entry) -> bool {
    FREE.contains(&entry.section.as_str())
}

fn is_name(name: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9'));
    name.contains('-') && name.split('-').all(is_word)
}

/// Citations of names that are not entries, and citations in another form.
fn wrong_citations(entries: &[Entry], tree: &[File]) -> Vec<String> {
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let (stem, _) = MARK.split_once('.').expect("a file's name");
    let mut wrong = Vec::new();
    for File { path, text } in tree {
        for name in citations(text).filter(|name| !names.contains(name)) {
            wrong.push(format!(
                "{path} cites {name}, which is not an entry of {PAGE}: correct the name, or add the entry"
            ));
        }
        for (at, _) in text.match_indices(stem).filter(|(at, _)| !text[at + stem.len()..].starts_with(".md")) {
            let line = text[..at].matches('\n').count() + 1;
            wrong.push(format!(
                "{path}:{line} cites {PAGE} in another form: write `See docs/{MARK}` and an entry's name"
            ));
        }
    }
    wrong
}

/// Entries that are not in the required form, or are not cited where they say that they are handled.
fn wrong_places(entries: &[Entry], tree: &[File]) -> Vec<String> {
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for entry in entries {
        let name = &entry.name;
        if !is_name(name) {
            wrong.push(format!("{name}: an entry's name is lower-case words with hyphens between them"));
        }
        if !seen.insert(name) {
            wrong.push(format!("{name}: there are two entries of this name"));
        }
        if !entry.has_source {
            wrong.push(format!("{name}: add `- Source:`, if only to say that none was found"));
        }
        if entry.places.is_empty() && !is_free(entry) {
            wrong.push(format!(
                "{name}: name the files that handle it in `- Handled in:`, or those that enforce it in `- Sandbox:`"
            ));
        }
        for place in &entry.places {
            let files: Vec<&File> = tree.iter().filter(|file| is_at(file, place)).collect();
            match files.as_slice() {
                [file] if citations(source(file)).any(|cited| cited == name) => {}
                [file] => wrong.push(format!(
                    "{name}: {} does not cite it outside its tests: add `See docs/{MARK}{name}` there, or take the file off the entry",
                    file.path
                )),
                [] => wrong.push(format!("{name}: there is no file {place}: correct the path, if the file has moved")),
                several => {
                    let paths: Vec<&str> = several.iter().map(|file| file.path.as_str()).collect();
                    wrong.push(format!("{name}: {place} fits {}: write more of the path", paths.join(" and ")));
                }
            }
        }
    }
    wrong
}

/// Entries without a test, and tests that do not exist.
fn wrong_tests(entries: &[Entry], tree: &[File]) -> Vec<String> {
    let mut modules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in tree {
        for function in tests_in(&file.text) {
            modules.entry(function).or_default().push(module(&file.path));
        }
    }
    let mut wrong = Vec::new();
    for entry in entries {
        let name = &entry.name;
        if entry.tests.is_empty() && !is_free(entry) {
            wrong.push(format!("{name}: name a test that fails without the handling in `- Test:`"));
        }
        for test in &entry.tests {
            let Some((path, function)) = test.rsplit_once("::") else {
                wrong.push(format!("{name}: write the test {test} as `module::function`"));
                continue;
            };
            let within = path.rsplit("::").next().unwrap_or(path);
            match modules.get(function) {
                Some(found) if found.contains(&within) => {}
                Some(found) => {
                    wrong.push(format!("{name}: the test {function} is in {}, not in {within}", found.join(" and ")));
                }
                None => wrong.push(format!("{name}: there is no test {function}: correct the name, or write the test")),
            }
        }
    }
    wrong
}

#[test]
fn every_cited_name_is_an_entry() {
    let tree = tree();
    let entries = known(&tree);
    let cited: BTreeSet<&str> = tree.iter().flat_map(|file| citations(&file.text)).collect();
    assert!(cited.len() > 100, "citations are not read as they are written: {cited:?}");
    let wrong = wrong_citations(&entries, &tree);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_entry_is_cited_where_it_is_handled() {
    let tree = tree();
    let wrong = wrong_places(&known(&tree), &tree);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_entry_names_tests_that_exist() {
    let tree = tree();
    let wrong = wrong_tests(&known(&tree), &tree);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_sees_entries_citations_and_tests() {
    let page = "\
# A title

- *Issue*: `not-an-entry.rs`

```
### in-an-example

- Test: `none::at_all`
```

## A service

### first-entry

It happens, says `somebody`.

- Source: <https://example.com>, `no place`
- Handled in: `a.rs`, `b/c.rs`,
  `d.py` (see there)
- Sandbox: `e.rs`
- Test: `m::one`,
  `n::two`

No field: `f.rs`.

## Durations

### second-entry

- Source: none found; estimate
";
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    let first = Entry {
        name: "first-entry".to_owned(),
        section: "A service".to_owned(),
        has_source: true,
        places: texts(&["a.rs", "b/c.rs", "d.py", "e.rs"]),
        tests: texts(&["m::one", "n::two"]),
    };
    let second = Entry {
        name: "second-entry".to_owned(),
        section: "Durations".to_owned(),
        has_source: true,
        ..Entry::default()
    };
    assert!(is_free(&second) && !is_free(&first));
    assert_eq!(entries(page), [first, second]);

    let text = format!("// See docs/{MARK}first-entry. (docs/{MARK}b2), \"{MARK}c-d\", {MARK}<name>");
    assert_eq!(citations(&text).collect::<Vec<_>>(), ["first-entry", "b2", "c-d"]);

    let rust =
        "#[test]\nfn one() {}\nfn helper() {}\n#[tokio::test(flavor = \"x\")]\n#[cfg(unix)]\nasync fn two() {}\n";
    let python = "class T:\n    def test_three(self):\n        pass\n    def helper(self):\n";
    assert_eq!(tests_in(rust), ["one", "two"]);
    assert_eq!(tests_in(python), ["test_three"]);
    let paths = ["src/a/b.rs", "src/a/mod.rs", "crates/a/src/c/tests.rs", "tests/d/main.rs", "lambda/test_e.py"];
    assert_eq!(paths.map(module), ["b", "a", "c", "d", "test_e"]);
}

#[test]
fn whatever_is_wrong_is_reported_with_what_to_do() {
    let file = |path: &str, text: String| File { path: path.to_owned(), text };
    let tree = [
        file(
            "src/a/right.rs",
            format!("// See docs/{MARK}an-entry.\n#[cfg(test)]\nmod tests {{\n    #[test]\n    fn holds() {{}}\n}}\n"),
        ),
        file("src/a/tested.rs", format!("#[cfg(test)]\nmod tests {{\n    // See docs/{MARK}an-entry.\n}}\n")),
        file("src/b/right.rs", format!("// See docs/{MARK}no-entry.\n\n// {}\n", MARK.replace(".md#", " row 9"))),
        file("tests/it/only.rs", format!("// See docs/{MARK}an-entry.\n")),
    ];
    let wrong = |fields: &str| {
        let entries = entries(&format!("## A service\n\n### an-entry\n\n- Source: none found; estimate\n{fields}"));
        let mut wrong = wrong_places(&entries, &tree);
        wrong.extend(wrong_tests(&entries, &tree));
        wrong
    };
    assert_eq!(wrong("- Handled in: `a/right.rs`\n- Test: `right::holds`\n"), [""; 0]);
    assert_eq!(wrong("- Sandbox: `src/a/right.rs`\n- Test: `it::right::holds`\n"), [""; 0]);
    for (fields, problem) in [
        ("- Test: `right::holds`\n", "name the files that handle it"),
        ("- Handled in: `right.rs`\n- Test: `right::holds`\n", "fits src/a/right.rs and src/b/right.rs"),
        ("- Handled in: `a/gone.rs`\n- Test: `right::holds`\n", "there is no file a/gone.rs"),
        ("- Handled in: `a/tested.rs`\n- Test: `right::holds`\n", "src/a/tested.rs does not cite it"),
        ("- Handled in: `it/only.rs`\n- Test: `right::holds`\n", "tests/it/only.rs does not cite it"),
        ("- Handled in: `a/right.rs`\n", "name a test"),
        ("- Handled in: `a/right.rs`\n- Test: `right::gone`\n", "there is no test gone"),
        ("- Handled in: `a/right.rs`\n- Test: `other::holds`\n", "is in right, not in other"),
        ("- Handled in: `a/right.rs`\n- Test: `holds`\n", "as `module::function`"),
    ] {
        let found = wrong(fields);
        assert!(found.len() == 1 && found[0].contains(problem), "{fields}{found:?}");
    }

    let poor = entries("## Durations\n\n### One\n\n### two-words\n\n### two-words\n\n- Source: none found; estimate\n");
    let found = wrong_places(&poor, &tree).join("\n");
    for problem in ["One: an entry's name", "One: add `- Source:`", "two-words: there are two entries"] {
        assert!(found.contains(problem), "{problem}: {found}");
    }

    let cited = wrong_citations(&entries("## A service\n\n### an-entry\n"), &tree);
    assert!(cited.len() == 2 && cited[0].starts_with("src/b/right.rs cites no-entry"), "{cited:?}");
    assert!(cited[1].starts_with("src/b/right.rs:3 cites"), "{cited:?}");
}
