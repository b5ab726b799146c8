//! One direction of dependency: the lines that name other modules are read, and an arrow that points up fails.

use std::fs;
use std::path::{Path, PathBuf};

/// Top to bottom: a module, and what it may use besides itself. `src/main.rs` and `src/cli` may use everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("cli", &["config", "blueprint", "preflight", "dr", "resources", "aws", "engine", "state", "sandbox", "simulate"]),
    ("config", &[]),
    ("simulate", &["config", "blueprint", "resources", "aws", "engine", "state"]),
    ("preflight", &["config", "blueprint", "resources", "aws", "engine", "state"]),
    ("dr", &["resources", "aws", "engine", "state"]),
    ("blueprint", &["config", "resources", "aws", "engine", "state"]),
    ("resources", &["aws", "engine", "state"]),
    ("aws", &["engine", "state"]),
    ("engine", &["state"]),
    ("state", &[]),
    ("sandbox", &[]),
];

/// What only the command line may call.
const PRINTING: &[&str] = &["print!", "println!", "eprint!", "eprintln!", "dbg!"];

/// A line of code, without its comment.
struct Line<'a> {
    number: usize,
    code: &'a str,
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().enumerate().map(|(index, line)| {
        let comment =
            line.match_indices("//").find(|(at, _)| line[..*at].chars().next_back().is_none_or(char::is_whitespace));
        Line { number: index + 1, code: comment.map_or(line, |(at, _)| &line[..at]) }
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `code` with nothing before it that would make it another word.
fn occurrences<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(|at| !code[..*at].chars().next_back().is_some_and(is_word))
}

/// The first names of the paths that begin at the start of `rest`: one, or all of a group in braces.
fn first_names(rest: &str) -> Vec<&str> {
    let name = |text: &str| text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    let Some(group) = rest.strip_prefix('{') else {
        return vec![&rest[..name(rest)]];
    };
    let (mut names, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let item = group[start..at].trim_start();
                names.push(&item[..name(item)]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The modules directly under the crate's root that a text names, with the line.
///
/// `depth` is how many modules deep the text stands: so many times `super::` lead to the root, too.
fn named(text: &str, depth: usize) -> Vec<(usize, String)> {
    let root = "super::".repeat(depth);
    let mut found = Vec::new();
    // Groups may go over several lines: what follows a path is taken from the whole text, without its comments.
    let (mut code, mut starts) = (String::new(), Vec::new());
    for line in lines(text) {
        starts.push((code.len(), line.number));
        code.push_str(line.code);
        code.push('\n');
    }
    for prefix in ["crate::", "drctl::", root.as_str()] {
        for at in occurrences(&code, prefix).filter(|_| !prefix.is_empty()) {
            // `super::super::` contains `super::`, and `$crate::` is for macros of this crate alone.
            if code[..at].ends_with("::") {
                continue;
            }
            let line = starts.iter().rfind(|(start, _)| *start <= at).map_or(0, |(_, number)| *number);
            let names = first_names(&code[at + prefix.len()..]);
            found.extend(names.into_iter().map(|name| (line, name.to_owned())));
        }
    }
    found
}

fn is_layer(name: &str) -> bool {
    LAYERS.iter().any(|(layer, _)| *layer == name)
}

/// The arrows of one text in one layer that point up.
fn arrows_up(layer: &str, text: &str, depth: usize) -> Vec<(usize, String)> {
    let below = LAYERS.iter().find(|(name, _)| *name == layer).map_or(&[][..], |(_, below)| *below);
    let mut up = named(text, depth);
    up.retain(|(_, name)| is_layer(name) && name != layer && !below.contains(&name.as_str()));
    up
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            rust_files(&entry, into);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            into.push(entry);
        }
    }
}

/// Every source file: its path within `src`, the layer it belongs to (none for `main.rs` and `lib.rs`), and its text.
fn sources() -> Vec<(PathBuf, Option<String>, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.sort();
    assert!(files.len() > 50, "the sources are found: {}", files.len());
    files
        .into_iter()
        .map(|file| {
            let text = fs::read_to_string(&file).expect("a source file");
            let path = file.strip_prefix(&src).expect("a file in src").to_owned();
            let first = path.iter().next().and_then(|part| part.to_str()).unwrap_or_default();
            let layer = first.strip_suffix(".rs").unwrap_or(first).to_owned();
            let layer = (layer != "main" && layer != "lib").then_some(layer);
            (path, layer, text)
        })
        .collect()
}

/// `a/mod.rs` and `a.rs` are one module deep, `a/b.rs` two.
fn depth(path: &Path) -> usize {
    path.iter().count() - usize::from(path.ends_with("mod.rs"))
}

#[test]
fn no_arrow_points_up() {
    let mut wrong = Vec::new();
    for (path, layer, text) in sources() {
        let Some(layer) = layer else { continue };
        assert!(
            is_layer(&layer),
            "{} belongs to no layer: give it its place in this test and in ARCHITECTURE.md",
            path.display()
        );
        for (line, name) in arrows_up(&layer, &text, depth(&path)) {
            wrong.push(format!("src/{}:{line}: {layer} must not use {name}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_engine_and_the_state_know_no_aws() {
    let mut wrong = Vec::new();
    for (path, layer, text) in sources() {
        if layer.as_deref() == Some("engine") || layer.as_deref() == Some("state") {
            for line in lines(&text).filter(|line| occurrences(line.code, "aws_").next().is_some()) {
                wrong.push(format!("src/{}:{}: {}", path.display(), line.number, line.code.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_command_line_prints() {
    let mut wrong = Vec::new();
    for (path, layer, text) in sources() {
        if layer.as_deref() == Some("cli") || path == Path::new("main.rs") {
            continue;
        }
        for line in lines(&text) {
            if let Some(call) = PRINTING.iter().find(|call| occurrences(line.code, call).next().is_some()) {
                wrong.push(format!("src/{}:{}: {call}", path.display(), line.number));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_sees_arrows_wherever_they_stand() {
    let text = "\
use crate::state::Entry;
// use crate::cli::Ui; is only talked about
use crate::{
    aws::{Scope, tags},
    config,
};
fn f(x: &crate::cli::Ui) -> String { \"https://crate::blueprint\".into() } // crate::sandbox
use super::super::resources::Vpc;
use super::aws_like;
";
    let arrows = arrows_up("engine", text, 2);
    let arrows: Vec<_> = arrows.iter().map(|(line, name)| (*line, name.as_str())).collect();
    assert_eq!(arrows, [(3, "aws"), (3, "config"), (7, "cli"), (7, "blueprint"), (8, "resources")]);
    assert!(arrows_up("cli", text, 2).is_empty());
    assert_eq!(arrows_up("state", "use super::engine::Plan;", 1), [(1, "engine".to_owned())]);
    assert!(arrows_up("state", "use super::engine::Plan;", 2).is_empty(), "a submodule of that name is its own");
}

#[test]
fn the_reader_sees_what_prints() {
    let seen = |code: &str| PRINTING.iter().any(|call| occurrences(code, call).next().is_some());
    assert!(seen("    println!(\"x\");") && seen("eprint!(\"x\")") && seen("{dbg!(x)}"));
    assert!(!seen("my_println!(x)") && !seen("pretty_print(x)"));
    assert_eq!(lines("a // println!()").next().map(|line| line.code), Some("a "));
    assert_eq!(lines("let a = \"http://x\"; // b").next().map(|line| line.code), Some("let a = \"http://x\"; "));
}
