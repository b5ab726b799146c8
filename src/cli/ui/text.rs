//! Words, lines and columns: what every view needs to be readable at any width.

use std::time::Duration;

use drctl_engine::state::Address;

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

/// What a command in backquotes begins with.
const COMMANDS: [&str; 2] = ["drctl ", "aws "];

/// The words of a text, each with the blanks behind it. A command in backquotes is one word: it is copied as a whole.
#[must_use]
pub fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut begin, mut was_blank, mut is_command) = (0, false, false);
    for (at, letter) in text.char_indices() {
        if was_blank && !is_command && !letter.is_whitespace() {
            words.push(&text[begin..at]);
            begin = at;
        }
        if letter == '`' {
            let rest = &text[at + 1..];
            is_command = !is_command && rest.contains('`') && COMMANDS.iter().any(|command| rest.starts_with(command));
        }
        was_blank = letter.is_whitespace();
    }
    if begin < text.len() {
        words.push(&text[begin..]);
    }
    words
}

/// The text in lines of at most `max` columns, broken at blanks. A longer word (an ARN, a path, a command in backquotes) stays
/// whole: it is copied.
#[must_use]
pub fn wrap(text: &str, max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in words(text).into_iter().map(str::trim).filter(|word| !word.is_empty()) {
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

/// How long something will about take, for whom a minute is exact enough: `about 40 s`, `about 19 min`, `about 1 h 04 min`.
#[must_use]
pub fn about(duration: Duration) -> String {
    let minutes = (duration.as_secs() + 30) / 60;
    match (duration.as_secs(), minutes) {
        (seconds @ 0..60, _) => format!("about {seconds} s"),
        (_, minutes @ 0..60) => format!("about {minutes} min"),
        (_, minutes) => format!("about {} h {:02} min", minutes / 60, minutes % 60),
    }
}

/// What of the whole a link of a chain must make to be named.
const TELLING: f64 = 0.02;

/// How long a link of a chain must take to be named.
#[must_use]
pub fn telling(whole: Duration) -> Duration {
    whole.mul_f64(TELLING)
}

/// A chain of resources, each having waited for the one before, by those that made it long; empty without any.
#[must_use]
pub fn chain<'a>(legs: impl IntoIterator<Item = (&'a Address, Duration)>, whole: Duration) -> String {
    let legs = legs.into_iter().filter(|(_, takes)| *takes >= telling(whole));
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
    fn what_is_to_come_is_told_in_minutes() {
        let cases = [
            (7, "about 7 s"),
            (89, "about 1 min"),
            (90, "about 2 min"),
            (1_459, "about 24 min"),
            (3_840, "about 1 h 04 min"),
        ];
        for (seconds, text) in cases {
            assert_eq!(about(Duration::from_secs(seconds)), text);
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
    fn a_command_stays_on_one_line() {
        let hint = "Run `drctl up --yes` or `aws sso login`, see `a b`.";
        assert_eq!(wrap(hint, 12), ["Run", "`drctl up --yes`", "or", "`aws sso login`,", "see `a b`."]);
        assert_eq!(words("  a  `drctl up` b"), ["  ", "a  ", "`drctl up` ", "b"]);
        assert_eq!(wrap("`drctl up that nothing closes", 12), ["`drctl up", "that nothing", "closes"]);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\nb\u{1b}[2Jc"), "a b\u{fffd}[2Jc");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(pad("ab", 4), "ab  ");
    }
}
