//! Words, lines and columns: what every view needs to be readable at any width.

use std::time::Duration;

use crate::state::Address;

/// How many columns a text takes; colours take none.
#[must_use]
pub fn columns(text: &str) -> usize {
    console::measure_text_width(text)
}

/// The text in at most `max` columns, its end given up for a `…` where it is longer.
#[must_use]
pub fn fit(text: &str, max: usize) -> String {
    console::truncate_str(text, max, "…").into_owned()
}

/// The text filled up with blanks to `to` columns.
#[must_use]
pub fn pad(text: &str, to: usize) -> String {
    let blanks = to.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(blanks))
}

/// The text without control characters: what AWS or an emulator answers must not steer the terminal.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// The text in lines of at most `max` columns, broken at blanks. A longer word (an ARN, a path) stays whole: it is copied.
#[must_use]
pub fn wrap(text: &str, max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && columns(&line) + 1 + columns(word) > max {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// As many of the items as fit into `max` columns, at least one, separated by commas; then how many more there are.
#[must_use]
pub fn list<S: AsRef<str>>(items: &[S], max: usize) -> String {
    let mut text = String::new();
    for (position, item) in items.iter().enumerate() {
        let item = item.as_ref();
        let rest = items.len() - position;
        let separator = if position == 0 { "" } else { ", " };
        let more = if rest > 1 { format!(", … and {} more", rest - 1) } else { String::new() };
        if position > 0 && columns(&text) + separator.len() + columns(item) + columns(&more) > max {
            return format!("{text}, … and {rest} more");
        }
        text.push_str(separator);
        text.push_str(item);
    }
    text
}

/// A number with its noun: `1 resource`, `3 resources`.
#[must_use]
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// How long something took: `0.9s`, `12s`, `2m 05s`, `1h 04m`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    if tenths < 100 {
        return format!("{}.{}s", tenths / 10, tenths % 10);
    }
    whole(u64::try_from((duration.as_millis() + 500) / 1000).unwrap_or(u64::MAX))
}

/// How long something has been going on: whole seconds, which do not flicker.
#[must_use]
pub fn elapsed(duration: Duration) -> String {
    whole(duration.as_secs())
}

fn whole(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The expected duration at another pace. A scale that is no pace at all leaves nothing to expect.
#[must_use]
pub fn scaled(expected: Duration, scale: f64) -> Duration {
    if scale.is_finite() && scale > 0.0 {
        Duration::try_from_secs_f64(expected.as_secs_f64() / scale).unwrap_or_default()
    } else {
        Duration::ZERO
    }
}

/// What of the whole a link of a chain must make to be named.
const TELLING: f64 = 0.02;

/// A chain of resources, each having waited for the one before, by those that made it long; empty without any.
#[must_use]
pub fn chain<'a>(legs: impl IntoIterator<Item = (&'a Address, Duration)>, whole: Duration) -> String {
    let least = whole.mul_f64(TELLING);
    let legs = legs.into_iter().filter(|(_, takes)| *takes >= least);
    legs.map(|(address, takes)| format!("{address} {}", duration(takes))).collect::<Vec<_>>().join(" → ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_exact_enough() {
        let cases = [
            (0, "0.0s"),
            (850, "0.9s"),
            (9_949, "9.9s"),
            (9_950, "10s"),
            (12_000, "12s"),
            (59_600, "1m 00s"),
            (125_000, "2m 05s"),
            (3_840_000, "1h 04m"),
        ];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(elapsed(Duration::from_millis(72_900)), "1m 12s");
    }

    #[test]
    fn a_scale_that_is_none_expects_nothing() {
        let expected = Duration::from_secs(105);
        assert_eq!(scaled(expected, 60.0), Duration::from_millis(1750));
        for scale in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert_eq!(scaled(expected, scale), Duration::ZERO);
        }
    }

    #[test]
    fn lists_say_how_much_they_leave_out() {
        assert_eq!(list(&["a", "b", "c"], 80), "a, b, c");
        assert_eq!(list(&["aaaa", "bbbb", "cccc", "dddd"], 22), "aaaa, … and 3 more");
        assert_eq!(list(&["one-that-is-long"], 3), "one-that-is-long");
    }

    #[test]
    fn lines_break_at_blanks_only() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("arn:aws:kms:us-east-1:1:key/1 is there", 10), ["arn:aws:kms:us-east-1:1:key/1", "is there"]);
        assert!(wrap("  ", 10).is_empty());
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\nb\u{1b}[2Jc"), "a b\u{fffd}[2Jc");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(pad("ab", 4), "ab  ");
    }
}
