//! The values of results, as the Data API answers them. See docs/aws-behaviour.md#data-api-results.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Number, Value as Json, json};

use crate::world::postgres::{Column, Rows, Value};

use super::refusal::Refusal;

/// How numbers are answered: the request's `resultSetOptions`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// `DECIMAL` as a number instead of a string.
    pub(super) decimals_as_numbers: bool,
    /// `LONG` as a string.
    pub(super) longs_as_strings: bool,
}

/// Types that PostgreSQL's own client can read, and the Data API does not answer.
const UNSUPPORTED: [&str; 14] = [
    "char", "interval", "timetz", "macaddr", "xml", "xid", "cid", "regclass", "regtype", "regproc", "regrole",
    "pg_lsn", "cstring", "unknown",
];

/// `records`: a list of fields for each row.
pub(super) fn records(rows: &Rows, numbers: Numbers) -> Result<Json, Refusal> {
    let record = |row: &Vec<Value>| {
        let fields = rows.columns.iter().zip(row).map(|(column, value)| field(column, value, numbers));
        fields.collect::<Result<Vec<_>, _>>()
    };
    Ok(json!(rows.rows.iter().map(record).collect::<Result<Vec<_>, _>>()?))
}

/// `formattedRecords`: the rows as objects by the columns' labels, in their order.
pub(super) fn formatted(rows: &Rows, numbers: Numbers) -> Result<String, Refusal> {
    let mut objects = Vec::with_capacity(rows.rows.len());
    for row in &rows.rows {
        let mut members = Vec::with_capacity(row.len());
        for (column, value) in rows.columns.iter().zip(row) {
            members.push(format!("{}:{}", json!(column.name), plain(&column.type_name, value, numbers)?));
        }
        objects.push(format!("{{{}}}", members.join(",")));
    }
    Ok(format!("[{}]", objects.join(",")))
}

fn field(column: &Column, value: &Value, numbers: Numbers) -> Result<Json, Refusal> {
    let plain = plain(&column.type_name, value, numbers)?;
    let member = match value {
        Value::Null if plain.is_null() => return Ok(json!({"isNull": true})),
        Value::Array(_) => {
            let base = column.type_name.strip_prefix('_').unwrap_or(&column.type_name);
            let kind = match base {
                "bool" => "booleanValues",
                "int2" | "int4" | "int8" | "oid" if !numbers.longs_as_strings => "longValues",
                "float4" | "float8" => "doubleValues",
                "numeric" if numbers.decimals_as_numbers => "doubleValues",
                _ => "stringValues",
            };
            return Ok(json!({"arrayValue": {kind: plain}}));
        }
        Value::Bytes(_) => "blobValue",
        Value::Double(_) => "doubleValue",
        _ => match &plain {
            Json::Bool(_) => "booleanValue",
            Json::Number(number) if number.is_i64() => "longValue",
            Json::Number(_) => "doubleValue",
            _ => "stringValue",
        },
    };
    Ok(Json::Object(Map::from_iter([(member.to_owned(), plain)])))
}

/// A value as JSON alone has it.
fn plain(type_name: &str, value: &Value, numbers: Numbers) -> Result<Json, Refusal> {
    let base = type_name.strip_prefix('_').unwrap_or(type_name);
    if UNSUPPORTED.contains(&base) || type_name == "_bytea" {
        return Err(Refusal::unsupported_type(type_name));
    }
    Ok(match value {
        // Its text is empty, and not null.
        Value::Null if type_name == "void" => json!(""),
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Long(number) if numbers.longs_as_strings => json!(number.to_string()),
        Value::Long(number) => json!(number),
        Value::Double(number) => double(*number),
        Value::Bytes(bytes) => json!(BASE64_STANDARD.encode(bytes)),
        Value::String(text) => match base {
            "numeric" if numbers.decimals_as_numbers => decimal(text),
            "date" | "time" | "timestamp" | "timestamptz" => json!(time(text)?),
            _ => json!(text),
        },
        Value::Array(elements) => {
            if elements.iter().any(|element| matches!(element, Value::Array(_))) {
                return Err(Refusal::unsupported_result("The result contains a multidimensional array."));
            }
            let elements = elements.iter().map(|element| plain(base, element, numbers));
            json!(elements.collect::<Result<Vec<_>, _>>()?)
        }
    })
}

/// A number, or the text by which the protocol writes what JSON has no number for.
fn double(number: f64) -> Json {
    match Number::from_f64(number) {
        Some(number) => Json::Number(number),
        None if number.is_nan() => json!("NaN"),
        None if number > 0.0 => json!("Infinity"),
        None => json!("-Infinity"),
    }
}

/// A `numeric` as a number: whole, if it has no scale and fits.
fn decimal(text: &str) -> Json {
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(whole), _) => json!(whole),
        (_, Ok(number)) => double(number),
        _ => json!(text),
    }
}

