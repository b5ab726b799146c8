//! What is wrong with a configuration, where, and what to write instead.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::string::FromUtf8Error;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

/// A range of bytes in the configuration's text.
pub(super) type Span = Range<usize>;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in bytes: the same number that the rendered report shows.
    pub column: usize,
}

impl Location {
    fn of(offset: usize, text: &str) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        Self { line: before.split(|byte| *byte == b'\n').count(), column: before.len() - line_start + 1 }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    message: String,
    advice: String,
    labels: Vec<LabeledSpan>,
    location: Option<Location>,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>, advice: impl Into<String>) -> Self {
        // Both quote the file, and a control character in the file must not reach the terminal.
        let shown = |text: String| text.replace(char::is_control, "\u{fffd}");
        Self { message: shown(message.into()), advice: shown(advice.into()), labels: Vec::new(), location: None }
    }

    /// Points the problem at its place in the file.
    pub(super) fn at(mut self, span: Span) -> Self {
        self.labels.insert(0, LabeledSpan::new_primary_with_span(None, span));
        self
    }

    /// Adds a second place that is part of the problem.
    pub(super) fn also_at(mut self, span: Span, label: &str) -> Self {
        self.labels.push(LabeledSpan::new_with_span(Some(label.to_owned()), span));
        self
    }

    /// Adds a sentence to the advice.
    pub(super) fn noting(mut self, sentence: &str) -> Self {
        self.advice = format!("{} {sentence}", self.advice);
        self
    }

    /// What is wrong, and why that cannot work.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead.
    #[must_use]
    pub fn advice(&self) -> &str {
        &self.advice
    }

    /// Where the problem is in the file; `None` if it does not come from the file's text.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        self.location
    }

    fn offset(&self) -> Option<usize> {
        self.labels.first().map(LabeledSpan::offset)
    }
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(&self.advice))
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.labels.is_empty() {
            return None;
        }
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// Why a configuration is refused: all of its problems at once (up to fifty), in the order of the file.
#[derive(Debug)]
pub struct ConfigError {
    source: NamedSource<String>,
    problems: Vec<Problem>,
    left_out: usize,
}

/// How many problems are shown. A file with more is not a `drctl.toml`. Each problem is shown with its line, so a thousand
/// of them on one long line would make a report of many megabytes.
const MOST_PROBLEMS: usize = 50;

impl ConfigError {
    pub(super) fn new(source_name: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(Problem::offset);
        let left_out = problems.len().saturating_sub(MOST_PROBLEMS);
        problems.truncate(MOST_PROBLEMS);
        for problem in &mut problems {
            problem.location = problem.offset().map(|offset| Location::of(offset, text));
        }
        // The report quotes lines of the text. Control characters are replaced by spaces to protect the terminal, each by as
        // many as it has bytes (two beyond ASCII) to keep the columns right.
        let is_unprintable = |letter: char| letter.is_ascii_control() && letter != '\n' && letter != '\t';
        let is_wide = |letter: char| letter.is_control() && !letter.is_ascii();
        let shown = text.replace(is_unprintable, " ").replace(is_wide, "  ");
        Self { source: NamedSource::new(source_name, shown), problems, left_out }
    }

    pub(super) fn unreadable(source_name: &str, error: &io::Error) -> Self {
        let (message, advice) = match error.kind() {
            ErrorKind::NotFound => (
                format!("there is no configuration file `{source_name}`"),
                "Create one with `drctl init`, correct the path given with --config, or leave --config out to use \
                 drctl.toml in the working folder.",
            ),
            ErrorKind::IsADirectory => (
                format!("`{source_name}` is a folder, not a configuration file"),
                "Name the file itself, for example `--config settings/drctl.toml`.",
            ),
            ErrorKind::PermissionDenied => (
                format!("the configuration file `{source_name}` is not readable by this user"),
                "Make it readable with `chmod u+r`, or run drctl as the user who owns the file.",
            ),
            _ => (
                format!("the configuration file `{source_name}` cannot be read: {error}"),
                "Check the disk or the mount that the file is on, or name another file with --config.",
            ),
        };
        Self::new(source_name, "", vec![Problem::new(message, advice)])
    }

    pub(super) fn not_text(source_name: &str, error: &FromUtf8Error) -> Self {
        if error.as_bytes().iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) {
            return Self::binary(source_name, error.as_bytes());
        }
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let problem = Problem::new(
            format!("`{source_name}` is not UTF-8 text, which TOML requires"),
            "Save the file in UTF-8 (not in UTF-16 or Latin-1).",
        );
        Self::new(source_name, &text, vec![problem.at(valid..valid + char::REPLACEMENT_CHARACTER.len_utf8())])
    }

    /// A file with bytes that do not occur in text: none of it is shown.
    pub(super) fn binary(source_name: &str, bytes: &[u8]) -> Self {
        // The byte order marks of UTF-16.
        let problem = if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            Problem::new(format!("`{source_name}` is UTF-16 text, and TOML must be UTF-8"), "Save the file in UTF-8.")
        } else {
            Problem::new(
                format!("`{source_name}` is not a text file, so it is not a configuration"),
                // With a name, because a hint would repeat that of this file.
                "Name the configuration file with --config; `drctl init --config new.toml` writes a new one.",
            )
        };
        Self::new(source_name, "", vec![problem])
    }

    /// The problems, in the order of the file. Never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What the configuration was read from, usually its path.
    #[must_use]
    pub fn source_name(&self) -> &str {
        self.source.name()
    }

    /// The problem, if there is only one: it is then shown without a headline above it.
    fn only(&self) -> Option<&Problem> {
        match self.problems.as_slice() {
            [problem] => Some(problem),
            _ => None,
        }
    }
}

impl Display for ConfigError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if let Some(problem) = self.only() {
            return problem.fmt(formatter);
        }
        write!(formatter, "{} has {} problems", self.source_name(), self.problems.len() + self.left_out)?;
        if self.left_out == 0 { Ok(()) } else { write!(formatter, ", of which these are the first {MOST_PROBLEMS}") }
    }
}

impl Error for ConfigError {}

impl Diagnostic for ConfigError {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.only().and_then(Diagnostic::help)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.only().and_then(Diagnostic::labels)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.only().is_some() {
            return None;
        }
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}
