//! What a clock on the wall shows at a moment of a run.

use std::time::Duration;

use jiff::Zoned;

/// Tells the time of day, here, of what is counted from the beginning of a run.
#[derive(Debug, Clone)]
pub(super) struct WallClock {
    began: Zoned,
}

impl WallClock {
    /// For a run that begins now.
    pub fn starts() -> Self {
        Self { began: Zoned::now() }
    }

    /// For a run that began at this moment.
    #[cfg(test)]
    pub fn started_at(text: &str) -> Self {
        Self { began: text.parse().expect("a moment with its time zone") }
    }

    /// `03:41`, for what is to come.
    pub fn minute(&self, since: Duration) -> String {
        self.told(since, "%H:%M")
    }

    /// `03:41:07`, for what has happened.
    pub fn second(&self, since: Duration) -> String {
        self.told(since, "%H:%M:%S")
    }

    fn told(&self, since: Duration, format: &str) -> String {
        // No run lasts until the end of the calendar.
        self.began.checked_add(since).unwrap_or_else(|_| self.began.clone()).strftime(format).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_goes_on_with_the_run() {
        let clock = WallClock::started_at("2026-11-25T23:59:30+00:00[UTC]");
        assert_eq!(clock.second(Duration::from_secs(5)), "23:59:35");
        assert_eq!(clock.minute(Duration::from_secs(90)), "00:01");
    }
}
