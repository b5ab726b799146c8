//! Conversion between JSON and CBOR (RFC 8949) as AWS's SDKs write it.
//!
//! Both hold the same data, with two exceptions that are handled here: a timestamp is a number with a tag, and an unset
//! member is left out instead of being null. <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>

use serde_json::{Map, Value};

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

const FALSE: u8 = 20;
const TRUE: u8 = 21;
const NULL: u8 = 22;
const FLOAT: u8 = 26;
const DOUBLE: u8 = 27;

/// Ends lists and maps without a declared length.
const BREAK: u8 = 0xFF;

/// The tag of seconds since 1970.
const TIME: u64 = 1;

/// How deep documents can be nested: deeper than any document of AWS, and not too deep for the stack.
const DEPTH: u8 = 32;

/// Reads a document; `None` if it is not valid, or holds something that JSON cannot hold.
pub(super) fn decode(document: &[u8]) -> Option<Value> {
    let mut reader = Reader { rest: document };
    let value = reader.item(DEPTH)?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a [u8],
}

/// The head of an item: its type, the form of its argument, and the argument; without one, its length is not declared.
struct Head {
    kind: u8,
    form: u8,
    argument: Option<u64>,
}

impl Reader<'_> {
    fn item(&mut self, depth: u8) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let head = self.head()?;
        match head.kind {
            UNSIGNED => Some(head.argument?.into()),
            NEGATIVE => Some((-1 - i64::try_from(head.argument?).ok()?).into()),
            TEXT => self.text(&head).map(Value::String),
            LIST => {
                let mut items = Vec::new();
                while self.has_next(&head, items.len())? {
                    items.push(self.item(depth)?);
                }
                Some(Value::Array(items))
            }
            MAP => {
                let mut map = Map::new();
                let mut count = 0;
                while self.has_next(&head, count)? {
                    let key = self.head().filter(|key| key.kind == TEXT)?;
                    let key = self.text(&key)?;
                    map.insert(key, self.item(depth)?);
                    count += 1;
                }
                Some(Value::Object(map))
            }
            TAG => self.item(depth),
            SIMPLE => match head.form {
                FALSE => Some(false.into()),
                TRUE => Some(true.into()),
                NULL => Some(Value::Null),
                FLOAT => Some(f64::from(f32::from_bits(u32::try_from(head.argument?).ok()?)).into()),
                DOUBLE => Some(f64::from_bits(head.argument?).into()),
                _ => None,
            },
            _ => None,
        }
    }

    fn head(&mut self) -> Option<Head> {
        let [first] = *self.take(1)?.first_chunk::<1>()?;
        let (kind, form) = (first >> 5, first & 0x1F);
        let argument = match form {
            0..24 => Some(form.into()),
            24..28 => {
                let bytes = self.take(1 << (form - 24))?;
                Some(bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
            }
            31 if matches!(kind, BYTES..=MAP) => None,
            _ => return None,
        };
        Some(Head { kind, form, argument })
    }

    fn text(&mut self, head: &Head) -> Option<String> {
        if let Some(length) = head.argument {
            let bytes = self.take(usize::try_from(length).ok()?)?;
            return Some(std::str::from_utf8(bytes).ok()?.to_owned());
        }
        let mut text = String::new();
        while self.has_next(head, 0)? {
            let part = self.head().filter(|part| part.kind == TEXT && part.argument.is_some())?;
            text.push_str(&self.text(&part)?);
        }
        Some(text)
    }

    /// Whether a list, map, or text that began with `head` has more than `count` items. Consumes the break that ends
    /// it.
    fn has_next(&mut self, head: &Head, count: usize) -> Option<bool> {
        if let Some(length) = head.argument {
            return Some(u64::try_from(count).ok()? < length);
        }
        let ends = *self.rest.first()? == BREAK;
        if ends {
            self.take(1)?;
        }
        Some(!ends)
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

/// Writes a document. Numbers are written as timestamps if their names end like those of timestamps.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut document = Vec::new();
    write(value, false, &mut document);
    document
}

fn write(value: &Value, is_time: bool, into: &mut Vec<u8>) {
    match value {
        Value::Null => into.push((SIMPLE << 5) | NULL),
        Value::Bool(value) => into.push((SIMPLE << 5) | if *value { TRUE } else { FALSE }),
        Value::Number(number) => {
            if is_time {
                head(TAG, TIME, into);
                double(number.as_f64().unwrap_or_default(), into);
            } else if let Some(number) = number.as_u64() {
                head(UNSIGNED, number, into);
            } else if let Some(number) = number.as_i64() {
                head(NEGATIVE, (-1 - number).unsigned_abs(), into);
            } else {
                double(number.as_f64().unwrap_or_default(), into);
            }
        }
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(at) if is_time => write(&at.as_second().into(), true, into),
            _ => write_text(text, into),
        },
        Value::Array(items) => {
            head(LIST, items.len() as u64, into);
            for item in items {
                write(item, is_time, into);
            }
        }
        Value::Object(map) => {
            head(MAP, map.values().filter(|value| !value.is_null()).count() as u64, into);
            for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                write_text(name, into);
                let is_time = ["Timestamp", "Timestamps", "LastModified"].iter().any(|end| name.ends_with(end));
                write(value, is_time, into);
            }
        }
    }
}