/// A point in time as the Data API writes it: no zone, and no digits of a second, or three, or six.
fn time(text: &str) -> Result<String, Refusal> {
    if text.ends_with("infinity") {
        return Err(Refusal::internal());
    }
    let (text, era) = text.strip_suffix(" BC").map_or((text, ""), |text| (text, " BC"));
    let text = text.strip_suffix("+00").unwrap_or(text);
    Ok(match text.split_once('.') {
        Some((whole, fraction)) if fraction.len() <= 3 => format!("{whole}.{fraction:0<3}{era}"),
        Some((whole, fraction)) => format!("{whole}.{fraction:0<6}{era}"),
        None => format!("{text}{era}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(type_name: &str) -> Column {
        Column { name: "c".into(), type_name: type_name.into(), type_oid: 0, type_modifier: -1, origin: None }
    }

    fn shown(type_name: &str, value: &Value, numbers: Numbers) -> String {
        field(&column(type_name), value, numbers)
            .map_or_else(|refusal| format!("{refusal:?}"), |field| field.to_string())
    }

    fn string(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn each_value_has_its_member() {
        for (type_name, value, expected) in [
            ("int4", Value::Null, r#"{"isNull":true}"#),
            ("bool", Value::Bool(true), r#"{"booleanValue":true}"#),
            ("int8", Value::Long(i64::MAX), r#"{"longValue":9223372036854775807}"#),
            ("float8", Value::Double(1.0), r#"{"doubleValue":1.0}"#),
            ("float8", Value::Double(f64::NEG_INFINITY), r#"{"doubleValue":"-Infinity"}"#),
            ("text", string("é"), r#"{"stringValue":"é"}"#),
            ("numeric", string("12.50"), r#"{"stringValue":"12.50"}"#),
            ("bytea", Value::Bytes(vec![0, 255]), r#"{"blobValue":"AP8="}"#),
            ("void", Value::Null, r#"{"stringValue":""}"#),
            ("_int4", Value::Array(vec![Value::Long(1), Value::Null]), r#"{"arrayValue":{"longValues":[1,null]}}"#),
            ("_text", Value::Array(Vec::new()), r#"{"arrayValue":{"stringValues":[]}}"#),
            ("_bool", Value::Array(vec![Value::Bool(true)]), r#"{"arrayValue":{"booleanValues":[true]}}"#),
            ("_float4", Value::Array(vec![Value::Double(1.5)]), r#"{"arrayValue":{"doubleValues":[1.5]}}"#),
        ] {
            assert_eq!(shown(type_name, &value, Numbers::default()), expected);
        }
    }

    #[test]
    fn numbers_are_answered_as_the_request_wants_them() {
        let numbers = Numbers { decimals_as_numbers: true, longs_as_strings: true };
        for (type_name, value, expected) in [
            ("numeric", string("12"), r#"{"longValue":12}"#),
            ("numeric", string("12.50"), r#"{"doubleValue":12.5}"#),
            ("numeric", string("100000000000000000000"), r#"{"doubleValue":1e+20}"#),
            ("int8", Value::Long(7), r#"{"stringValue":"7"}"#),
            ("_int8", Value::Array(vec![Value::Long(7)]), r#"{"arrayValue":{"stringValues":["7"]}}"#),
        ] {
            assert_eq!(shown(type_name, &value, numbers), expected);
        }
    }

    #[test]
    fn points_in_time_have_no_zone_and_three_digits_or_six() {
        for (type_name, text, expected) in [
            ("timestamp", "2026-11-29 18:13:00", "2026-11-29 18:13:00"),
            ("timestamp", "2026-11-29 18:13:00.5", "2026-11-29 18:13:00.500"),
            ("timestamptz", "2026-11-29 16:13:00.1234+00", "2026-11-29 16:13:00.123400"),
            ("time", "18:13:00.25", "18:13:00.250"),
            ("date", "0044-03-15 BC", "0044-03-15 BC"),
        ] {
            assert_eq!(
                shown(type_name, &string(text), Numbers::default()),
                format!(r#"{{"stringValue":"{expected}"}}"#)
            );
        }
        assert!(shown("timestamptz", &string("infinity"), Numbers::default()).contains("InternalFailure"));
    }

    #[test]
    fn what_the_api_does_not_answer_is_refused() {
        let nested = Value::Array(vec![Value::Array(vec![Value::Long(1)])]);
        assert!(shown("_int4", &nested, Numbers::default()).contains("a multidimensional array"));
        for unsupported in ["interval", "char", "_regtype", "_bytea", "xml"] {
            assert!(shown(unsupported, &Value::Null, Numbers::default()).contains("unsupported data type"));
        }
    }

    #[test]
    fn formatted_records_keep_the_order_of_the_columns() {
        let named = |name: &str, type_name: &str| Column { name: name.into(), ..column(type_name) };
        let rows = Rows {
            columns: vec![named("z", "int4"), named("a", "text")],
            rows: vec![vec![Value::Long(1), Value::Null], vec![Value::Null, string("\"")]],
            affected: 2,
        };
        assert_eq!(
            formatted(&rows, Numbers::default()).unwrap_or_default(),
            r#"[{"z":1,"a":null},{"z":null,"a":"\""}]"#
        );
    }
}
