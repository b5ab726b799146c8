//! Typed values out of one `[section]`, each with the place it came from.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::Serializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Problem, Span};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nobody gave it.
    Default,
    /// It stands here in the file.
    File(Span),
    /// `--environment` or `ENVIRONMENT_SUFFIX`.
    CommandLine,
    /// What was given is refused, and the default stands in so that the rest can be checked.
    Refused,
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

impl<T> Given<T> {
    /// Whether comparing it with other values makes sense: a stand-in would only produce a second, wrong complaint.
    pub(super) fn is_sound(&self) -> bool {
        self.origin != Origin::Refused
    }

    /// Whether nobody gave it.
    pub(super) fn is_default(&self) -> bool {
        self.origin == Origin::Default
    }

    pub(super) fn span(&self) -> Option<Span> {
        match &self.origin {
            Origin::File(span) => Some(span.clone()),
            Origin::Default | Origin::CommandLine | Origin::Refused => None,
        }
    }

    /// Points `problem` at this value or, where it does not stand in the file, at the `other` one it clashes with.
    pub(super) fn blame<U>(&self, problem: Problem, other: &Given<U>, other_label: &str) -> Problem {
        match (self.span(), other.span()) {
            (Some(here), Some(there)) => problem.at(here).also_at(there, other_label),
            (Some(span), None) | (None, Some(span)) => problem.at(span),
            (None, None) => problem,
        }
    }
}

/// One section while it is read. Every key asked for becomes a known one.
pub(super) struct Section<'d, 'i> {
    name: &'static str,
    table: Option<&'d DeTable<'i>>,
    keys: &'d mut Keys,
    problems: &'d mut Vec<Problem>,
}

/// Which keys a section knows.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Those that were asked for.
    pub(super) names: Vec<&'static str>,
    /// Whether every other one is the operator's to choose.
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

    /// Text that `parse` understands; `example` is shown to whoever wrote something else than text.
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
            other => Err(wrong_type(
                name,
                key,
                "text",
                other,
                format!("Write `{key} = \"{example}\"`, with the double quotes."),
            )),
        })
    }

    /// A whole number in `range`; `why` says where the range comes from.
    pub(super) fn integer<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>, why: &str) -> Given<T>
    where
        T: TryFrom<i64> + PartialOrd + Copy + Display,
    {
        let name = self.name;
        let (low, high) = range.into_inner();
        self.take(key, default, |value| {
            let DeValue::Integer(written) = value else {
                let advice = format!("Write `{key} = {default}`, without quotes, point or unit.");
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

    /// `true` or `false`.
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

    /// One of a few words.
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
            other => Err(wrong_type(name, key, "text", other, advice)),
        })
    }

    /// A list of texts; those that `parse` refuses are left out and reported.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        example: &str,
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Vec<Given<T>> {
        let Some(found) = self.find(key) else { return Vec::new() };
        let advice = || format!("Write `{key} = [\"{example}\"]`, with the brackets and the double quotes.");
        let DeValue::Array(items) = found.get_ref() else {
            let problem = wrong_type(self.name, key, "a list of texts", found.get_ref(), advice());
            self.refuse(problem.at(found.span()));
            return Vec::new();
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let parsed = match item.get_ref() {
                DeValue::String(text) => parse(text),
                other => Err(wrong_type(self.name, key, "a list of texts", other, advice())),
            };
            match parsed {
                Ok(value) => values.push(Given { value, origin: Origin::File(item.span()) }),
                Err(problem) => self.refuse(problem.at(item.span())),
            }
        }
        values
    }

    /// What stands under a key as it was written; nothing is checked, and the key does not become a known one.
    pub(super) fn written(&self, key: &str) -> Option<&'d str> {
        match self.table.and_then(|table| table.get(key))?.get_ref() {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// Every key of the section with its place and its text; `example` is shown to whoever wrote something else than text.
    pub(super) fn pairs(&mut self, example: &str) -> Vec<(String, Span, String)> {
        self.keys.are_open = true;
        let mut pairs = Vec::new();
        for (key, value) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref();
            match value.get_ref() {
                DeValue::String(text) => pairs.push((name.to_owned(), value.span(), text.clone().into_owned())),
                other => {
                    let advice = format!("Write `{name} = \"{example}\"`, with the double quotes.");
                    let problem = wrong_type(self.name, name, "text", other, advice);
                    self.refuse(problem.at(value.span()));
                }
            }
        }
        // In the order of the file, in which problems are told.
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

fn wrong_type(section: &str, key: &str, wanted: &str, found: &DeValue<'_>, advice: String) -> Problem {
    let found = match found {
        DeValue::String(_) => "text in quotes",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Problem::new(format!("`{key}` in [{section}] takes {wanted}, not {found}"), advice)
}

/// Serialises a value as the text it was written as.
pub(super) fn as_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
