//! The sections of the TOML text, and the names in it that no section knows.

use toml::de::{DeTable, DeValue, Error};

use super::error::Problem;
use super::section::{Keys, Section};
use super::suggest::nearest;

/// A parsed file. Sections are read one after the other. A key becomes known by being read, so the list of known keys cannot
/// differ from the keys that are used.
pub(super) struct Document<'i> {
    root: DeTable<'i>,
    known: Known,
    problems: Vec<Problem>,
}

impl<'i> Document<'i> {
    /// # Errors
    /// If the text is not valid TOML: one problem for each line with an error.
    pub(super) fn parse(text: &'i str) -> Result<Self, Vec<Problem>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { root: root.into_inner(), known: Vec::new(), problems: Vec::new() });
        }
        Err(syntax_problems(text, &errors))
    }

    /// Reads the section `name`. A section that the file does not have is read as an empty one.
    pub(super) fn section<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Section<'_, 'i>) -> T) -> T {
        let found = self.root.get_key_value(name);
        let table = found.and_then(|(_, value)| value.get_ref().as_table());
        if let (Some((key, _)), None) = (found, table) {
            let problem = Problem::new(
                format!("`{name}` is a section, not a value or a list"),
                format!("Write a line `[{name}]` with its settings on the lines below."),
            );
            self.problems.push(problem.at(key.span()));
        }
        let mut keys = Keys::default();
        let result = read(&mut Section::new(name, table, &mut keys, &mut self.problems));
        self.known.push((name, keys));
        result
    }

    /// Adds problems that concern several sections.
    pub(super) fn refuse(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// Returns all problems, including those with names that no section has read.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        for (name, value) in &self.root {
            let written: &str = name.get_ref();
            let Some((section, keys)) = self.known.iter().find(|(known, _)| *known == written) else {
                let problem = unknown_section(written, value.get_ref().is_table(), &self.known);
                self.problems.push(problem.at(name.span()));
                continue;
            };
            let DeValue::Table(table) = value.get_ref() else { continue };
            for (key, _) in table {
                let written: &str = key.get_ref();
                if !keys.are_open && !keys.names.contains(&written) {
                    self.problems.push(unknown_key(section, written, &keys.names, &self.known).at(key.span()));
                }
            }
        }
        self.problems
    }
}

/// How many of the parser's errors are considered.
const MOST_SYNTAX_ERRORS: usize = 20;

type Known = Vec<(&'static str, Keys)>;

fn unknown_section(written: &str, is_table: bool, known: &[(&'static str, Keys)]) -> Problem {
    let advice = match home_of(written, known) {
        Some(home) if !is_table => format!("`{written}` belongs in [{home}]: move the line below `[{home}]`."),
        _ => {
            if let Some(near) = nearest(written, known.iter().map(|(name, _)| *name)) {
                format!("Did you mean `[{near}]`?")
            } else {
                let names: Vec<String> = known.iter().map(|(name, _)| format!("[{name}]")).collect();
                format!("The sections are {}.", names.join(", "))
            }
        }
    };
    let message = if is_table {
        format!("there is no section [{written}]")
    } else {
        format!("`{written}` is outside any section")
    };
    Problem::new(message, advice)
}

fn unknown_key(section: &str, written: &str, keys: &[&'static str], known: &[(&'static str, Keys)]) -> Problem {
    let everywhere = known.iter().flat_map(|(_, keys)| keys.names.iter().copied());
    let advice = if let Some(home) = home_of(written, known) {
        format!("`{written}` belongs in [{home}]: move the line below `[{home}]`.")
    } else if let Some(near) = nearest(written, keys.iter().copied()) {
        format!("Did you mean `{near}`?")
    } else if let Some((near, home)) =
        nearest(written, everywhere).and_then(|near| home_of(near, known).map(|home| (near, home)))
    {
        format!("Did you mean `{near}` in [{home}]?")
    } else {
        let names: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        format!("The keys of [{section}] are {}.", names.join(", "))
    };
    Problem::new(format!("there is no key `{written}` in [{section}]"), advice)
}

fn home_of(key: &str, known: &[(&'static str, Keys)]) -> Option<&'static str> {
    known.iter().find(|(_, keys)| keys.names.contains(&key)).map(|(name, _)| *name)
}

/// One problem per line, because a single mistake often causes several errors on the same line. A file that is not TOML at all
/// (a log file that was named by mistake) has errors everywhere, and the first few say as much as all of them.
fn syntax_problems(text: &str, errors: &[Error]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = Vec::new();
    for error in errors.iter().take(MOST_SYNTAX_ERRORS) {
        let line =
            error.span().map(|span| text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count());
        if seen.contains(&line) {
            continue;
        }
        seen.push(line);
        let problem = Problem::new(
            format!("invalid TOML: {}", error.message()),
            "Write `key = value`, one per line, with text in double quotes, below a line `[section]`; a key or a \
             section may occur only once.",
        );
        problems.push(match error.span() {
            Some(span) => problem.at(span),
            None => problem,
        });
    }
    problems
}
