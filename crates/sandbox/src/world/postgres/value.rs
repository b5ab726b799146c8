//! Values of results, decoded from PostgreSQL's binary formats.

use tokio_postgres::types::{FromSql, Kind, Type};

use super::text;

/// A value of a result or of a parameter.
///
/// Numbers with decimals that must not be lost (`numeric`), points in time, and whatever else has no type of its own here
/// are strings, as PostgreSQL writes them.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL's null.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `smallint`, `integer`, `bigint`, and object ids.
    Long(i64),
    /// `real` and `double precision`.
    Double(f64),
    /// `text` and its relatives, and every type that is written as text.
    String(String),
    /// `bytea`.
    Bytes(Vec<u8>),
    /// An array; one of several dimensions is an array of arrays.
    Array(Vec<Value>),
}

impl Value {
    /// How long it is as text, in bytes, roughly as PostgreSQL writes it.
    pub(super) fn text_length(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Long(number) => number.to_string().len(),
            Self::Double(number) => number.to_string().len(),
            Self::String(text) => text.len(),
            Self::Bytes(bytes) => 2 + 2 * bytes.len(),
            Self::Array(elements) => 1 + elements.iter().map(|element| 1 + element.text_length()).sum::<usize>().max(1),
        }
    }
}

/// Why a value cannot be decoded.
pub(super) type Undecodable = Box<dyn std::error::Error + Sync + Send>;

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Undecodable> {
        decode(ty, raw)
    }

    fn from_sql_null(_: &Type) -> Result<Self, Undecodable> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn decode(ty: &Type, raw: &[u8]) -> Result<Value, Undecodable> {
    match ty.kind() {
        Kind::Array(element) => return array(element, raw),
        Kind::Domain(base) => return decode(base, raw),
        Kind::Enum(_) => return string(raw),
        _ => {}
    }
    let written = |text: String| Ok(Value::String(text));
    match *ty {
        Type::BOOL => Ok(Value::Bool(fixed::<1>(raw)? != [0])),
        Type::INT2 => Ok(Value::Long(i16::from_be_bytes(fixed(raw)?).into())),
        Type::INT4 => Ok(Value::Long(i32::from_be_bytes(fixed(raw)?).into())),
        Type::INT8 => Ok(Value::Long(i64::from_be_bytes(fixed(raw)?))),
        Type::OID | Type::XID | Type::CID | Type::REGCLASS | Type::REGTYPE | Type::REGPROC | Type::REGROLE => {
            Ok(Value::Long(u32::from_be_bytes(fixed(raw)?).into()))
        }
        Type::FLOAT4 => Ok(Value::Double(f32::from_be_bytes(fixed(raw)?).into())),
        Type::FLOAT8 => Ok(Value::Double(f64::from_be_bytes(fixed(raw)?))),
        Type::BYTEA => Ok(Value::Bytes(raw.to_vec())),
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::CHAR
        | Type::UNKNOWN
        | Type::XML
        | Type::JSON
        | Type::CSTRING => string(raw),
        // A version, 1, and the text.
        Type::JSONB => match raw.split_first() {
            Some((1, text)) => string(text),
            _ => Err("a jsonb of an unknown version".into()),
        },
        Type::UUID => written(uuid::Uuid::from_bytes(fixed(raw)?).hyphenated().to_string()),
        Type::NUMERIC => written(text::numeric(raw)?),
        Type::DATE => written(text::date(i32::from_be_bytes(fixed(raw)?))),
        Type::TIME => written(text::time(i64::from_be_bytes(fixed(raw)?))),
        Type::TIMETZ => {
            let (time, zone) = raw.split_at_checked(8).ok_or("a timetz is too short")?;
            // Zones are counted to the west.
            let offset = -i64::from(i32::from_be_bytes(fixed(zone)?));
            written(text::time(i64::from_be_bytes(fixed(time)?)) + &text::offset(offset))
        }
        Type::TIMESTAMP => written(text::timestamp(i64::from_be_bytes(fixed(raw)?), "")),
        // What is sent is in UTC, whatever the session's time zone is.
        Type::TIMESTAMPTZ => written(text::timestamp(i64::from_be_bytes(fixed(raw)?), "+00")),
        Type::INTERVAL => {
            let (micros, rest) = raw.split_at_checked(8).ok_or("an interval is too short")?;
            let (days, months) = rest.split_at_checked(4).ok_or("an interval is too short")?;
            written(text::interval(
                i32::from_be_bytes(fixed(months)?),
                i32::from_be_bytes(fixed(days)?),
                i64::from_be_bytes(fixed(micros)?),
            ))
        }
        Type::INET | Type::CIDR => written(text::network(raw)?),
        Type::PG_LSN => written(tokio_postgres::types::PgLsn::from(u64::from_be_bytes(fixed(raw)?)).to_string()),
        Type::VOID => Ok(Value::Null),
        // An extension's type has no number of its own; its binary format is the text.
        _ if ty.name() == "citext" => string(raw),
        _ => Err(format!("the type {} has no representation", ty.name()).into()),
    }
}

fn string(raw: &[u8]) -> Result<Value, Undecodable> {
    Ok(Value::String(std::str::from_utf8(raw)?.to_owned()))
}

/// The bytes of a value whose length is fixed.
fn fixed<const LENGTH: usize>(raw: &[u8]) -> Result<[u8; LENGTH], Undecodable> {
    raw.try_into().map_err(|_| format!("{} bytes where {LENGTH} were expected", raw.len()).into())
}

/// Reads what is left of a value from its start.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn take(&mut self, length: usize) -> Result<&[u8], Undecodable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("a value is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn int2(&mut self) -> Result<i16, Undecodable> {
        Ok(i16::from_be_bytes(fixed(self.take(2)?)?))
    }

    fn int4(&mut self) -> Result<i32, Undecodable> {
        Ok(i32::from_be_bytes(fixed(self.take(4)?)?))
    }
}

fn array(element: &Type, raw: &[u8]) -> Result<Value, Undecodable> {
    let mut reader = Reader(raw);
    let dimensions = reader.int4()?;
    let (_has_nulls, _element_type) = (reader.int4()?, reader.int4()?);
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(usize::try_from(reader.int4()?)?);
        let _lower_bound = reader.int4()?;
    }
    match lengths.split_first() {
        None => Ok(Value::Array(Vec::new())),
        Some((&length, inner)) => elements(element, length, inner, &mut reader),
    }
}

fn elements(element: &Type, length: usize, inner: &[usize], reader: &mut Reader<'_>) -> Result<Value, Undecodable> {
    let mut values = Vec::new();
    for _ in 0..length {
        values.push(match inner.split_first() {
            Some((&length, inner)) => elements(element, length, inner, reader)?,
            None => match usize::try_from(reader.int4()?) {
                Ok(bytes) => decode(element, reader.take(bytes)?)?,
                // The length of null is −1.
                Err(_) => Value::Null,
            },
        });
    }
    Ok(Value::Array(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_cut_short_is_an_error() {
        for (ty, raw) in [(Type::INT8, &[0_u8; 4][..]), (Type::TIMETZ, &[0; 3]), (Type::INT4_ARRAY, &[0, 0, 0, 1])] {
            assert!(decode(&ty, raw).is_err(), "{ty}");
        }
    }

    #[test]
    fn a_type_without_a_representation_is_an_error_and_not_a_guess() {
        assert!(decode(&Type::POINT, &[0; 16]).is_err());
    }
}
