//! Commands named in hints: completed with the options that this command was given.
//!
//! A hint is often written where nobody knows the command line: by the engine, a resource, the state or the sandbox. It names
//! a command in backquotes (`` `drctl up` ``), and whatever shows it completes it here. So a hint that is pasted acts on the
//! stack that it is about, and not on the one that no options mean.

use std::sync::OnceLock;

use serde_json::Value;

use super::args::Global;

/// What was given to this process: as fixed as its command line.
static GIVEN: OnceLock<Global> = OnceLock::new();

/// The keys under which hints stand in JSON.
const KEYS: [&str; 2] = ["help", "advice"];

/// Says with which options this process was started. Only the first time counts.
pub fn given(global: &Global) {
    drop(GIVEN.set(global.clone()));
}

/// A hint with its commands completed; unchanged before [`given`].
#[must_use]
pub fn complete(hint: &str) -> String {
    GIVEN.get().map_or_else(|| hint.to_owned(), |global| global.complete(hint))
}

/// Completes the hints in a value for machines, wherever they stand in it.
pub fn complete_json(value: &mut Value) {
    if let Some(global) = GIVEN.get() {
        global.complete_json(value);
    }
}

impl Global {
    /// Every command of drctl's in backquotes, as [`Global::command`] writes it. What is complete stays as it is.
    #[must_use]
    pub fn complete(&self, hint: &str) -> String {
        let pieces: Vec<&str> = hint.split('`').collect();
        let last = pieces.len() - 1;
        let complete = |(position, piece): (usize, &&str)| {
            // Every other piece lies between two backquotes; behind one that nothing closes is text.
            match piece.strip_prefix("drctl ") {
                Some(words) if position % 2 == 1 && position < last => self.command(words),
                _ => (*piece).to_owned(),
            }
        };
        pieces.iter().enumerate().map(complete).collect::<Vec<_>>().join("`")
    }

    fn complete_json(&self, value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    match value {
                        Value::String(hint) if KEYS.contains(&key.as_str()) => *hint = self.complete(hint),
                        value => self.complete_json(value),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.complete_json(value)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::PathBuf;

    use serde_json::json;

    use super::super::args::LogFormat;
    use super::*;

    fn staging() -> Global {
        Global {
            config: None,
            environment: Some("staging".to_owned()),
            state_dir: PathBuf::from("state"),
            sandbox: true,
            json: false,
            verbose: 0,
            log_format: LogFormat::Text,
            no_color: false,
        }
    }

    #[test]
    fn every_command_in_a_hint_is_completed_and_nothing_else_is() {
        let hint =
            "Look at `drctl plan`, then run `drctl up --yes`, or log in with `aws sso login`. drctl up: no command.";
        let told = "Look at `drctl plan --sandbox --environment staging`, then run \
                    `drctl up --yes --sandbox --environment staging`, or log in with `aws sso login`. drctl up: no command.";
        assert_eq!(staging().complete(hint), told);
        assert_eq!(staging().complete(told), told, "a second time changes nothing");
        assert_eq!(
            staging().complete("a backquote ` that nothing closes: drctl up"),
            "a backquote ` that nothing closes: drctl up"
        );
        assert_eq!(staging().complete("`drctl up"), "`drctl up");
        assert_eq!(staging().complete(""), "");
    }

    #[test]
    fn hints_for_machines_are_completed_wherever_they_stand() {
        let mut value = json!({
            "message": "locked by `drctl up`",
            "help": "Run `drctl plan`.",
            "resources": [{ "failure": { "help": "Run `drctl up`." }, "advice": "`drctl down` deletes it." }],
        });
        staging().complete_json(&mut value);
        let options = "--sandbox --environment staging";
        assert_eq!(
            value,
            json!({
                "message": "locked by `drctl up`",
                "help": format!("Run `drctl plan {options}`."),
                "resources": [{
                    "failure": { "help": format!("Run `drctl up {options}`.") },
                    "advice": format!("`drctl down {options}` deletes it."),
                }],
            })
        );
    }

    /// The string literals of a source file, with the line that each begins on; its tests are left out.
    fn literals(text: &str) -> Vec<(usize, String)> {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let mut found = Vec::new();
        let (mut line, mut letters) = (1, text.chars().peekable());
        while let Some(letter) = letters.next() {
            match letter {
                '\n' => line += 1,
                '/' if letters.peek() == Some(&'/') => while letters.next_if(|letter| *letter != '\n').is_some() {},
                // A character, or a lifetime: of both, only a quoted quotation mark matters here.
                '\'' if letters.next_if_eq(&'\\').is_some() || letters.peek() == Some(&'"') => {
                    letters.next();
                }
                'r' if matches!(letters.peek(), Some('"' | '#')) => {
                    // A raw literal, which holds quotation marks of its own.
                    let mut end = "\"".to_owned();
                    while letters.next_if_eq(&'#').is_some() {
                        end.push('#');
                    }
                    let (begins, mut literal) = (line, String::new());
                    let mut rest = letters.by_ref().skip(1);
                    while !literal.ends_with(&end)
                        && let Some(letter) = rest.next()
                    {
                        line += usize::from(letter == '\n');
                        literal.push(letter);
                    }
                    found.push((begins, literal));
                }
                '"' => {
                    let (begins, mut literal) = (line, String::new());
                    while let Some(letter) = letters.next().filter(|letter| *letter != '"') {
                        line += usize::from(letter == '\n');
                        match letter {
                            '\\' if letters.next_if_eq(&'\n').is_some() => {
                                line += 1;
                                while letters.next_if(|letter| *letter == ' ').is_some() {}
                            }
                            '\\' => literal.extend(letters.next()),
                            letter => literal.push(letter),
                        }
                    }
                    found.push((begins, literal));
                }
                _ => {}
            }
        }
        found
    }

    /// A hint whose command stands in no backquotes is one that is not completed.
    #[test]
    fn every_command_that_a_source_file_names_stands_in_backquotes() {
        let commands: Vec<String> =
            super::super::args::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut folders = vec![root.join("src"), root.join("crates")];
        let (mut read, mut bare) = (0, Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                // What only tests use is not a hint.
                let is_of_tests =
                    |part: &OsStr| ["tests", "testkit", "fuzz-properties", "benches"].iter().any(|name| part == *name);
                let is_test = path.components().any(|part| is_of_tests(part.as_os_str())) || path.ends_with("tests.rs");
                if path.extension().is_none_or(|end| end != "rs") || is_test {
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("read");
                // The examples of a help text are written out. `drctl sandbox` is the name of the sandbox's credentials.
                let is_hint = |literal: &str| !literal.starts_with("Examples:\n") && literal != "drctl sandbox";
                for (line, literal) in literals(&text).into_iter().filter(|(_, literal)| is_hint(literal)) {
                    read += usize::from(literal.contains("drctl "));
                    for (position, piece) in literal.split('`').enumerate().filter(|(position, _)| position % 2 == 0) {
                        let named = piece.match_indices("drctl ").any(|(at, _)| {
                            let word = piece[at + 6..].split(|letter: char| !letter.is_ascii_alphanumeric()).next();
                            commands.iter().any(|command| Some(command.as_str()) == word)
                        });
                        if named {
                            bare.push(format!("{}:{line}: {piece} ({position})", path.display()));
                        }
                    }
                }
            }
        }
        assert!(read > 30, "only {read} literals name drctl: they are not read as they should be");
        assert!(bare.is_empty(), "commands outside backquotes:\n{}", bare.join("\n"));
    }
}
