//! The parameters of statements.

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use super::value::Value;

/// What a string is meant to be. Without it, a parameter that is a string is a `text`, which PostgreSQL does not turn into
/// anything else by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A `date`: `2026-11-29`.
    Date,
    /// A `numeric`: `12.50`.
    Decimal,
    /// A `json`.
    Json,
    /// A `time`: `18:30:00.5`.
    Time,
    /// A `timestamp`: `2026-11-29 18:30:00.5`.
    Timestamp,
    /// A `uuid`.
    Uuid,
}

/// A parameter of a statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its value.
    pub value: Value,
    /// What the value is meant to be, if it is a string.
    pub hint: Option<Hint>,
}

impl From<Value> for Parameter {
    fn from(value: Value) -> Self {
        Self { value, hint: None }
    }
}

impl Parameter {
    /// A string that is meant to be something else.
    #[must_use]
    pub fn hinted(text: impl Into<String>, hint: Hint) -> Self {
        Self { value: Value::String(text.into()), hint: Some(hint) }
    }

    /// The type with which the server reads the value. Of `unknown`, it finds out by itself what is needed.
    pub(super) fn declared_type(&self) -> Type {
        match (&self.value, self.hint) {
            (_, Some(Hint::Date)) => Type::DATE,
            (_, Some(Hint::Decimal)) => Type::NUMERIC,
            (_, Some(Hint::Json)) => Type::JSON,
            (_, Some(Hint::Time)) => Type::TIME,
            (_, Some(Hint::Timestamp)) => Type::TIMESTAMP,
            (_, Some(Hint::Uuid)) => Type::UUID,
            (Value::Null, None) => Type::UNKNOWN,
            (Value::Bool(_), None) => Type::BOOL,
            (Value::Long(_), None) => Type::INT8,
            (Value::Double(_), None) => Type::FLOAT8,
            (Value::String(_), None) => Type::TEXT,
            (Value::Bytes(_), None) => Type::BYTEA,
            (Value::Array(elements), None) => array_type(elements),
        }
    }
}

fn array_type(elements: &[Value]) -> Type {
    let first = elements.iter().find(|element| !matches!(element, Value::Null));
    match first {
        Some(Value::Bool(_)) => Type::BOOL_ARRAY,
        Some(Value::Long(_)) => Type::INT8_ARRAY,
        Some(Value::Double(_)) => Type::FLOAT8_ARRAY,
        Some(Value::String(_)) => Type::TEXT_ARRAY,
        Some(Value::Bytes(_)) => Type::BYTEA_ARRAY,
        Some(Value::Array(inner)) => array_type(inner),
        Some(Value::Null) | None => Type::UNKNOWN,
    }
}

/// A parameter on its way: all of them are sent as text, which the server reads as it reads literals.
#[derive(Debug)]
pub(super) struct Sent<'a>(pub(super) &'a Parameter);

impl ToSql for Sent<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match text_of(&self.0.value) {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}

/// A value as PostgreSQL reads it; `None` for null.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(true) => Some("t".to_owned()),
        Value::Bool(false) => Some("f".to_owned()),
        Value::Long(number) => Some(number.to_string()),
        // Rust writes `inf` and `NaN`, and PostgreSQL reads both.
        Value::Double(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Bytes(bytes) => {
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("\\x{}", hex.concat()))
        }
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(element_of).collect();
            Some(format!("{{{}}}", elements.join(",")))
        }
    }
}

fn element_of(value: &Value) -> String {
    match (value, text_of(value)) {
        (Value::Array(_), Some(text)) => text,
        (_, Some(text)) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        (_, None) => "NULL".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_written_so_that_nothing_in_them_is_taken_for_syntax() {
        let array = Value::Array(vec![Value::String("a,\"b\\".into()), Value::Null, Value::String("NULL".into())]);
        assert_eq!(text_of(&array).as_deref(), Some(r#"{"a,\"b\\",NULL,"NULL"}"#));
        let nested = Value::Array(vec![Value::Array(vec![Value::Long(1)]), Value::Array(vec![Value::Long(2)])]);
        assert_eq!(text_of(&nested).as_deref(), Some(r#"{{"1"},{"2"}}"#));
        assert_eq!(Parameter::from(nested).declared_type(), Type::INT8_ARRAY);
    }

    #[test]
    fn a_hint_decides_the_type_even_of_null() {
        assert_eq!(Parameter::hinted("x", Hint::Uuid).declared_type(), Type::UUID);
        assert_eq!(Parameter { value: Value::Null, hint: Some(Hint::Date) }.declared_type(), Type::DATE);
        assert_eq!(Parameter::from(Value::Null).declared_type(), Type::UNKNOWN);
        assert_eq!(Parameter::from(Value::String("x".into())).declared_type(), Type::TEXT);
    }
}
