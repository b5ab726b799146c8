//! The properties of a live resource that AWS returned, and those that it left out.

use std::collections::BTreeSet;

/// Collects the properties of a live resource, and notes those that AWS did not return. A property that was not returned is not
/// compared: it can neither be a difference nor force a replacement.
///
/// ```ignore
/// let mut reading = Reading::default();
/// let properties = Vpc { cidr: reading.value("cidr", vpc.cidr_block().and_then(|cidr| cidr.parse().ok())), … };
/// live(&cx.scope, id, phase, &reading.of(properties), tags)
/// ```
///
/// `unwrap_or_default` remains right if AWS leaves a field out to say that it is empty; a comment then says so.
#[derive(Debug, Default)]
pub struct Reading {
    unreadable: BTreeSet<&'static str>,
}

impl Reading {
    /// The value of a property; if AWS did not return it, a stand-in that is never compared.
    pub fn value<T: Default>(&mut self, property: &'static str, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.unreadable.insert(property);
            T::default()
        })
    }

    /// The text of a property; if AWS did not return it, a stand-in that is never compared.
    pub fn text(&mut self, property: &'static str, value: Option<&str>) -> String {
        self.value(property, value.map(str::to_owned))
    }

    /// Notes that a property could not be read, whatever its value.
    pub fn is_unreadable(&mut self, property: &'static str) {
        self.unreadable.insert(property);
    }

    /// All properties, together with the names of those that could not be read.
    pub fn of<R>(self, properties: R) -> Readable<R> {
        Readable { properties, unreadable: self.unreadable }
    }
}

/// The properties of a live resource, as far as AWS returned them.
#[derive(Debug)]
pub struct Readable<R> {
    pub(super) properties: R,
    pub(super) unreadable: BTreeSet<&'static str>,
}

impl<R> Readable<R> {
    /// The properties of a resource whose description always holds all of them.
    pub fn complete(properties: R) -> Self {
        Reading::default().of(properties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_returned_is_noted_and_what_is_empty_is_not() {
        let mut reading = Reading::default();
        assert_eq!(reading.text("name", Some("")), "");
        assert_eq!(reading.value("port", Some(5432)), 5432);
        assert_eq!(reading.text("engine", None), "");
        reading.is_unreadable("logs");
        let readable = reading.of(());
        assert_eq!(readable.unreadable.into_iter().collect::<Vec<_>>(), ["engine", "logs"]);
    }
}
