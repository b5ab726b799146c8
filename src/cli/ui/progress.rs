//! Draws a run while it runs: bars and rows on a terminal, lines elsewhere.
//!
//! The run only hands its events over. A thread of its own draws, so that a slow or stopped terminal holds nothing up.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{ProgressBar, ProgressStyle};

use super::Style;
use super::background::Background;
use super::clock::WallClock;
use super::progress_model::ProgressModel;
use drctl_engine::{Event, Events, Plan};

/// How often bars are drawn anew: their seconds go on while nothing happens.
const FRAME: Duration = Duration::from_millis(125);
/// How often what takes long is named where there are no bars.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rows beneath a lane's bar, where the terminal is high enough.
const ROWS: usize = 6;
/// Columns at the end of each line that nothing is drawn to.
const MARGIN: usize = 3;

/// A run's progress, for people.
pub struct Progress {
    began: Instant,
    /// Events with the time since the beginning.
    drawing: Background<(Event, Duration)>,
}

impl Progress {
    /// On standard error: bars where it is a terminal that can draw them, else lines. Expected durations are divided by
    /// `scale`.
    #[must_use]
    pub fn new(plan: &Plan, style: &Style, scale: f64) -> Self {
        let term = Term::stderr();
        if term.is_term() && !console::is_dumb() {
            Self::start(ProgressModel::new(plan, scale, WallClock::starts()), *style, Canvas::picture)
        } else {
            Self::lines(plan, style, scale, Box::new(io::stderr()))
        }
    }

    /// Lines without control codes, each with its time of day: one for everything that ends, and every half minute one for what
    /// goes on. Nothing in them is cut.
    #[must_use]
    pub fn lines(plan: &Plan, style: &Style, scale: f64, out: Box<dyn Write + Send>) -> Self {
        let canvas = move || Canvas::Lines { out, told: Duration::ZERO };
        Self::start(ProgressModel::new(plan, scale, WallClock::starts()), style.colorless().uncut(), canvas)
    }

    fn start(model: ProgressModel, style: Style, canvas: impl FnOnce() -> Canvas + Send + 'static) -> Self {
        let began = Instant::now();
        let drawing = Background::start("progress", move |events| draw(&events, model, style, canvas, began));
        Self { began, drawing }
    }

    /// Draws what is still to be drawn and takes the bars away. Nothing is drawn after it.
    ///
    /// That something could not be drawn is logged and no reason to fail: the summary says how the run came out.
    pub fn finish(&self) {
        if let Err(error) = self.drawing.finish() {
            tracing::warn!(%error, "progress could not be drawn");
        }
    }
}

impl Events for Progress {
    fn emit(&self, event: Event) {
        self.drawing.send((event, self.began.elapsed()));
    }
}

/// Where progress is drawn.
enum Canvas {
    /// One block of lines at the bottom of the screen, drawn and taken away as a whole.
    Picture {
        term: Term,
        block: ProgressBar,
    },
    Lines {
        out: Box<dyn Write + Send>,
        told: Duration,
    },
}

impl Canvas {
    fn picture() -> Self {
        // The template is fixed; were it refused, the default one shows the message as well, behind a spinner.
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        Self::Picture { term: Term::stderr(), block: ProgressBar::new_spinner().with_style(style) }
    }

    fn has_rows(&self) -> bool {
        matches!(self, Self::Picture { .. })
    }

    /// The style at the terminal's width of now.
    fn style(&self, style: Style) -> Style {
        match self {
            // The last columns stay free: some terminals break the line when the last one is written to, and on Ctrl-C all of
            // them write `^C` behind the last line. A line more than was drawn would stay on the screen.
            Self::Picture { term, .. } => {
                // However the text on standard output is dressed, which may go to a file.
                let style = Style { cuts: true, ..style };
                term.size_checked()
                    .map_or(style, |(_, columns)| style.resized(usize::from(columns).saturating_sub(MARGIN)))
            }
            Self::Lines { .. } => style,
        }
    }

    /// Prints lines that stay. Outside a terminal the first of an event's lines tells the time of day.
    fn say(&mut self, lines: &[String], time: &str) -> io::Result<()> {
        match self {
            Self::Picture { block, .. } => {
                for line in lines {
                    block.println(line);
                }
                Ok(())
            }
            Self::Lines { out, .. } => {
                let blank = " ".repeat(time.len());
                lines.iter().enumerate().try_for_each(|(number, line)| {
                    let time = if number == 0 { time } else { &blank };
                    writeln!(out, "{time} {line}")
                })
            }
        }
    }

