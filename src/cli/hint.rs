//! Commands in hints, completed with the options that this command was given.
//!
//! A hint is often written by code that does not know the command line: the engine, a resource, the state, or the sandbox. It
//! names a command in backquotes (`` `drctl up` ``), and the code that shows the hint completes the command here. So a command
//! that is pasted acts on the stack that the hint is about, not on the default one.

use std::path::Path;
use std::sync::{OnceLock, PoisonError, RwLock};

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches};
use serde_json::Value;

use super::args::{self, Global, STATE_DIR, STATE_DIR_VARIABLE};

/// What this process was started with, and which stack it turned out to be about.
static GIVEN: RwLock<Option<Given>> = RwLock::new(None);

/// The JSON keys that hold hints.
const KEYS: [&str; 2] = ["help", "advice"];

/// The options that no hint repeats, by command (an empty name: of every command): whether it asks, how it shows something, and
/// what it is to do, which a hint says itself. Every other option is repeated.
const UNREPEATED: &[(&str, &[&str])] = &[
    ("", &["yes", "full", "all", "detailed-exitcode", "preflight", "format", "html"]),
    ("init", &["force"]),
    ("orphans", &["adopt", "delete"]),
    ("sandbox region", &["for", "after", "by", "hang", "reset"]),
];

/// The options that have the same meaning for every command. The others agree to something, and only for the command that they
/// were given to: `--no-final-snapshot` for a database that `up` replaces is no word about a stack that `down` deletes.
const SHARED: [&str; 2] = ["stack", "timeout"];

/// Two commands with the same options, of which one shows what the other does.
const TWINS: [&str; 2] = ["plan", "up"];

/// The stack that a command is about, if it was not the configuration that said so.
#[derive(Debug, Clone)]
pub struct ChosenStack {
    /// Its full name, which is that of its state.
    pub name: String,
    /// Its environment.
    pub environment: String,
    /// Whether the configuration that was read, or the default one, names this stack once it has this environment.
    pub is_configured: bool,
}

/// What hints repeat.
#[derive(Debug, Clone)]
struct Given {
    global: Global,
    /// The command, e.g. `sandbox region`.
    command: String,
    /// Its own options, without their dashes, each with its value if it takes one.
    options: Vec<(String, Option<String>)>,
    stack: Option<ChosenStack>,
}

/// Sets what this process was started with.
pub fn given(global: &Global, matches: &ArgMatches) {
    *GIVEN.write().unwrap_or_else(PoisonError::into_inner) = Some(Given::new(global, matches));
}

/// Says which stack the hints from now on are about.
pub fn about(stack: ChosenStack) {
    if let Some(given) = GIVEN.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
        given.stack = Some(stack);
    }
}

/// The hint with its commands completed. Before [`given`] was called, it is unchanged.
#[must_use]
pub fn complete(hint: &str) -> String {
    let given = GIVEN.read().unwrap_or_else(PoisonError::into_inner);
    given.as_ref().map_or_else(|| hint.to_owned(), |given| given.complete(hint))
}

/// Completes the hints in a JSON value, wherever they are.
pub fn complete_json(value: &mut Value) {
    if let Some(given) = GIVEN.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
        given.complete_json(value);
    }
}

/// One word for a POSIX shell, quoted if necessary.
#[must_use]
pub fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:@%+=,".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The command line, with the options of every command.
fn command_line() -> &'static clap::Command {
    static BUILT: OnceLock<clap::Command> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut root = args::command();
        root.build();
        root
    })
}

/// The command that words begin with, and its name, which has two words for a command of a command.
fn find<'a>(words: impl IntoIterator<Item = &'a str>) -> (String, &'static clap::Command) {
    let (mut names, mut command) = (Vec::new(), command_line());
    for word in words {
        let Some(found) = command.find_subcommand(word) else { break };
        names.push(found.get_name());
        command = found;
    }
    (names.join(" "), command)
}

/// Whether an option has a meaning for a command. Those without one are hidden.
fn takes(command: &clap::Command, option: &str) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == Some(option) && !arg.is_hide_set())
}

fn is_accepted(words: &[String]) -> bool {
    let words = ["drctl"].into_iter().chain(words.iter().map(String::as_str));
    command_line().clone().try_get_matches_from(words).is_ok()
}

/// Whether an option may be given several times.
fn is_list(command: &clap::Command, option: &str) -> bool {
    let found = command.get_arguments().find(|arg| arg.get_long() == Some(option));
    found.is_some_and(|arg| matches!(arg.get_action(), ArgAction::Append))
}

