//! Shows the progress of a run: bars and rows on a terminal, lines elsewhere.
//!
//! The run only hands over its events. A separate thread draws, so that a slow or stopped terminal does not delay the run.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{ProgressBar, ProgressStyle};

use super::Style;
use super::background::Background;
use super::clock::WallClock;
use super::progress_model::ProgressModel;
use drctl_engine::{Event, EventSink, Plan};

/// How often bars are redrawn: their seconds change even if nothing happens.
const FRAME: Duration = Duration::from_millis(125);
/// How often the steps in progress are named where there are no bars.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Rows below a lane's bar, if the terminal is high enough.
const ROWS: usize = 6;
/// Columns at the end of each line that stay empty.
const MARGIN: usize = 3;

/// The progress of a run, as text.
pub struct Progress {
    began: Instant,
    /// Events with the time since the beginning.
    drawing: Background<(Event, Duration)>,
}

impl Progress {
    /// Progress on standard error: bars if it is a terminal that can draw them, otherwise lines. Expected durations are divided
    /// by `scale`.
    #[must_use]
    pub fn new(plan: &Plan, style: &Style, scale: f64) -> Self {
        let term = Term::stderr();
        if term.is_term() && !console::is_dumb() {
            Self::start(ProgressModel::new(plan, scale, WallClock::start()), *style, Canvas::picture)
        } else {
            Self::lines(plan, style, scale, Box::new(io::stderr()))
        }
    }

    /// Lines without control codes, each with its time of day: one for each step that ends, and every half minute one for the
    /// steps in progress. Nothing in them is cut.
    #[must_use]
    pub fn lines(plan: &Plan, style: &Style, scale: f64, out: Box<dyn Write + Send>) -> Self {
        let canvas = move || Canvas::Lines { out, reported: Duration::ZERO };
        Self::start(ProgressModel::new(plan, scale, WallClock::start()), style.colorless().uncut(), canvas)
    }

    fn start(model: ProgressModel, style: Style, canvas: impl FnOnce() -> Canvas + Send + 'static) -> Self {
        let began = Instant::now();
        let drawing = Background::start("progress", move |events| draw(&events, model, style, canvas, began));
        Self { began, drawing }
    }

    /// Draws what is left, then removes the bars. Nothing is drawn after it.
    ///
    /// A failure to draw is logged, but it is not a reason to fail: the summary says how the run ended.
    pub fn finish(&self) {
        if let Err(error) = self.drawing.finish() {
            tracing::warn!(%error, "progress could not be drawn");
        }
    }
}

impl EventSink for Progress {
    fn emit(&self, event: Event) {
        self.drawing.send((event, self.began.elapsed()));
    }
}

/// Where progress is drawn.
enum Canvas {
    /// One block of lines at the bottom of the screen, drawn and removed as a whole.
    Picture {
        term: Term,
        block: ProgressBar,
    },
    Lines {
        out: Box<dyn Write + Send>,
        reported: Duration,
    },
}

impl Canvas {
    fn picture() -> Self {
        // The template is valid. If it were not, the default one would show the message too, after a spinner.
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        Self::Picture { term: Term::stderr(), block: ProgressBar::new_spinner().with_style(style) }
    }

    fn has_rows(&self) -> bool {
        matches!(self, Self::Picture { .. })
    }

    /// The style at the terminal's current width.
    fn style(&self, style: Style) -> Style {
        match self {
            // The last columns stay empty: some terminals break the line when the last column is written to, and all of them
            // write `^C` after the last line. A line that was not drawn would stay on the screen.
            Self::Picture { term, .. } => {
                // Standard output may go to a file, and so may have a style that does not cut.
                let style = Style { cuts: true, ..style };
                term.size_checked()
                    .map_or(style, |(_, columns)| style.resized(usize::from(columns).saturating_sub(MARGIN)))
            }
            Self::Lines { .. } => style,
        }
    }

    /// Prints lines that stay. Outside a terminal, the first line of an event begins with the time of day.
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

    /// Shows the current progress.
    fn show(&mut self, model: &ProgressModel, now: Duration, style: Style) -> io::Result<()> {
        let style = self.style(style);
        match self {
            Self::Picture { term, block } => {
                // A picture that does not fit on the screen would be drawn below itself again and again.
                let height = usize::from(term.size().0).saturating_sub(1 + model.min_lines());
                let rows = (height / model.lanes().max(1)).min(ROWS);
                block.set_message(model.picture(now, &style, rows).join("\n"));
                Ok(())
            }
            Self::Lines { reported, .. } => {
                if now.saturating_sub(*reported) < HEARTBEAT {
                    return Ok(());
                }
                *reported = now;
                model.heartbeat(now).map_or(Ok(()), |line| self.say(&[line], &model.time_of_day(now)))
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
        // One picture is enough for a burst of events.
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
            restored: false,
            took,
        }
    }

    #[test]
    fn without_a_terminal_there_is_a_line_for_each_step_that_ends() {
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
        for (line, start) in text
            .lines()
            .zip(["✓ primary/vpc/main created in 0.9s (vpc-0abc)", "✗ primary/subnet/a create failed after 2.0s:"])
        {
            let (time, rest) = line.split_at("03:41:07".len());
            assert!(time.bytes().all(|byte| byte.is_ascii_digit() || byte == b':'), "{text}");
            assert!(rest.trim_start().starts_with(start), "{text}");
        }
        assert!(text.lines().nth(2).is_some_and(|line| line.starts_with("         ")), "{text}");
    }

    #[test]
    fn a_failure_to_write_is_reported_at_the_end_and_stops_nothing() {
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
