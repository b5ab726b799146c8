//! Where a command prints.

use std::io::{IsTerminal as _, Write as _};

use super::args::Global;
use super::error::CliError;
use super::hint;
use super::interrupt::unless_interrupted;
use super::ui::{Style, text};
use drctl_engine::cancel::Shutdown;

/// Where a command prints, and how.
#[derive(Debug, Clone)]
pub struct Output {
    /// Whether the output is JSON.
    pub json: bool,
    /// The style of text on stdout.
    pub style: Style,
    no_color: bool,
}

impl Output {
    /// The output that the options and the terminal call for.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        Self { json: global.json, style: Style::detect(global.no_color), no_color: global.no_color }
    }

    /// The output for machines, of a command line whose other options are not known.
    #[must_use]
    pub fn for_machines() -> Self {
        Self { json: true, style: Style::detect(true), no_color: true }
    }

    /// Prints text to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written to.
    pub fn print(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = std::io::stdout().lock();
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") });
        written
            .and_then(|()| stdout.flush())
            .map_err(|source| CliError::Io { action: "write to stdout".into(), source })
    }

    /// Prints a JSON value to stdout, on one line.
    ///
    /// # Errors
    /// When stdout cannot be written to.
    pub fn print_json(&self, value: &serde_json::Value) -> Result<(), CliError> {
        let mut value = value.clone();
        hint::complete_json(&mut value);
        self.print(&format!("{value}\n"))
    }

    /// Prints a line about what is going on to stderr.
    pub fn progress(&self, line: &str) {
        eprint(&format!("{}\n", hint::complete(line)));
    }

    /// Prints an error: as text to stderr, or as JSON to stdout.
    pub fn error(&self, error: &CliError) {
        // If stdout cannot be written to, stderr may still be read.
        if self.json {
            let mut json = error.to_json();
            json["at"] = format!("{:.3}", jiff::Timestamp::now()).into();
            if self.print_json(&json).is_ok() {
                return;
            }
        }
        let fancy = Style::detect_stderr(self.no_color).color;
        let theme = if fancy { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() };
        eprint(&format!("Error:\n{}\n", report(error, theme, self.style.width.min(120)).trim_end()));
    }

    /// Asks for a word on the terminal, and returns whether it was typed. `without_terminal` is the help for a run in which
    /// there is no terminal to ask on.
    ///
    /// # Errors
    /// When stdin is not a terminal, and as [`Output::ask`].
    pub async fn confirm(
        &self,
        question: &str,
        word: &str,
        without_terminal: &str,
        shutdown: &Shutdown,
    ) -> Result<bool, CliError> {
        match self.ask(question, shutdown).await? {
            Some(answer) => Ok(answer == word),
            None => Err(CliError::Usage {
                message: "cannot ask for confirmation: stdin is not a terminal".to_owned(),
                help: without_terminal.to_owned(),
            }),
        }
    }

    /// Asks a question on the terminal; `None` when stdin is not a terminal.
    ///
    /// # Errors
    /// When the answer cannot be read, or a signal arrives first.
    pub async fn ask(&self, question: &str, shutdown: &Shutdown) -> Result<Option<String>, CliError> {
        if !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        eprint(question);
        // On a thread of its own, which may wait for ever: the process ends without it.
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        let answer = async {
            let line = line.await.map_err(std::io::Error::other).and_then(|line| line);
            line.map_err(|source| CliError::Io { action: "read the answer".into(), source })
        };
        let answer = unless_interrupted(shutdown, answer).await;
        // If the answer did not end its line, the next output would be on the line of the question.
        if !answer.as_ref().is_ok_and(|answer| answer.ends_with('\n')) {
            eprint("\n");
        }
        Ok(Some(answer?.trim().to_owned()))
    }
}

/// An error as text. Paths and commands stay on one line, so that they can be copied.
fn report(error: &CliError, theme: miette::GraphicalTheme, width: usize) -> String {
    let words =
        textwrap::WordSeparator::Custom(|line| Box::new(text::words(line).into_iter().map(textwrap::core::Word::from)));
    let handler = miette::GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .with_break_words(false)
        .with_word_separator(words)
        .with_word_splitter(textwrap::WordSplitter::NoHyphenation);
    // A cause that is part of the message is not repeated.
    let handler = if error.in_full() == error.to_string() { handler.without_cause_chain() } else { handler };
    let mut text = String::new();
    if handler.render_report(&mut text, error).is_err() {
        text = error.in_full();
    }
    text
}

/// Prints to stderr. If it cannot be written to, the exit code still says how the command ended.
fn eprint(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