    /// Shows how things stand.
    fn show(&mut self, model: &ProgressModel, now: Duration, style: Style) -> io::Result<()> {
        let style = self.style(style);
        match self {
            Self::Picture { term, block } => {
                // What does not fit on the screen would be drawn again and again beneath itself.
                let height = usize::from(term.size().0).saturating_sub(1 + model.least());
                let rows = (height / model.lanes().max(1)).min(ROWS);
                block.set_message(model.picture(now, &style, rows).join("\n"));
                Ok(())
            }
            Self::Lines { told, .. } => {
                if now.saturating_sub(*told) < PATIENCE {
                    return Ok(());
                }
                *told = now;
                model.still(now).map_or(Ok(()), |line| self.say(&[line], &model.time_of_day(now)))
            }
        }
    }

    fn close(&mut self) -> io::Result<()> {
        match self {
            Self::Picture { block, .. } => {
                block.finish_and_clear();
                Ok(())
            }
            Self::Lines { out, .. } => out.flush(),
        }
    }
}

fn draw(
    receive: &Receiver<(Event, Duration)>,
    mut model: ProgressModel,
    style: Style,
    canvas: impl FnOnce() -> Canvas,
    began: Instant,
) -> io::Result<()> {
    let mut canvas = canvas();
    let mut shown: Option<Instant> = None;
    loop {
        match receive.recv_timeout(FRAME) {
            Ok((event, now)) => {
                let style = canvas.style(style);
                let lines = model.take(&event, now, &style, canvas.has_rows());
                canvas.say(&lines, &model.time_of_day(now))?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return canvas.close(),
        }
        // In a burst of events one picture stands for many.
        if shown.is_none_or(|shown| shown.elapsed() >= FRAME) {
            canvas.show(&model, began.elapsed(), style)?;
            shown = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::ui::testing::{Written, address, assert_fits, creation, plan, refused};
    use drctl_engine::Action;

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn done() -> Event {
        let took = Duration::from_millis(850);
        Event::Done {
            address: address("primary/vpc/main"),
            action: Action::Create,
            id: Some("vpc-0abc".to_owned()),
            took,
        }
    }

    #[test]
    fn without_a_terminal_there_is_a_line_for_everything_that_ends() {
        let out = Written::default();
        let planned = plan(vec![creation("primary/vpc/main", json!({})), creation("primary/subnet/a", json!({}))]);
        let progress = Progress::lines(&planned, &Style::plain(80), 1.0, Box::new(out.clone()));
        let started = Event::Started {
            address: address("primary/vpc/main"),
            region: "us-east-1".to_owned(),
            action: Action::Create,
            expected: Duration::from_secs(12),
        };
        progress.emit(started);
        progress.emit(done());
        let took = Duration::from_secs(2);
        progress.emit(Event::Failed {
            address: address("primary/subnet/a"),
            action: Action::Create,
            failure: refused(),
            took,
        });
        progress.drawing.finish().expect("written");
        let text = out.text();
        assert_fits(&text, 80 + "03:41:07 ".len());
        for (line, told) in text
            .lines()
            .zip(["✓ primary/vpc/main created in 0.9s (vpc-0abc)", "✗ primary/subnet/a create failed after 2.0s:"])
        {
            let (time, rest) = line.split_at("03:41:07".len());
            assert!(time.bytes().all(|byte| byte.is_ascii_digit() || byte == b':'), "{text}");
            assert!(rest.trim_start().starts_with(told), "{text}");
        }
        assert!(text.lines().nth(2).is_some_and(|line| line.starts_with("         ")), "{text}");
    }

    #[test]
    fn what_cannot_be_written_to_is_said_at_the_end_and_stops_nothing() {
        let planned = plan(vec![creation("primary/vpc/main", json!({}))]);
        let progress = Progress::lines(&planned, &Style::plain(80), 1.0, Box::new(Broken));
        progress.emit(done());
        progress.emit(done());
        let error = progress.drawing.finish().expect_err("a broken pipe");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        progress.emit(done());
        assert!(progress.drawing.finish().is_ok());
    }
}
