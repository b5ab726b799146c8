//! A run as JSON: one object per line. The first line names the version.

use std::io::{self, Write};
use std::sync::mpsc::Receiver;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::background::Background;
use crate::cli::hint;
use drctl_engine::{Event, EventSink};

/// The version of the format. It is raised when a field is removed or changes its meaning.
const FORMAT: u32 = 1;

/// Events as JSON lines.
pub struct JsonEvents {
    lines: Background<Value>,
}

impl JsonEvents {
    /// Writes the first line, which names the versions of drctl and of the format.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        let events = Self { lines: Background::start("events", move |lines| write(&lines, out)) };
        events.line(json!({ "event": "version", "drctl": env!("CARGO_PKG_VERSION"), "format": FORMAT }));
        events
    }

    /// Writes a line that is not an event of the run, e.g. the plan or the summary. Every line begins with what it is and when it
    /// was handed over.
    pub fn line(&self, value: Value) {
        let value = match value {
            Value::Object(mut rest) => {
                let event = rest.shift_remove("event");
                let mut object: Map<String, Value> =
                    event.map(|event| ("event".to_owned(), event)).into_iter().collect();
                object.insert("at".to_owned(), Value::String(format!("{:.3}", Timestamp::now())));
                object.append(&mut rest);
                Value::Object(object)
            }
            other => other,
        };
        self.lines.send(value);
    }

    /// Waits until everything is written. Nothing is written after it.
    ///
    /// # Errors
    /// The first error while writing, if any, such as a reader that has gone away.
    pub fn finish(&self) -> io::Result<()> {
        self.lines.finish()
    }
}

impl EventSink for JsonEvents {
    fn emit(&self, event: Event) {
        self.line(json!(event));
    }
}

fn write(lines: &Receiver<Value>, mut out: Box<dyn Write + Send>) -> io::Result<()> {
    for mut value in lines {
        hint::complete_json(&mut value);
        // One call per line, so that the lines of several writers to one pipe do not mix.
        out.write_all(format!("{value}\n").as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::ui::testing::{Written, address, refused};
    use drctl_engine::Action;

    /// A reader that takes the first line and then goes away.
    struct Leaving(bool);

    impl Write for Leaving {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn failed() -> Event {
        let took = Duration::from_millis(1500);
        Event::Failed { address: address("primary/vpc/main"), action: Action::Create, failure: refused(), took }
    }

    #[test]
    fn each_event_is_a_line_that_begins_with_its_name_and_time() {
        let out = Written::default();
        let events = JsonEvents::new(Box::new(out.clone()));
        events.emit(failed());
        let mut plan = json!({ "version": 1, "changes": [] });
        plan["event"] = "plan".into();
        events.line(plan);
        events.line(json!({ "event": "summary", "result": "failed" }));
        events.finish().expect("written");
        let text = out.text();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(
            lines.iter().map(|line| line["event"].as_str()).collect::<Vec<_>>(),
            [Some("version"), Some("failed"), Some("plan"), Some("summary")]
        );
        assert_eq!((&lines[0]["format"], &lines[0]["drctl"]), (&json!(1), &json!(env!("CARGO_PKG_VERSION"))));
        assert_eq!((&lines[1]["address"], &lines[1]["seconds"]), (&json!("primary/vpc/main"), &json!(1.5)));
        assert_eq!(lines[1]["failure"]["code"], json!("VpcLimitExceeded"));
        for line in &lines {
            let at = line["at"].as_str().expect("a time");
            assert!(at.parse::<Timestamp>().is_ok() && at.ends_with('Z'), "{at}");
            let keys: Vec<&str> = line.as_object().expect("an object").keys().map(String::as_str).take(2).collect();
            assert_eq!(keys, ["event", "at"]);
        }
    }

    #[test]
    fn a_reader_that_goes_away_stops_nothing_and_is_reported_at_the_end() {
        let events = JsonEvents::new(Box::new(Leaving(false)));
        for _ in 0..3 {
            events.emit(failed());
        }
        assert_eq!(events.finish().expect_err("gone").kind(), io::ErrorKind::BrokenPipe);
        events.emit(failed());
        assert!(events.finish().is_ok());
    }
}
