//! Typed values from one `[section]`, each with its place in the file.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::Serializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Problem, Span};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// No value was given.
    Default,
    /// It is at this place in the file.
    File(Span),
    /// It is the value of `--environment` or `ENVIRONMENT_SUFFIX`.
    CommandLine,
    /// The given value was refused, and the default takes its place so that the rest can be checked.
    Refused,
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

impl<T> Given<T> {
    /// Whether it can be compared with other values: the default in place of a refused value would only cause a second,
    /// wrong problem.
    pub(super) fn is_sound(&self) -> bool {
        self.origin != Origin::Refused
    }

    /// Whether no value was given.
    pub(super) fn is_default(&self) -> bool {
        self.origin == Origin::Default
    }

    pub(super) fn span(&self) -> Option<Span> {
        match &self.origin {
            Origin::File(span) => Some(span.clone()),
            Origin::Default | Origin::CommandLine | Origin::Refused => None,
        }
    }

    /// Points `problem` at this value or, if this value is not in the file, at the `other` one that it conflicts with.
    pub(super) fn blame<U>(&self, problem: Problem, other: &Given<U>, other_label: &str) -> Problem {
        match (self.span(), other.span()) {
            (Some(here), Some(there)) => problem.at(here).also_at(there, other_label),
            (Some(span), None) | (None, Some(span)) => problem.at(span),
            (None, None) => problem,
        }
    }
}

/// A section while it is read. Every key that is read becomes a known key.
pub(super) struct Section<'d, 'i> {
    name: &'static str,
    table: Option<&'d DeTable<'i>>,
    keys: &'d mut Keys,
    problems: &'d mut Vec<Problem>,
}

/// The keys that a section knows.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The keys that were read.
    pub(super) names: Vec<&'static str>,
    /// Whether the operator may use any other key, too.
    pub(super) are_open: bool,
}

impl<'d, 'i> Section<'d, 'i> {
    pub(super) fn new(
        name: &'static str,
        table: Option<&'d DeTable<'i>>,
        keys: &'d mut Keys,
        problems: &'d mut Vec<Problem>,
    ) -> Self {
        Self { name, table, keys, problems }
    }

    pub(super) fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Reads a string with `parse`. `example` is shown if the value is not a string, and would not be right as one.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        default: T,
        example: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Given<T> {
        let name = self.name;
        self.take(key, default, |value| match value {
            DeValue::String(text) => parse(text),
            other => {
                let meant = unquoted(other).filter(|text| parse(text).is_ok());
                let text = meant.as_deref().unwrap_or(example);
                let advice = format!("Write `{key} = \"{text}\"`, with the double quotes.");
                Err(wrong_type(name, key, "a string", other, advice))
            }
        })
    }

    /// Reads a whole number in `range`. `why` explains the range.
    pub(super) fn integer<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>, why: &str) -> Given<T>
    where
        T: TryFrom<i64> + PartialOrd + Copy + Display,
    {
        let name = self.name;
        let (low, high) = range.into_inner();
        self.take(key, default, |value| {
            let DeValue::Integer(written) = value else {
                let advice = format!("Write `{key} = {default}`, without quotes, decimal point or unit.");
                return Err(wrong_type(name, key, "a whole number", value, advice));
            };
            i64::from_str_radix(written.as_str(), written.radix())
                .ok()
                .and_then(|number| T::try_from(number).ok())
                .filter(|number| (low..=high).contains(number))
                .ok_or_else(|| {
                    Problem::new(
                        format!("`{key} = {written}` in [{name}] is out of range: {why}"),
                        format!("Write a whole number from {low} to {high}, for example `{key} = {default}`."),
                    )
                })
        })
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> Given<bool> {
        let name = self.name;
        self.take(key, default, |value| match value {
            DeValue::Boolean(flag) => Ok(*flag),
            other => {
                let advice = format!("Write `{key} = true` or `{key} = false`, without quotes.");
                Err(wrong_type(name, key, "true or false", other, advice))
            }
        })
    }

    /// Reads one of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, default: T, options: &[(&str, T)]) -> Given<T> {
        let name = self.name;
        let lines: Vec<String> = options.iter().map(|(word, _)| format!("`{key} = \"{word}\"`")).collect();
        let advice = format!("Write {}.", lines.join(" or "));
        self.take(key, default, |value| match value {
            DeValue::String(text) => options
                .iter()
                .find(|(word, _)| word == text)
                .map(|(_, option)| *option)
                .ok_or_else(|| Problem::new(format!("`{key}` in [{name}] cannot be `{text}`"), advice)),
            other => Err(wrong_type(name, key, "a string", other, advice)),
        })
    }

    /// Reads a list of strings. Those that `parse` refuses are reported and left out.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        example: &str,
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Vec<Given<T>> {
        let Some(found) = self.find(key) else { return Vec::new() };
        let advice = || format!("Write `{key} = [\"{example}\"]`, with the brackets and the double quotes.");
        let DeValue::Array(items) = found.get_ref() else {
            let problem = wrong_type(self.name, key, "a list of strings", found.get_ref(), advice());
            self.refuse(problem.at(found.span()));
            return Vec::new();
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let parsed = match item.get_ref() {
                DeValue::String(text) => parse(text),
                other => Err(wrong_type(self.name, key, "a list of strings", other, advice())),
            };
            match parsed {
                Ok(value) => values.push(Given { value, origin: Origin::File(item.span()) }),
                Err(problem) => self.refuse(problem.at(item.span())),
            }
        }
        values
    }

    /// The value of a key as it is written. It is not checked, and the key does not become a known key.
    pub(super) fn written(&self, key: &str) -> Option<&'d str> {
        match self.table.and_then(|table| table.get(key))?.get_ref() {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// Reads every key of the section, with the place and the text of its value. `example` is shown if a value is
    /// neither a string nor could be one.
    pub(super) fn pairs(&mut self, example: &str) -> Vec<(String, Span, String)> {
        self.keys.are_open = true;
        let mut pairs = Vec::new();
        for (key, value) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            match value.get_ref() {
                DeValue::String(text) => pairs.push((name.to_owned(), value.span(), text.clone().into_owned())),
                other => {
                    let meant = unquoted(other);
                    let text = meant.as_deref().unwrap_or(example);
                    let advice = format!("Write `{name} = \"{text}\"`, with the double quotes.");
                    let problem = wrong_type(self.name, name, "a string", other, advice);
                    self.refuse(problem.at(value.span()));
                }
            }
        }
        // In the order of the file, in which problems are reported.
        pairs.sort_by_key(|(_, span, _): &(String, Span, String)| span.start);
        pairs
    }

    fn find(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'i>>> {
        self.keys.names.push(key);
        self.table.and_then(|table| table.get(key))
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, Problem>,
    ) -> Given<T> {
        let Some(found) = self.find(key) else {
            return Given { value: default, origin: Origin::Default };
        };
        match read(found.get_ref()) {
            Ok(value) => Given { value, origin: Origin::File(found.span()) },
            Err(problem) => {
                self.refuse(problem.at(found.span()));
                Given { value: default, origin: Origin::Refused }
            }
        }
    }
}

/// What somebody has written who left out the quotes.
fn unquoted(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Integer(_) | DeValue::String(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn wrong_type(section: &str, key: &str, wanted: &str, found: &DeValue<'_>, advice: String) -> Problem {
    let found = match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a decimal point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Problem::new(format!("`{key}` in [{section}] must be {wanted}, not {found}"), advice)
}

/// Serialises a value as it is written in the file.
pub(super) fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
