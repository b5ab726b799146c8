//! "Did you mean": the known name nearest to a mistyped one.

use std::mem;

/// The candidate that `written` most likely means, if one is near enough.
#[must_use]
pub fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .filter(|candidate| written.chars().count().abs_diff(candidate.chars().count()) <= tolerated_typos(candidate))
        .map(|candidate| (distance(written, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= tolerated_typos(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many typos in a name are tolerated: with more, the suggestion would be arbitrary.
fn tolerated_typos(name: &str) -> usize {
    (name.chars().count() / 3).clamp(1, 3)
}

/// How many letters have to be inserted, deleted, replaced or swapped with their neighbour (optimal string alignment).
fn distance(written: &str, meant: &str) -> usize {
    let meant: Vec<char> = meant.chars().collect();
    let mut before_last = vec![0; meant.len() + 1];
    let mut last: Vec<usize> = (0..=meant.len()).collect();
    let mut previous = None;
    for (index, letter) in written.chars().enumerate() {
        let mut row = Vec::with_capacity(meant.len() + 1);
        row.push(index + 1);
        for (column, wanted) in meant.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != *wanted);
            let mut cheapest = replaced.min(last[column + 1] + 1).min(row[column] + 1);
            if column > 0 && previous == Some(*wanted) && meant[column - 1] == letter {
                cheapest = cheapest.min(before_last[column - 1] + 1);
            }
            row.push(cheapest);
        }
        previous = Some(letter);
        before_last = mem::replace(&mut last, row);
    }
    last[meant.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn typos_are_counted() {
        for (written, meant, typos) in [
            ("nat", "nat", 0),
            ("", "nat", 3),
            ("nat", "", 3),
            ("ant", "nat", 1),
            ("engine-version", "engine_version", 1),
            ("memory", "memory_mb", 3),
            ("übung", "ubung", 1),
        ] {
            assert_eq!(distance(written, meant), typos, "{written} → {meant}");
        }
    }

    #[test]
    fn the_nearest_name_is_suggested_and_a_distant_one_is_not() {
        let names = ["primary", "secondary", "nat"];
        assert_eq!(nearest("primery", names), Some("primary"));
        assert_eq!(nearest("secundary", names), Some("secondary"));
        assert_eq!(nearest("tan", names), None);
        assert_eq!(nearest("zone", names), None);
        assert_eq!(nearest("", names), None);
    }
}
