//! Commands in hints, completed with the options that this command was given.
//!
//! A hint is often written by code that does not know the command line: the engine, a resource, the state, or the sandbox. It
//! names a command in backquotes (`` `drctl up` ``), and the code that shows the hint completes the command here. So a command
//! that is pasted acts on the stack that the hint is about, not on the default one.

use std::sync::OnceLock;

use serde_json::Value;

use super::args::Global;

/// The options of this process, which never change.
static GIVEN: OnceLock<Global> = OnceLock::new();

/// The JSON keys that hold hints.
const KEYS: [&str; 2] = ["help", "advice"];

/// Sets the options that this process was started with. Only the first call has an effect.
pub fn given(global: &Global) {
    drop(GIVEN.set(global.clone()));
}

/// The hint with its commands completed. Before [`given`] was called, it is unchanged.
#[must_use]
pub fn complete(hint: &str) -> String {
    GIVEN.get().map_or_else(|| hint.to_owned(), |global| global.complete(hint))
}

/// Completes the hints in a JSON value, wherever they are.
pub fn complete_json(value: &mut Value) {
    if let Some(global) = GIVEN.get() {
        global.complete_json(value);
    }
}

impl Global {
    /// The hint with every drctl command in backquotes written as [`Global::command`] does. A complete command stays as it is.
    #[must_use]
    pub fn complete(&self, hint: &str) -> String {
        let pieces: Vec<&str> = hint.split('`').collect();
        let last = pieces.len() - 1;
        let complete = |(position, piece): (usize, &&str)| {
            // Every other piece is between two backquotes. What follows an unclosed one is ordinary text.
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

    use drctl_testkit::sources::files;
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
    fn commands_in_a_hint_are_completed_and_nothing_else_changes() {
        let hint =
            "Look at `drctl plan`, then run `drctl up --yes`, or log in with `aws sso login`. drctl up: no command.";
        let expected = "Look at `drctl plan --sandbox --environment staging`, then run \
                    `drctl up --yes --sandbox --environment staging`, or log in with `aws sso login`. drctl up: no command.";
        assert_eq!(staging().complete(hint), expected);
        assert_eq!(staging().complete(expected), expected, "a second time changes nothing");
        assert_eq!(
            staging().complete("a backquote ` that nothing closes: drctl up"),
            "a backquote ` that nothing closes: drctl up"
        );
        assert_eq!(staging().complete("`drctl up"), "`drctl up");
        assert_eq!(staging().complete(""), "");
    }

    #[test]
    fn hints_in_json_are_completed_wherever_they_are() {
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

    /// The string literals of a source file without its tests, each with the line on which it begins.
    fn literals(text: &str) -> Vec<(usize, String)> {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let mut found = Vec::new();
        let (mut line, mut letters) = (1, text.chars().peekable());
        while let Some(letter) = letters.next() {
            match letter {
                '\n' => line += 1,
                '/' if letters.peek() == Some(&'/') => while letters.next_if(|letter| *letter != '\n').is_some() {},
                // A character or a lifetime. Only a quoted quotation mark matters here.
                '\'' if letters.next_if_eq(&'\\').is_some() || letters.peek() == Some(&'"') => {
                    letters.next();
                }
                'r' if matches!(letters.peek(), Some('"' | '#')) => {
                    // A raw literal, which may contain quotation marks.
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

    /// A command without backquotes would not be completed.
    #[test]
    fn commands_in_source_files_are_in_backquotes() {
        let commands: Vec<String> =
            super::super::args::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let sources = [files(&root.join("src"), "rs"), files(&root.join("crates"), "rs")].concat();
        let (mut read, mut bare) = (0, Vec::new());
        for path in sources {
            // What only tests use is not a hint.
            let is_of_tests =
                |part: &OsStr| ["tests", "testkit", "fuzz-properties", "benches"].iter().any(|name| part == *name);
            if path.components().any(|part| is_of_tests(part.as_os_str())) || path.ends_with("tests.rs") {
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
        assert!(read > 30, "only {read} literals name drctl: they are not read as they should be");
        assert!(bare.is_empty(), "commands outside backquotes:\n{}", bare.join("\n"));
    }
}
