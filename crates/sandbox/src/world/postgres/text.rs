//! Values as PostgreSQL writes them, from its binary formats.
//!
//! tokio-postgres asks for results in binary form only. The formats are those of PostgreSQL's own `*_send` functions,
//! and the texts those of its `*_out` functions with the settings `DateStyle = ISO` and `IntervalStyle = postgres`; a
//! test compares them with the server's.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::value::{Reader, Undecodable};

const MICROS_OF_SECOND: i64 = 1_000_000;
const MICROS_OF_DAY: i64 = 86_400 * MICROS_OF_SECOND;
/// The day that PostgreSQL counts from, 2000-01-01, in days since 1970-01-01.
const EPOCH: i64 = 10_957;

/// A `numeric`: digits to the base of 10,000, with the weight of the first one.
pub(super) fn numeric(raw: &[u8]) -> Result<String, Undecodable> {
    let mut reader = Reader(raw);
    let (count, weight, sign, scale) = (reader.int2()?, reader.int2()?, reader.int2()?, reader.int2()?);
    match sign.cast_unsigned() {
        0x0000 | 0x4000 => {}
        0xC000 => return Ok("NaN".to_owned()),
        0xD000 => return Ok("Infinity".to_owned()),
        0xF000 => return Ok("-Infinity".to_owned()),
        _ => return Err("a numeric with an unknown sign".into()),
    }
    let mut digits = Vec::new();
    for _ in 0..count {
        digits.push(reader.int2()?);
    }
    let at = |place: i16| {
        let index = i32::from(weight) - i32::from(place);
        usize::try_from(index).ok().and_then(|index| digits.get(index)).copied().unwrap_or(0)
    };
    let mut text = String::from(if sign == 0 { "" } else { "-" });
    if weight < 0 {
        text.push('0');
    }
    for place in (0..=weight.max(-1)).rev() {
        if place == weight { write!(text, "{}", at(place))? } else { write!(text, "{:04}", at(place))? }
    }
    if let Some(scale) = usize::try_from(scale).ok().filter(|&scale| scale > 0) {
        let mut fraction = String::new();
        let mut place = -1;
        while fraction.len() < scale {
            write!(fraction, "{:04}", at(place))?;
            place -= 1;
        }
        fraction.truncate(scale);
        write!(text, ".{fraction}")?;
    }
    Ok(text)
}

/// A `date`, in days since 2000-01-01.
pub(super) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".to_owned(),
        i32::MIN => "-infinity".to_owned(),
        days => {
            let (date, before_christ) = day(i64::from(days));
            date + before_christ
        }
    }
}

/// The day as `year-month-day`, and what follows the time of day if the year is before 1.
fn day(days: i64) -> (String, &'static str) {
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    let shifted = days + EPOCH + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (year, before_christ) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), before_christ)
}

/// A time of day, in microseconds.
pub(super) fn time(micros: i64) -> String {
    let seconds = micros / MICROS_OF_SECOND;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{}", fraction(micros % MICROS_OF_SECOND))
}

/// The part of a second, without the zeros at its end.
fn fraction(micros: i64) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

/// The distance to UTC, in seconds to the east.
pub(super) fn offset(seconds: i64) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes, rest) = (seconds.abs() / 3600, seconds.abs() / 60 % 60, seconds.abs() % 60);
    match (minutes, rest) {
        (0, 0) => format!("{sign}{hours:02}"),
        (minutes, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        (minutes, rest) => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
    }
}

/// A point in time, in microseconds since 2000-01-01, followed by its zone.
pub(super) fn timestamp(micros: i64, zone: &str) -> String {
    match micros {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        micros => {
            let (date, before_christ) = day(micros.div_euclid(MICROS_OF_DAY));
            format!("{date} {}{zone}{before_christ}", time(micros.rem_euclid(MICROS_OF_DAY)))
        }
    }
}

/// An `interval`.
pub(super) fn interval(months: i32, days: i32, micros: i64) -> String {
    match (months, days, micros) {
        (i32::MAX, i32::MAX, i64::MAX) => return "infinity".to_owned(),
        (i32::MIN, i32::MIN, i64::MIN) => return "-infinity".to_owned(),
        _ => {}
    }
    let mut parts: Vec<String> = Vec::new();
    // After a negative part, a positive one is written with its sign.
    let mut negative = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value != 0 {
            let sign = if negative && value > 0 { "+" } else { "" };
            parts.push(format!("{sign}{value} {unit}{}", if value == 1 { "" } else { "s" }));
            negative = value < 0;
        }
    }
    if micros != 0 || parts.is_empty() {
        let sign = match (micros < 0, negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let size = micros.checked_abs().unwrap_or(i64::MAX);
        parts.push(format!("{sign}{}", time(size)));
    }
    parts.join(" ")
}

/// An `inet` or a `cidr`: family, bits of the prefix, whether it is a `cidr`, length, address.
pub(super) fn network(raw: &[u8]) -> Result<String, Undecodable> {
    let (head, address) = raw.split_at_checked(4).ok_or("a network is too short")?;
    let (bits, is_cidr) = (head[1], head[2] != 0);
    let (text, all) = match (<[u8; 4]>::try_from(address), <[u8; 16]>::try_from(address)) {
        (Ok(bytes), _) => (Ipv4Addr::from(bytes).to_string(), 32),
        (_, Ok(bytes)) => (Ipv6Addr::from(bytes).to_string(), 128),
        _ => return Err("an address is of an unknown length".into()),
    };
    Ok(if is_cidr || bits != all { format!("{text}/{bits}") } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_around_the_turning_points_are_right() {
        assert_eq!(date(0), "2000-01-01");
        assert_eq!(date(-1), "1999-12-31");
        assert_eq!(date(59), "2000-02-29");
        assert_eq!(date(i32::MAX), "infinity");
        assert_eq!(timestamp(-1, ""), "1999-12-31 23:59:59.999999");
        assert_eq!(timestamp(1_500_000, "+00"), "2000-01-01 00:00:01.5+00");
    }

    #[test]
    fn a_numeric_keeps_its_scale() {
        let raw = |digits: &[i16], weight: i16, sign: i16, scale: i16| {
            let count = i16::try_from(digits.len()).unwrap_or_default();
            let head = [count, weight, sign, scale];
            head.iter().chain(digits).flat_map(|part| part.to_be_bytes()).collect::<Vec<u8>>()
        };
        let text = |raw: Vec<u8>| numeric(&raw).unwrap_or_default();
        assert_eq!(text(raw(&[12, 3400], 0, 0, 2)), "12.34");
        assert_eq!(text(raw(&[1], 1, 0x4000, 3)), "-10000.000");
        assert_eq!(text(raw(&[5], -2, 0, 8)), "0.00000005");
        assert_eq!(text(raw(&[], 0, 0, 0)), "0");
        assert!(numeric(&[0, 9]).is_err());
    }
}
