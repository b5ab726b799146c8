//! The time of day at a moment of a run.

use std::time::Duration;

use jiff::Zoned;

/// Converts times that are counted from the beginning of a run to the local time of day.
#[derive(Debug, Clone)]
pub(super) struct WallClock {
    began: Zoned,
}

impl WallClock {
    /// The clock of a run that begins now.
    pub fn start() -> Self {
        Self { began: Zoned::now() }
    }

    /// The clock of a run that began at this moment.
    #[cfg(test)]
    pub fn started_at(text: &str) -> Self {
        Self { began: text.parse().expect("a moment with its time zone") }
    }

    /// `03:41`, for the future.
    pub fn minute(&self, since: Duration) -> String {
        self.format(since, "%H:%M")
    }

    /// `03:41:07`, for the past.
    pub fn second(&self, since: Duration) -> String {
        self.format(since, "%H:%M:%S")
    }

    fn format(&self, since: Duration, format: &str) -> String {
        // It fails only at the end of the calendar.
        self.began.checked_add(since).unwrap_or_else(|_| self.began.clone()).strftime(format).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_follows_the_run() {
        let clock = WallClock::started_at("2026-11-25T23:59:30+00:00[UTC]");
        assert_eq!(clock.second(Duration::from_secs(5)), "23:59:35");
        assert_eq!(clock.minute(Duration::from_secs(90)), "00:01");
    }
}
