//! The requests of the Data API.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value as Json;

use crate::rules::text_of;
use crate::world::postgres::{Hint, Parameter, Value};

use super::fields::Numbers;
use super::named::{self, Positional};
use super::refusal::Refusal;

/// The longest statement, in characters: the service model's `SqlStatement`.
const LONGEST_STATEMENT: usize = 65_536;

/// What every request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The cluster's ARN.
    pub(super) cluster: String,
    /// The name or ARN of the secret with which to log in.
    pub(super) secret: String,
    /// The database, if it is not the one that is named as the user is.
    pub(super) database: Option<String>,
}

/// How the result of a statement is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// With `columnMetadata`.
    pub(super) metadata: bool,
    /// As `formattedRecords` instead of `records`.
    pub(super) formatted: bool,
    pub(super) numbers: Numbers,
}

/// A statement to run, once for each set of parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Work {
    /// The statement, with numbers in the places of names.
    pub(super) sql: String,
    /// The parameters of each run, in the order of the numbers. Names without a parameter are left out.
    pub(super) sets: Vec<Vec<Parameter>>,
    /// The transaction that it is part of.
    pub(super) transaction: Option<String>,
    /// Whether it goes on after its caller was told that it takes too long.
    pub(super) continues: bool,
    pub(super) shape: Shape,
}

impl Target {
    pub(super) fn read(body: &Json) -> Result<Self, Refusal> {
        if text_of(body, "schema").is_some_and(|schema| !schema.is_empty()) {
            return Err(Refusal::validation("The schema parameter isn't supported"));
        }
        Ok(Self {
            cluster: required(body, "resourceArn")?,
            secret: required(body, "secretArn")?,
            database: text_of(body, "database").filter(|database| !database.is_empty()),
        })
    }
}

impl Work {
    /// Of `ExecuteStatement`.
    pub(super) fn of_statement(body: &Json) -> Result<Self, Refusal> {
        let numbers = Numbers {
            decimals_as_numbers: choice(&body["resultSetOptions"], "decimalReturnType", ["STRING", "DOUBLE_OR_LONG"])?,
            longs_as_strings: choice(&body["resultSetOptions"], "longReturnType", ["LONG", "STRING"])?,
        };
        let shape = Shape {
            metadata: body["includeResultMetadata"] == true,
            formatted: choice(body, "formatRecordsAs", ["NONE", "JSON"])?,
            numbers,
        };
        let work = Self::read(body, std::iter::once(&body["parameters"]))?;
        let continues = body["continueAfterTimeout"] == true;
        if continues && work.transaction.is_some() {
            return Err(Refusal::bad_request("continueAfterTimeout isn't supported in a transaction"));
        }
        Ok(Self { continues, shape, ..work })
    }

    /// Of `BatchExecuteStatement`.
    pub(super) fn of_batch(body: &Json) -> Result<Self, Refusal> {
        Self::read(body, body["parameterSets"].as_array().into_iter().flatten())
    }

    fn read<'a>(body: &Json, sets: impl Iterator<Item = &'a Json>) -> Result<Self, Refusal> {
        let sql = required(body, "sql")?;
        if sql.chars().count() > LONGEST_STATEMENT {
            return Err(violation(
                "sql",
                &format!("Member must have length less than or equal to {LONGEST_STATEMENT}"),
            ));
        }
        if sql.trim().is_empty() {
            return Err(Refusal::bad_request("SQL is empty"));
        }
        let Positional { sql, names } = named::positional(&sql);
        let sets = sets.map(|set| bind(&names, set)).collect::<Result<_, _>>()?;
        let transaction = text_of(body, "transactionId").filter(|id| !id.is_empty());
        Ok(Self { sql, sets, transaction, continues: false, shape: Shape::default() })
    }
}

/// A member that must be there.
pub(super) fn required(body: &Json, name: &str) -> Result<String, Refusal> {
    text_of(body, name).ok_or_else(|| {
        let message = format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        );
        Refusal::validation(message)
    })
}

fn violation(name: &str, constraint: &str) -> Refusal {
    let message = format!("1 validation error detected: Value at '{name}' failed to satisfy constraint: {constraint}");
    Refusal::validation(message)
}

/// Whether a member is the second of two values, of which the first is the default.
fn choice(body: &Json, name: &str, values: [&str; 2]) -> Result<bool, Refusal> {
    match body[name].as_str() {
        None => Ok(false),
        Some(value) if value == values[0] => Ok(false),
        Some(value) if value == values[1] => Ok(true),
        Some(_) => Err(violation(name, &format!("Member must satisfy enum value set: [{}, {}]", values[0], values[1]))),
    }
}

/// The parameters of one run, in the order in which the statement names them.
fn bind(names: &[String], set: &Json) -> Result<Vec<Parameter>, Refusal> {
    let mut given = Vec::new();
    for parameter in set.as_array().into_iter().flatten() {
        let name = text_of(parameter, "name").unwrap_or_default();
        if !named::is_name(&name) {
            return Err(Refusal::validation(format!("Named parameter syntax is invalid, input: {name}")));
        }
        given.push((name, value_of(parameter)?));
    }
    let of = |name: &String| given.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.clone());
    Ok(names.iter().filter_map(of).collect())
}

