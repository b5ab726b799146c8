//! Numbers and sizes in the form in which people read them, for what is lost with a resource that holds data.

/// A number and what it counts: `1 item`, `1,204 items`.
pub(super) fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

/// Bytes in the largest unit of which there is at least one, in powers of 1000: `0 bytes`, `3.1 MB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return count(bytes, "byte");
    }
    let mut unit = 0;
    let mut scale = 1000_u64;
    // Rounded to a tenth, 999,950 is 1.0 of the next unit.
    while unit + 1 < UNITS.len() && tenths(bytes, scale) >= 10_000 {
        unit += 1;
        scale *= 1000;
    }
    let tenths = tenths(bytes, scale);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

fn tenths(bytes: u64, scale: u64) -> u64 {
    let tenth = scale / 10;
    bytes / tenth + u64::from(bytes % tenth >= tenth / 2)
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        for (number, written) in [
            (0, "0 items"),
            (1, "1 item"),
            (999, "999 items"),
            (1_204, "1,204 items"),
            (12_345_678, "12,345,678 items"),
        ] {
            assert_eq!(count(number, "item"), written);
        }
    }

    #[test]
    fn sizes_are_written_in_the_largest_unit_that_fits() {
        for (bytes, written) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (3_120_000, "3.1 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), written, "{bytes}");
        }
    }
}
