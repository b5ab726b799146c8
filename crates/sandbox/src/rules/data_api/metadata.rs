//! `columnMetadata`: what the columns of a result are, as a JDBC driver describes them.
//!
//! The numbers are those of `java.sql.Types` and of PostgreSQL's own JDBC driver, in whose terms the API is defined.

use serde_json::{Value as Json, json};

use crate::world::postgres::{Column, Origin};

/// The length of a value that has no limit.
const UNLIMITED: i32 = i32::MAX;
/// What a type modifier is counted from.
const MODIFIER_BASE: i32 = 4;

pub(super) fn metadata(columns: &[Column], origins: &[Option<Origin>]) -> Json {
    json!(columns.iter().zip(origins).map(|(column, origin)| describe(column, origin.as_ref())).collect::<Vec<_>>())
}

fn describe(column: &Column, origin: Option<&Origin>) -> Json {
    let name = column.type_name.as_str();
    let base = name.strip_prefix('_');
    let auto_increment = origin.is_some_and(|origin| origin.auto_increment);
    let type_name = match name {
        "int2" if auto_increment => "smallserial",
        "int4" if auto_increment => "serial",
        "int8" if auto_increment => "bigserial",
        _ => name,
    };
    json!({
        "arrayBaseColumnType": base.map_or(0, jdbc_type),
        "isAutoIncrement": auto_increment,
        "isCaseSensitive": !is_caseless(base.unwrap_or(name)),
        "isCurrency": name == "money",
        "isSigned": is_number(name),
        "label": column.name,
        "name": column.name,
        "nullable": origin.map_or(2, |origin| i32::from(origin.nullable)),
        "precision": precision(name, column.type_modifier),
        "scale": scale(name, column.type_modifier),
        // The driver leaves it empty.
        "schemaName": "",
        "tableName": origin.map_or("", |origin| &origin.table),
        "type": if base.is_some() { 2003 } else { jdbc_type(name) },
        "typeName": type_name,
    })
}

/// The number of `java.sql.Types`; 1111 is `OTHER`.
fn jdbc_type(name: &str) -> i32 {
    match name {
        "bool" | "bit" => -7,
        "bytea" => -2,
        "int2" => 5,
        "int4" => 4,
        "int8" | "oid" => -5,
        "float4" => 7,
        "float8" | "money" => 8,
        "numeric" => 2,
        "bpchar" | "char" => 1,
        "text" | "varchar" | "name" => 12,
        "date" => 91,
        "time" | "timetz" => 92,
        "timestamp" | "timestamptz" => 93,
        _ => 1111,
    }
}

fn is_number(name: &str) -> bool {
    ["int2", "int4", "int8", "float4", "float8", "numeric"].contains(&name)
}

fn is_caseless(name: &str) -> bool {
    let others = ["oid", "bool", "bit", "varbit", "date", "time", "timetz", "timestamp", "timestamptz", "interval"];
    is_number(name) || others.contains(&name)
}

fn precision(name: &str, modifier: i32) -> i32 {
    let seconds = match modifier {
        -1 => 7,
        0 => 0,
        1 => 3,
        digits => digits + 1,
    };
    match name {
        "int2" => 5,
        "int4" | "oid" => 10,
        "int8" => 19,
        "float4" => 8,
        "float8" => 17,
        "numeric" if modifier == -1 => 0,
        "numeric" => (modifier - MODIFIER_BASE) >> 16,
        "bool" | "char" => 1,
        "varchar" | "bpchar" if modifier != -1 => modifier - MODIFIER_BASE,
        "date" => 13,
        "time" => 8 + seconds,
        "timestamp" => 22 + seconds,
        "timestamptz" => 28 + seconds,
        _ => UNLIMITED,
    }
}

fn scale(name: &str, modifier: i32) -> i32 {
    match name {
        "float4" => 8,
        "float8" => 17,
        "numeric" if modifier == -1 => 0,
        "numeric" => (modifier - MODIFIER_BASE) & 0xFFFF,
        "time" | "timetz" | "timestamp" | "timestamptz" if modifier == -1 => 6,
        "time" | "timetz" | "timestamp" | "timestamptz" => modifier,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(type_name: &str, type_modifier: i32) -> Column {
        Column { name: "c".into(), type_name: type_name.into(), type_oid: 0, type_modifier, origin: None }
    }

    #[test]
    fn a_serial_column_is_described_as_the_driver_describes_it() {
        let origin = Origin {
            schema: "public".into(),
            table: "medication".into(),
            column: "id".into(),
            nullable: false,
            auto_increment: true,
        };
        let described = describe(&column("int4", -1), Some(&origin));
        // The answer of an Aurora PostgreSQL cluster for such a column.
        let expected = json!({
            "arrayBaseColumnType": 0, "isAutoIncrement": true, "isCaseSensitive": false, "isCurrency": false,
            "isSigned": true, "label": "c", "name": "c", "nullable": 0, "precision": 10, "scale": 0, "schemaName": "",
            "tableName": "medication", "type": 4, "typeName": "serial",
        });
        assert_eq!(described, expected);
    }

    #[test]
    fn a_type_is_described_with_what_it_is_declared_with() {
        let of = |type_name, modifier| {
            let described = describe(&column(type_name, modifier), None);
            let number = |name: &str| described[name].as_i64().unwrap_or(-99);
            (number("type"), number("precision"), number("scale"), number("nullable"))
        };
        assert_eq!(of("varchar", 24), (12, 20, 0, 2));
        assert_eq!(of("text", -1), (12, i64::from(i32::MAX), 0, 2));
        assert_eq!(of("numeric", (8 << 16) + 2 + 4), (2, 8, 2, 2));
        assert_eq!(of("timestamp", -1), (93, 29, 6, 2));
        assert_eq!(of("uuid", -1), (1111, i64::from(i32::MAX), 0, 2));
        let array = describe(&column("_int4", -1), None);
        assert_eq!(
            (&array["type"], &array["arrayBaseColumnType"], &array["typeName"]),
            (&json!(2003), &json!(4), &json!("_int4"))
        );
    }
}