fn value_of(parameter: &Json) -> Result<Parameter, Refusal> {
    let value = &parameter["value"];
    let decoded = if value["isNull"] == true {
        Some(Value::Null)
    } else if let Some(text) = value["stringValue"].as_str() {
        Some(Value::String(text.to_owned()))
    } else if let Some(number) = value["longValue"].as_i64() {
        Some(Value::Long(number))
    } else if let Some(number) = double(&value["doubleValue"]) {
        Some(Value::Double(number))
    } else if let Some(value) = value["booleanValue"].as_bool() {
        Some(Value::Bool(value))
    } else if let Some(text) = value["blobValue"].as_str() {
        BASE64_STANDARD.decode(text).ok().map(Value::Bytes)
    } else if !value["arrayValue"].is_null() {
        return Err(Refusal::validation("Array parameters are not supported."));
    } else {
        None
    };
    let Some(value) = decoded else {
        let name = parameter["name"].as_str().unwrap_or_default();
        return Err(Refusal::validation(format!("The parameter {name} has no value")));
    };
    let hint = match parameter["typeHint"].as_str() {
        None => None,
        Some(hint) => Some(hint_of(hint)?),
    };
    // A hint is about strings; a null has its type all the same.
    let hint = hint.filter(|_| matches!(value, Value::String(_) | Value::Null));
    Ok(Parameter { value, hint })
}

/// A number, or the text by which the protocol writes what JSON has no number for.
fn double(value: &Json) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

fn hint_of(name: &str) -> Result<Hint, Refusal> {
    Ok(match name {
        "DATE" => Hint::Date,
        "DECIMAL" => Hint::Decimal,
        "JSON" => Hint::Json,
        "TIME" => Hint::Time,
        "TIMESTAMP" => Hint::Timestamp,
        "UUID" => Hint::Uuid,
        _ => {
            let constraint = "Member must satisfy enum value set: [JSON, UUID, TIMESTAMP, DATE, TIME, DECIMAL]";
            return Err(violation("typeHint", constraint));
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        result.map_or_else(|refusal| format!("{refusal:?}"), |read| format!("read {read:?}"))
    }

    fn parameters(parameters: &Json) -> Result<Vec<Parameter>, Refusal> {
        let body = json!({"sql": "select :a, :b, :a", "parameters": parameters});
        Ok(Work::of_statement(&body)?.sets.remove(0))
    }

    #[test]
    fn parameters_are_bound_by_name_wherever_the_statement_has_it() {
        let bound = parameters(&json!([
            {"name": "b", "value": {"longValue": 7}},
            {"name": "unused", "value": {"isNull": true}},
            {"name": "a", "value": {"stringValue": "2026-11-29"}, "typeHint": "DATE"},
        ]));
        let a = Parameter::hinted("2026-11-29", Hint::Date);
        assert_eq!(bound, Ok(vec![a.clone(), Value::Long(7).into(), a]));
        // The server finds that there are too few.
        assert_eq!(parameters(&json!([{"name": "b", "value": {"longValue": 7}}])), Ok(vec![Value::Long(7).into()]));
    }

    #[test]
    fn each_member_of_a_field_is_a_value() {
        for (field, value) in [
            (json!({"isNull": true}), Value::Null),
            (json!({"stringValue": ""}), Value::String(String::new())),
            (json!({"longValue": -1}), Value::Long(-1)),
            (json!({"doubleValue": 1}), Value::Double(1.0)),
            (json!({"doubleValue": "-Infinity"}), Value::Double(f64::NEG_INFINITY)),
            (json!({"booleanValue": false}), Value::Bool(false)),
            (json!({"blobValue": "AP8="}), Value::Bytes(vec![0, 255])),
        ] {
            assert_eq!(value_of(&json!({"name": "a", "value": field})), Ok(value.into()));
        }
        for (parameter, expected) in [
            (json!({"name": "a", "value": {"arrayValue": {"longValues": [1]}}}), "Array parameters are not supported."),
            (json!({"name": "a", "value": {}}), "The parameter a has no value"),
            (json!({"name": "a", "value": {"blobValue": "!"}}), "The parameter a has no value"),
            (json!({"name": "a", "value": {"stringValue": "x"}, "typeHint": "POINT"}), "enum value set: [JSON, UUID"),
            (json!({"name": "$1", "value": {"longValue": 1}}), "Named parameter syntax is invalid, input: $1"),
        ] {
            let refused = refused(parameters(&json!([parameter])));
            assert!(refused.contains("ValidationException") && refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn a_request_that_aws_does_not_take_is_refused() {
        let target = json!({"resourceArn": "arn:aws:rds:us-east-1:111122223333:cluster:c", "secretArn": "s"});
        assert_eq!(Target::read(&target).map(|target| target.database), Ok(None));
        assert!(refused(Target::read(&json!({"secretArn": "s"}))).contains("Value null at 'resourceArn'"));
        let mut schema = target.clone();
        schema["schema"] = json!("public");
        assert!(refused(Target::read(&schema)).contains("The schema parameter isn't supported"));

        for (body, expected) in [
            (json!({}), "Value null at 'sql'"),
            (json!({"sql": "  "}), "SQL is empty"),
            (json!({"sql": "x".repeat(65_537)}), "length less than or equal to 65536"),
            (json!({"sql": "select 1", "formatRecordsAs": "XML"}), "[NONE, JSON]"),
            (json!({"sql": "select 1", "resultSetOptions": {"longReturnType": "INT"}}), "[LONG, STRING]"),
            (json!({"sql": "select 1", "continueAfterTimeout": true, "transactionId": "t"}), "in a transaction"),
        ] {
            let refused = refused(Work::of_statement(&body));
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn a_batch_has_a_run_for_each_set_and_none_without_sets() {
        let runs = |body: Json| Work::of_batch(&body).map(|work| work.sets.len());
        let set = json!([{"name": "a", "value": {"longValue": 1}}]);
        assert_eq!(runs(json!({"sql": "select :a", "parameterSets": [set, set]})), Ok(2));
        assert_eq!(runs(json!({"sql": "select 1", "parameterSets": [[]]})), Ok(1));
        assert_eq!(runs(json!({"sql": "select 1"})), Ok(0));
    }
}
