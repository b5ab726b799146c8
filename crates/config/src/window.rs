//! The times, in UTC, at which Aurora may back up the database and do maintenance on it.

use std::fmt::{self, Display, Formatter};

use serde::{Serialize, Serializer};

use super::section::as_text;

const HOUR: u16 = 60;
const DAY: u16 = 24 * HOUR;
const WEEK: u16 = 7 * DAY;

/// The shortest window that AWS accepts; source: `PreferredBackupWindow` and `PreferredMaintenanceWindow` in the RDS API.
const SHORTEST: u16 = 30;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A window that opens every day, such as `03:00-04:00`. It may cross midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyWindow {
    /// Minutes after midnight.
    start: u16,
    /// Minutes.
    length: u16,
}

/// A window that opens once a week, such as `sun:05:00-sun:06:00`. It may continue from Sunday into Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeeklyWindow {
    /// Minutes after midnight on Monday.
    start: u16,
    /// Minutes.
    length: u16,
}

impl DailyWindow {
    /// A window of whole hours.
    pub(super) const fn of_hours(start: u16, hours: u16) -> Self {
        Self { start: start * HOUR, length: hours * HOUR }
    }

    /// `None` if `text` is not `hh:mm-hh:mm` or the window is shorter than half an hour.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once('-')?;
        let (start, end) = (clock(start)?, clock(end)?);
        let length = (end + DAY - start) % DAY;
        (length >= SHORTEST).then_some(Self { start, length })
    }

    /// Whether both are open at the same time on any day.
    pub(super) fn overlaps(self, weekly: WeeklyWindow) -> bool {
        (0..7).any(|day| {
            let start = day * DAY + self.start;
            (weekly.start + WEEK - start) % WEEK < self.length || (start + WEEK - weekly.start) % WEEK < weekly.length
        })
    }
}

impl WeeklyWindow {
    /// A window of whole hours on a Sunday.
    pub(super) const fn of_sunday(start: u16, hours: u16) -> Self {
        Self { start: 6 * DAY + start * HOUR, length: hours * HOUR }
    }

    /// `None` if `text` is not `ddd:hh:mm-ddd:hh:mm` or the window is shorter than half an hour.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once('-')?;
        let (start, end) = (moment(start)?, moment(end)?);
        let length = (end + WEEK - start) % WEEK;
        (length >= SHORTEST).then_some(Self { start, length })
    }
}

impl Display for DailyWindow {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", Clock(self.start), Clock(self.start + self.length))
    }
}

impl Display for WeeklyWindow {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", Moment(self.start), Moment(self.start + self.length))
    }
}

impl Serialize for DailyWindow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text(self, serializer)
    }
}

impl Serialize for WeeklyWindow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text(self, serializer)
    }
}

struct Clock(u16);

impl Display for Clock {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let minute = self.0 % DAY;
        write!(formatter, "{:02}:{:02}", minute / HOUR, minute % HOUR)
    }
}

struct Moment(u16);

impl Display for Moment {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let minute = self.0 % WEEK;
        write!(formatter, "{}:{}", DAYS[usize::from(minute / DAY)], Clock(minute))
    }
}

/// `hh:mm` as minutes after midnight.
fn clock(text: &str) -> Option<u16> {
    let two_digits = |text: &str| match text.as_bytes() {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some(u16::from(tens - b'0') * 10 + u16::from(ones - b'0')),
        _ => None,
    };
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (hours < 24 && minutes < HOUR).then_some(hours * HOUR + minutes)
}

/// `ddd:hh:mm` as minutes after midnight on Monday.
fn moment(text: &str) -> Option<u16> {
    let (day, time) = text.split_once(':')?;
    let minute = clock(time)?;
    (0..).zip(DAYS).find(|(_, name)| *name == day).map(|(number, _)| number * DAY + minute)
}

#[cfg(test)]
mod tests {
    use super::{DailyWindow, WeeklyWindow};

    #[test]
    fn daily_windows_are_shown_as_they_were_written() {
        for text in ["03:00-04:00", "23:45-00:15", "00:00-23:59"] {
            assert_eq!(DailyWindow::parse(text).map(|window| window.to_string()).as_deref(), Some(text));
        }
        for text in ["", "03:00", "3:00-4:00", "03:00-03:29", "03:00-03:00", "24:00-25:00", "03:60-05:00", "é:00-04:00"]
        {
            assert_eq!(DailyWindow::parse(text), None, "{text}");
        }
    }

    #[test]
    fn weekly_windows_are_shown_as_they_were_written() {
        for text in ["sun:05:00-sun:06:00", "sun:23:45-mon:00:15", "mon:00:00-tue:00:00"] {
            assert_eq!(WeeklyWindow::parse(text).map(|window| window.to_string()).as_deref(), Some(text));
        }
        for text in ["", "sun:05:00", "Sun:05:00-Sun:06:00", "sun:05:00-sun:05:10", "xyz:05:00-xyz:06:00"] {
            assert_eq!(WeeklyWindow::parse(text), None, "{text}");
        }
    }

    #[test]
    fn overlaps_are_found_across_midnight_and_the_end_of_the_week_too() {
        for (daily, weekly, overlap) in [
            ("03:00-04:00", "sun:04:00-sun:05:00", false),
            ("03:00-04:00", "sun:03:30-sun:05:00", true),
            ("02:00-05:00", "wed:03:00-wed:04:00", true),
            ("23:30-00:30", "mon:00:00-mon:00:30", true),
            ("00:00-00:30", "sun:23:30-mon:00:15", true),
            ("12:00-13:00", "sat:20:00-sun:08:00", false),
        ] {
            let found =
                DailyWindow::parse(daily).zip(WeeklyWindow::parse(weekly)).map(|(day, week)| day.overlaps(week));
            assert_eq!(found, Some(overlap), "{daily} {weekly}");
        }
    }
}
