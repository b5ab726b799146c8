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
    /// Whether machines read it.
    pub json: bool,
    /// How it looks on stdout.
    pub style: Style,
    no_color: bool,
}

impl Output {
    /// As the options and the terminal say.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        Self { json: global.json, style: Style::detect(global.no_color), no_color: global.no_color }
    }

    /// Prints text to stdout.
    ///
    /// # Errors
    /// When stdout takes nothing.
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
    /// When stdout takes nothing.
    pub fn print_json(&self, value: &serde_json::Value) -> Result<(), CliError> {
        let mut value = value.clone();
        hint::complete_json(&mut value);
        self.print(&format!("{value}\n"))
    }

    /// Tells people what is under way, on stderr.
    pub fn progress(&self, line: &str) {
        tell(&format!("{}\n", hint::complete(line)));
    }

    /// Prints an error: to people on stderr, to machines on stdout.
    pub fn error(&self, error: &CliError) {
        // Where no machine reads any more, there may still be somebody who reads the rest.
        if self.json {
            let mut json = error.to_json();
            json["at"] = format!("{:.3}", jiff::Timestamp::now()).into();
            if self.print_json(&json).is_ok() {
                return;
            }
        }
        let fancy = Style::detect_stderr(self.no_color).color;
        let theme = if fancy { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() };
        tell(&format!("Error:\n{}\n", report(error, theme, self.style.width.min(120)).trim_end()));
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
    /// When the answer cannot be read, or a signal comes instead of it.
    pub async fn ask(&self, question: &str, shutdown: &Shutdown) -> Result<Option<String>, CliError> {
        if !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        tell(question);
        // A thread of its own: it may wait for ever, and the process ends without it.
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        let answer = async {
            let line = line.await.map_err(std::io::Error::other).and_then(|line| line);
            line.map_err(|source| CliError::Io { action: "read the answer".into(), source })
        };
        let answer = unless_interrupted(shutdown, answer).await;
        // Without a line of its own, the answer leaves what comes next on the line of the question.
        if !answer.as_ref().is_ok_and(|answer| answer.ends_with('\n')) {
            tell("\n");
        }
        Ok(Some(answer?.trim().to_owned()))
    }
}

/// An error as people read it. A path and a command stay on one line: they are copied.
fn report(error: &CliError, theme: miette::GraphicalTheme, width: usize) -> String {
    let words =
        textwrap::WordSeparator::Custom(|line| Box::new(text::words(line).into_iter().map(textwrap::core::Word::from)));
    let handler = miette::GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .with_break_words(false)
        .with_word_separator(words)
        .with_word_splitter(textwrap::WordSplitter::NoHyphenation);
    // A cause that the message tells is not told again.
    let handler = if error.in_full() == error.to_string() { handler.without_cause_chain() } else { handler };
    let mut text = String::new();
    if handler.render_report(&mut text, error).is_err() {
        text = error.in_full();
    }
    text
}

/// To stderr. When nobody listens there, the exit code is left to tell.
fn tell(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