fn write_text(text: &str, into: &mut Vec<u8>) {
    head(TEXT, text.len() as u64, into);
    into.extend_from_slice(text.as_bytes());
}

fn double(number: f64, into: &mut Vec<u8>) {
    into.push((SIMPLE << 5) | DOUBLE);
    into.extend_from_slice(&number.to_bits().to_be_bytes());
}

/// Uses the longest form wherever one byte is not enough: valid, and simpler than the shortest form.
fn head(kind: u8, argument: u64, into: &mut Vec<u8>) {
    match u8::try_from(argument) {
        Ok(small) if small < 24 => into.push((kind << 5) | small),
        _ => {
            into.push((kind << 5) | DOUBLE);
            into.extend_from_slice(&argument.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_written_document_is_read_back() {
        let long = "x".repeat(300);
        for value in [
            json!({"a": [1, -1, 24, -500, 5.0, 0.5, true, false, "é", long], "b": {}, "c": []}),
            json!([u64::MAX, i64::MIN]),
            json!("text"),
        ] {
            assert_eq!(decode(&encode(&value)), Some(value));
        }
        assert_eq!(decode(&encode(&json!({"Unit": null, "Period": 60}))), Some(json!({"Period": 60})));
    }

    #[test]
    fn a_document_of_the_sdk_is_read() {
        // {_ "AlarmNames": [_ "a", (_ "b", "c")], "Threshold": 1.5, "StartTime": 1(10.0), "Half": null}
        let mut document =
            b"\xBF\x6AAlarmNames\x9F\x61a\x7F\x61b\x61c\xFF\xFF\x69Threshold\xFB\x3F\xF8\0\0\0\0\0\0".to_vec();
        document.extend_from_slice(b"\x69StartTime\xC1\xFB\x40\x24\0\0\0\0\0\0\x64Half\xF6\xFF");
        let read = json!({"AlarmNames": ["a", "bc"], "Threshold": 1.5, "StartTime": 10.0, "Half": null});
        assert_eq!(decode(&document), Some(read));
        assert_eq!(decode(b"\xFA\x3F\xC0\0\0"), Some(json!(1.5)));
    }

    #[test]
    fn timestamps_have_their_tag() {
        let written = encode(&json!({"StateUpdatedTimestamp": 10, "Period": 10}));
        assert!(written.windows(10).any(|bytes| bytes == b"\xC1\xFB\x40\x24\0\0\0\0\0\0"), "{written:X?}");
        assert!(written.ends_with(b"Period\x0A"));
        assert_eq!(encode(&json!({"Timestamps": [10]})), b"\xA1\x6ATimestamps\x81\xC1\xFB\x40\x24\0\0\0\0\0\0");
    }

    #[test]
    fn broken_documents_are_none() {
        let deep = [0x81; 100];
        let broken: [&[u8]; 9] =
            [b"", b"\x62a", b"\x9F\x01", b"\xA1\x01\x01", b"\x01\x01", b"\xFF", b"\x1C", b"\x41a", &deep];
        for document in broken {
            assert_eq!(decode(document), None, "{document:X?}");
        }
    }
}
