//! A password, which stays in memory only until it has been sent.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::resources::{Class, Failure};

/// About 238 bits, and within RDS's limits. <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html>
const LENGTH: usize = 40;

/// Without characters that have a meaning to RDS, in a connection string or to a shell.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A secret's value: the user's name and a new password, as RDS's Data API and the function read it.
pub(super) fn new_value(username: &str) -> Result<Zeroizing<String>, Failure> {
    #[derive(Serialize)]
    struct Value<'a> {
        username: &'a str,
        password: &'a str,
    }
    let password = generate()?;
    let value = serde_json::to_string(&Value { username, password: &password });
    // Two texts always serialise. The cause is left out because it could contain the value.
    value.map(Zeroizing::new).map_err(|_| Failure::new(Class::Internal, "a secret's value cannot be written as JSON"))
}

/// Draws again until the password has a letter of each case and a digit, which the first draw almost always has.
fn generate() -> Result<Zeroizing<String>, Failure> {
    loop {
        let password = draw()?;
        let has = |kind: fn(&u8) -> bool| password.as_bytes().iter().any(kind);
        if has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit) {
            return Ok(password);
        }
    }
}

fn draw() -> Result<Zeroizing<String>, Failure> {
    // It never grows: memory that a string moves out of is not wiped.
    let mut password = Zeroizing::new(String::with_capacity(LENGTH));
    let mut random = Zeroizing::new([0_u8; 64]);
    while password.len() < LENGTH {
        getrandom::fill(random.as_mut_slice()).map_err(|e| {
            Failure::new(Class::Internal, format!("the operating system has no random numbers for a password: {e}"))
        })?;
        let missing = LENGTH - password.len();
        password.extend(random.iter().copied().filter_map(character).take(missing));
    }
    Ok(password)
}

/// `None` for the bytes that would make some characters likelier than others: 256 is not a multiple of 62.
fn character(byte: u8) -> Option<char> {
    let index = usize::from(byte);
    (index < 4 * ALPHABET.len()).then(|| char::from(ALPHABET[index % ALPHABET.len()]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_character_is_as_likely_as_any_other() {
        let mut times: BTreeMap<char, usize> = BTreeMap::new();
        for character in (0..=u8::MAX).filter_map(character) {
            *times.entry(character).or_default() += 1;
        }
        assert_eq!(times.len(), 62);
        assert!(times.values().all(|times| *times == 4));
    }

    #[test]
    fn a_password_has_a_letter_of_each_case_and_a_digit() {
        for _ in 0..200 {
            let password = generate().expect("random numbers");
            assert_eq!(password.len(), LENGTH);
            assert!(password.bytes().all(|byte| ALPHABET.contains(&byte)));
            let has = |kind: fn(&u8) -> bool| password.as_bytes().iter().any(kind);
            assert!(has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit));
        }
    }

    #[test]
    fn no_two_passwords_are_the_same() {
        assert_ne!(*generate().expect("random numbers"), *generate().expect("random numbers"));
    }

    #[test]
    fn the_value_is_the_json_that_rds_reads() {
        let value = new_value("quoted \" user").expect("a value");
        let read: serde_json::Value = serde_json::from_str(&value).expect("JSON");
        assert_eq!(read["username"], "quoted \" user");
        assert_eq!(read["password"].as_str().map(str::len), Some(LENGTH));
        assert_eq!(read.as_object().map(serde_json::Map::len), Some(2));
    }
}
