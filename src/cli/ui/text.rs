//! Words, lines, and columns: what the views need in order to be readable at any width.

use std::time::Duration;

use drctl_engine::state::Address;

/// The number of columns of a text. Colours take none.
#[must_use]
pub fn columns(text: &str) -> usize {
    console::measure_text_width(text)
}

/// The text in at most `max` columns. If it is longer, it ends with `…`.
#[must_use]
pub fn fit(text: &str, max: usize) -> String {
    console::truncate_str(text, max, "…").into_owned()
}

/// The text, padded with blanks to `to` columns.
#[must_use]
pub fn pad(text: &str, to: usize) -> String {
    let blanks = to.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(blanks))
}

/// The text without control characters: an answer of AWS or of an emulator must not control the terminal.
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

/// The beginnings of commands in backquotes.
const COMMANDS: [&str; 2] = ["drctl ", "aws "];

/// The words of a text, each with the blanks after it. A command in backquotes is one word, so that it can be copied.
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

/// The text in lines of at most `max` columns, broken at blanks. A longer word (an ARN, a path, a command in backquotes) is not
/// broken, so that it can be copied.
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

/// As many of the items as fit into `max` columns, but at least one, separated by commas; then the number of the others.
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

/// How long something has been going on, in whole seconds, which do not flicker.
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

/// About how long something will take: `about 40 s`, `about 19 min`, `about 1 h 04 min`.
#[must_use]
pub fn about(duration: Duration) -> String {
    let minutes = (duration.as_secs() + 30) / 60;
    match (duration.as_secs(), minutes) {
        (seconds @ 0..60, _) => format!("about {seconds} s"),
        (_, minutes @ 0..60) => format!("about {minutes} min"),
        (_, minutes) => format!("about {} h {:02} min", minutes / 60, minutes % 60),
    }
}

/// The share of the whole that a link of a chain must have to be named.
const WORTH_NAMING: f64 = 0.02;

/// How long a link of a chain must take to be named.
#[must_use]
pub fn worth_naming(whole: Duration) -> Duration {
    whole.mul_f64(WORTH_NAMING)
}

/// A chain of resources in which each waited for the one before. Only the links that made it long are named; the text may be
/// empty.
#[must_use]
pub fn chain<'a>(links: impl IntoIterator<Item = (&'a Address, Duration)>, whole: Duration) -> String {
    let links = links.into_iter().filter(|(_, takes)| *takes >= worth_naming(whole));
    links.map(|(address, takes)| format!("{address} {}", duration(takes))).collect::<Vec<_>>().join(" → ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
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
    fn times_left_are_rounded_to_minutes() {
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
    fn lists_count_what_they_leave_out() {
        assert_eq!(list(&["a", "b", "c"], 80), "a, b, c");
        assert_eq!(list(&["aaaa", "bbbb", "cccc", "dddd"], 22), "aaaa, … and 3 more");
        assert_eq!(list(&["one-that-is-long"], 3), "one-that-is-long");
    }

    #[test]
    fn lines_break_only_at_blanks() {
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