impl Given {
    fn new(global: &Global, mut matches: &ArgMatches) -> Self {
        let mut names = Vec::new();
        while let Some((name, of_command)) = matches.subcommand() {
            names.push(name);
            matches = of_command;
        }
        let (command, found) = find(names);
        let mut options = Vec::new();
        for arg in found.get_arguments().filter(|arg| !arg.is_global_set()) {
            let Some(option) = arg.get_long() else { continue };
            // `--help` and `--version` are no arguments of a command that runs.
            if !matches.try_contains_id(arg.get_id().as_str()).unwrap_or_default()
                || matches.value_source(arg.get_id().as_str()) != Some(ValueSource::CommandLine)
                || UNREPEATED.iter().any(|(of, options)| (of.is_empty() || *of == command) && options.contains(&option))
            {
                continue;
            }
            if arg.get_action().takes_values() {
                let values = matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
                options.extend(values.map(|value| (option.to_owned(), Some(value.to_string_lossy().into_owned()))));
            } else {
                options.push((option.to_owned(), None));
            }
        }
        Self { global: global.clone(), command, options, stack: None }
    }

    /// The hint with every drctl command in backquotes written as [`Given::command`] does. A complete command stays as it is.
    fn complete(&self, hint: &str) -> String {
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

    /// The command `drctl WORDS` with what was given to this process and has the same meaning for that command, quoted for a
    /// shell. When it is pasted, it acts on the stack that the hint is about, and agrees to what was agreed to.
    ///
    /// An environment that was set by a variable is written out, too: where the hint is pasted, the variable may not be set. An
    /// option that `words` contain already, or that cannot be given along with them, is not added.
    fn command(&self, words: &str) -> String {
        let mut said: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let (name, command) = find(said.iter().map(String::as_str));
        // If it has a word to be filled in, nothing can be found out about it.
        let is_command = is_accepted(&said);
        let mut text = format!("drctl {words}");
        for (option, value) in self.own(&name).into_iter().chain(self.global(command)) {
            let long = format!("--{option}");
            let is_there = if is_list(command, &option) {
                said.iter().any(|word| Some(word.rsplit('=').next().unwrap_or_default()) == value.as_deref())
            } else {
                said.iter().any(|word| word.split('=').next() == Some(long.as_str()))
            };
            if is_there || !takes(command, &option) {
                continue;
            }
            let more: Vec<String> = [long].into_iter().chain(value).collect();
            let all = [said.as_slice(), more.as_slice()].concat();
            if is_command && !is_accepted(&all) {
                continue;
            }
            said = all;
            for word in more {
                text.push(' ');
                text.push_str(&quoted(&word));
            }
        }
        text
    }

    /// The options of this command that have the same meaning for the command of that name.
    fn own(&self, name: &str) -> Vec<(String, Option<String>)> {
        let is_same = name == self.command || [name, &self.command].iter().all(|name| TWINS.contains(name));
        let means_the_same = |option: &str| is_same || SHARED.contains(&option);
        self.options.iter().filter(|(option, _)| means_the_same(option)).cloned().collect()
    }

    /// The options that decide which stack is meant, for this command.
    fn global(&self, command: &clap::Command) -> Vec<(String, Option<String>)> {
        let Global { config, environment, state_dir, sandbox, .. } = &self.global;
        let path = |path: &Path| path.display().to_string();
        let (mut stack, mut environment, mut config) = (None, environment.clone(), config.as_deref().map(path));
        if let Some(chosen) = &self.stack {
            if takes(command, "stack") {
                (stack, environment) = (Some(chosen.name.clone()), None);
            } else {
                environment = Some(chosen.environment.clone());
                if !chosen.is_configured {
                    // Where its configuration is, is not known. As it is, the command is refused.
                    config = Some("FILE".to_owned());
                }
            }
        }
        // If the variable is set, even the default folder has to be named.
        let is_elsewhere = state_dir.as_os_str() != STATE_DIR || std::env::var_os(STATE_DIR_VARIABLE).is_some();
        let mut options = Vec::new();
        if *sandbox {
            options.push(("sandbox".to_owned(), None));
        }
        let values = [
            ("stack", stack),
            ("environment", environment),
            ("config", config),
            ("state-dir", is_elsewhere.then(|| path(state_dir))),
        ];
        let given = values.into_iter().filter_map(|(option, value)| Some((option.to_owned(), Some(value?))));
        options.extend(given);
        options
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::PathBuf;

    use drctl_testkit::sources::files;
    use serde_json::json;

    use super::*;

    /// What is repeated of a command line.
    fn started(words: &[&str]) -> Given {
        let words: Vec<&str> = ["drctl"].iter().chain(words).copied().collect();
        let matches = args::command().try_get_matches_from(words).expect("parsed");
        let cli = <args::Cli as clap::FromArgMatches>::from_arg_matches(&matches).expect("read");
        Given::new(&cli.global, &matches)
    }

    fn staging() -> Given {
        started(&["status", "--sandbox", "--environment", "staging"])
    }

    #[test]
    fn a_hint_repeats_the_options_that_decide_which_stack_is_meant() {
        let plain = started(&["plan", "--json", "-v", "--no-color"]);
        assert_eq!(plain.command("plan"), "drctl plan");
        let given = started(&["down", "--sandbox", "--environment", "staging"]);
        assert_eq!(given.command("down --yes"), "drctl down --yes --sandbox --environment staging");
        let all = started(&["up", "--config", "my files/it's.toml", "--state-dir", "/srv/drctl state"]);
        assert_eq!(all.command("up"), r"drctl up --config 'my files/it'\''s.toml' --state-dir '/srv/drctl state'");
    }

    #[test]
    fn a_hint_repeats_no_option_and_has_none_without_a_meaning() {
        let given = started(&["plan", "--sandbox", "--environment", "staging", "--state-dir", "elsewhere"]);
        let once = given.command("down --yes");
        assert_eq!(given.command(once.trim_start_matches("drctl ")), once);
        assert_eq!(given.command("sandbox stop"), "drctl sandbox stop --state-dir elsewhere");
        assert_eq!(given.command("init"), "drctl init");
        assert_eq!(
            given.command("up --environment=prod"),
            "drctl up --environment=prod --sandbox --state-dir elsewhere"
        );
    }

    #[test]
    fn a_hint_repeats_what_was_agreed_to() {
        let replace = ["--replace", "primary/vpc/main", "--replace", "primary/db_cluster/main"];
        let up =
            started(&[&["up", "--adopt", "--timeout", "5", "--no-final-snapshot", "--full"], &replace[..]].concat());
        assert_eq!(
            up.command("up --yes"),
            "drctl up --yes --adopt --timeout 5 --replace primary/vpc/main --replace primary/db_cluster/main \
             --no-final-snapshot"
        );
        assert_eq!(
            up.command("plan --replace primary/db_cluster/main --replace primary/db_instance/main"),
            "drctl plan --replace primary/db_cluster/main --replace primary/db_instance/main --adopt --timeout 5 \
             --replace primary/vpc/main --no-final-snapshot"
        );
        // What was agreed to for `up` is not agreed to for a command that deletes everything.
        assert_eq!(up.command("down --yes"), "drctl down --yes --timeout 5");
        let down = started(&["down", "--yes", "--no-final-snapshot", "--empty-buckets"]);
        assert_eq!(down.command("down"), "drctl down --no-final-snapshot --empty-buckets");
        assert_eq!(down.command("up"), "drctl up");
        let orphans = started(&["orphans", "--delete", "--empty-buckets", "--timeout", "7"]);
        // Without `--delete`, there is no such option.
        assert_eq!(orphans.command("orphans"), "drctl orphans --timeout 7");
        assert_eq!(orphans.command("orphans --adopt"), "drctl orphans --adopt --timeout 7");
        assert_eq!(
            orphans.command("orphans --delete --yes"),
            "drctl orphans --delete --yes --empty-buckets --timeout 7"
        );
        assert_eq!(orphans.command("state rm ADDRESS"), "drctl state rm ADDRESS");
    }

    #[test]
    fn a_hint_names_the_stack_that_was_found_without_a_configuration() {
        let mut down = started(&["down", "--yes", "--stack", "pay-prod", "--sandbox", "--environment", "prod"]);
        assert_eq!(down.command("down --yes"), "drctl down --yes --stack pay-prod --sandbox --environment prod");
        let chosen = |is_configured| {
            let (name, environment) = ("pay-prod".to_owned(), "prod".to_owned());
            Some(ChosenStack { name, environment, is_configured })
        };
        down.stack = chosen(true);
        assert_eq!(down.command("down --yes"), "drctl down --yes --stack pay-prod --sandbox");
        assert_eq!(down.command("up"), "drctl up --sandbox --environment prod");
        down.stack = chosen(false);
        assert_eq!(down.command("up"), "drctl up --sandbox --environment prod --config FILE");
        let mut only = started(&["down"]);
        only.stack = chosen(true);
        assert_eq!(only.command("down --yes"), "drctl down --yes --stack pay-prod");
    }

    /// Every command that does something, with the words that name it.
    fn commands() -> Vec<(Vec<&'static str>, &'static clap::Command)> {
        let is_real = |command: &&clap::Command| command.get_name() != "help";
        let leaves = |command: &'static clap::Command| {
            let own = vec![(vec![command.get_name()], command)];
            let inner = command.get_subcommands().filter(is_real);
            let inner: Vec<_> = inner.map(|inner| (vec![command.get_name(), inner.get_name()], inner)).collect();
            if inner.is_empty() { own } else { inner }
        };
        command_line().get_subcommands().filter(is_real).flat_map(leaves).collect()
    }

    /// The words with which clap accepts an option of a command, if there are any among these.
    fn with_option(words: &[&'static str], arg: &clap::Arg) -> Option<Vec<String>> {
        let long = format!("--{}", arg.get_long()?);
        let positionals: [&[&str]; 5] =
            [&[], &["primary/vpc/main"], &["us-east-1", "out"], &["us-east-1", "slow"], &["bash"]];
        let required: [&[&str]; 3] = [&[], &["--delete"], &["--replace", "primary/vpc/main"]];
        let values = ["7", "primary/vpc/main", "json", "instant", "http://127.0.0.1:1", "text"];
        let values: Vec<Vec<&str>> = if arg.get_action().takes_values() {
            values.iter().map(|value| vec![*value]).collect()
        } else {
            vec![vec![]]
        };
        let mut all = positionals.iter().flat_map(|first| {
            let values = &values;
            let long = &long;
            required.iter().flat_map(move |second| {
                values.iter().map(move |value| {
                    let said = words.iter().chain(*first).chain(*second).copied();
                    said.chain([long.as_str()]).chain(value.iter().copied()).map(str::to_owned).collect::<Vec<String>>()
                })
            })
        });
        all.find(|said| is_accepted(said))
    }

    #[test]
    fn every_option_of_every_command_is_repeated_where_it_has_a_meaning() {
        let (mut options, mut repeated) = (0, 0);
        for (words, command) in commands() {
            let name = words.join(" ");
            let own = |arg: &&clap::Arg| !arg.is_global_set() && !["help", "version"].contains(&arg.get_id().as_str());
            for arg in command.get_arguments().filter(own).filter(|arg| arg.get_long().is_some()) {
                let option = arg.get_long().expect("it has one");
                let said = with_option(&words, arg).unwrap_or_else(|| panic!("how is {name} --{option} used?"));
                let given = started(&said.iter().map(String::as_str).collect::<Vec<_>>());
                options += 1;
                // The same command again, without this option.
                let at = said.iter().position(|word| *word == format!("--{option}")).expect("it is there");
                let rest = said[..at].join(" ");
                let hint = given.command(&rest);
                let left_out =
                    UNREPEATED.iter().any(|(of, options)| (of.is_empty() || *of == name) && options.contains(&option));
                let expected = if left_out { format!("drctl {rest}") } else { format!("drctl {}", said.join(" ")) };
                assert_eq!(hint, expected, "{name} --{option}");
                repeated += usize::from(!left_out);
                // Whatever command a hint names, it can be pasted.
                for (other, _) in commands() {
                    let plain: Vec<String> = other.iter().map(|word| (*word).to_owned()).collect();
                    let hint = given.command(&other.join(" "));
                    let pasted: Vec<String> = hint.split(' ').skip(1).map(str::to_owned).collect();
                    assert!(!is_accepted(&plain) || is_accepted(&pasted), "{name} --{option}: {hint}");
                    let shares = SHARED.contains(&option) && takes(find(other.iter().copied()).1, option);
                    assert!(!shares || hint.contains(&format!(" --{option}")), "{name} --{option}: {hint}");
                }
            }
        }
        assert!(options > 40 && repeated > 20, "{options} options, {repeated} of them repeated");
    }

    #[test]
    fn words_are_quoted_for_a_shell_only_if_necessary() {
        for (word, written) in [("a-b_c.d/e", "a-b_c.d/e"), ("", "''"), ("a b", "'a b'"), ("$(x)", "'$(x)'")] {
            assert_eq!(quoted(word), written);
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
