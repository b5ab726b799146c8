//! Properties and their differences, as text.

use serde_json::{Map, Number, Value};

use super::Style;
use super::failures::hanging;
use super::text::{clean, columns, fit};
use drctl_engine::state::Role;
use drctl_engine::{Change, is_unresolved};

/// Shown for a value that comes from a resource that does not exist yet.
const LATER: &str = "(known after apply)";
/// How many lines of the differences of a document or a list are shown. The rest are counted.
const LONGEST: usize = 24;
/// Fields that identify an item of a list. They are shown even if both sides have the same value.
const NAMING: [&str; 5] = ["id", "name", "key", "Sid", "route_key"];
/// How much of what two texts have in common is shown before and after the difference.
const AROUND: usize = 12;
/// Documents with more lines than this are not compared line by line, because the work grows with the square of the lines.
const COMPARABLE: usize = 400;

/// The text for a reference: `vpc/main` within the same role, otherwise with the role; with the output unless it is id or ARN.
fn target(value: &Value, role: Role) -> Option<String> {
    let object = value.as_object().filter(|object| object.len() == 3)?;
    let address = object.get("$ref")?.as_str()?;
    let output = object.get("output")?.as_str()?;
    let within = address.strip_prefix(role.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(address);
    Some(if matches!(output, "id" | "arn") { within.to_owned() } else { format!("{within}.{output}") })
}

/// A value in a few words; `None` if that would say nothing.
pub(super) fn brief(value: &Value, role: Role) -> Option<String> {
    if let Some(target) = target(value, role) {
        return Some(format!("→ {target}"));
    }
    match value {
        Value::String(text) if !text.is_empty() => Some(clean(text)),
        Value::Number(number) => Some(figure(number)),
        Value::Array(items) => {
            let parts: Vec<String> = items.iter().filter_map(|item| brief(item, role)).collect();
            if parts.len() < items.len() {
                return None;
            }
            match parts.as_slice() {
                [] => None,
                [one] => Some(one.clone()),
                [one, two] => Some(format!("{one}, {two}")),
                [one, two, rest @ ..] => Some(format!("{one}, {two} +{}", rest.len())),
            }
        }
        // An enum with a value: the only key is its variant.
        Value::Object(map) if map.len() == 1 => map.values().next().and_then(|value| brief(value, role)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

/// A value in one line: strings quoted, references as arrows.
pub(super) fn inline(value: &Value, role: Role) -> String {
    if let Some(target) = target(value, role) {
        return format!("→ {target}");
    }
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| inline(item, role)).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let fields: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", clean(key), inline(value, role))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::String(text) => quoted(text),
        Value::Number(number) => figure(number),
        Value::Null | Value::Bool(_) => value.to_string(),
    }
}

/// A number as people write it: `5000`, although the value is `5000.0`.
fn figure(number: &Number) -> String {
    let text = number.to_string();
    if number.is_f64() { text.strip_suffix(".0").unwrap_or(&text).to_owned() } else { text }
}

/// The text quoted as in JSON, without any control characters, including C1.
fn quoted(text: &str) -> String {
    clean(&Value::from(text).to_string())
}

/// One property of something that will be created, in full: `name = value`, on several lines if necessary.
pub(super) fn full(name: &str, value: &Value, role: Role, style: &Style, indent: usize) -> Vec<String> {
    let blank = " ".repeat(indent);
    let head = format!("{blank}{} =", clean(name));
    let one = format!("{head} {}", inline(value, role));
    if columns(&one) <= style.width {
        return vec![one];
    }
    let Some(structured) = structured(value, role) else { return vec![style.fit(&one, style.width)] };
    let text = format!("{structured:#}");
    let lines = text.lines().map(clean).enumerate();
    lines
        .map(|(number, line)| if number == 0 { format!("{head} {line}") } else { format!("{blank}{line}") })
        .map(|line| style.fit(&line, style.width))
        .collect()
}

/// One property that differs: `~ name: old → new` if it fits on a line, otherwise the removed and added values below it.
pub(super) fn difference(change: &Change, role: Role, style: &Style, indent: usize) -> Vec<String> {
    let mut lines = differing(change, role, style, indent);
    if let Some(why) = change.forces_replacement {
        let note = format!("forces replacement: {why}");
        if lines.len() == 1 && columns(&lines[0]) + 4 + columns(&note) <= style.width {
            lines[0] = format!("{}  {}", lines[0], style.red(&format!("# {note}")));
        } else {
            lines.extend(hanging("# ", &note, style.width, indent + 4).iter().map(|line| style.red(line)));
        }
    }
    lines
}

fn differing(change: &Change, role: Role, style: &Style, indent: usize) -> Vec<String> {
    let blank = " ".repeat(indent);
    let name = clean(&change.property);
    let head = format!("{blank}{} {name}:", style.yellow("~"));
    let below = |parts: Vec<(char, String)>| {
        let mut lines = vec![head.clone()];
        let longest = if style.cuts { LONGEST } else { usize::MAX };
        let rest = parts.len().saturating_sub(longest);
        let room = style.width.saturating_sub(indent + 6);
        for (sign, text) in fitted(parts, room, style).into_iter().take(longest) {
            let line = format!("{blank}    {sign} {text}");
            lines.push(match sign {
                '-' => style.red(&line),
                '+' => style.green(&line),
                _ => style.dim(&line),
            });
        }
        if rest > 0 {
            lines.push(style.dim(&format!("{blank}      … {} more", super::text::plural(rest, "line"))));
        }
        lines
    };
    let room = style.width.saturating_sub(indent + 6);
    if let (Value::Array(old), Value::Array(new)) = (&change.old, &change.new) {
        let parts = items(old, new, role, if style.cuts { room } else { usize::MAX });
        if !parts.is_empty() {
            return below(parts);
        }
    }
    let (old, new) = (side(&change.old, role), side(&change.new, role));
    let mut one = format!("{head} {} → {}", style.red(&old), style.green(&new));
    if is_unresolved(&change.new)
        && let Some(from) = target(&change.new, role)
    {
        let note = format!("  # from {from}");
        if columns(&one) + columns(&note) <= style.width {
            one.push_str(&style.dim(&note));
        }
    }
    if columns(&one) <= style.width {
        return vec![one];
    }
    if let (Some(old), Some(new)) = (document(&change.old, role), document(&change.new, role)) {
        let parts = compare(&old, &new);
        if !parts.is_empty() {
            return below(parts);
        }
    }
    let (old, new) = if style.cuts { apart(&change.old, &change.new, role) } else { (old, new) };
    below(vec![('-', old), ('+', new)])
}

/// Removed and added lines in `room` columns. If a line is longer, it and its counterpart are cut to where they differ.
fn fitted(mut parts: Vec<(char, String)>, room: usize, style: &Style) -> Vec<(char, String)> {
    if !style.cuts {
        return parts;
    }
    let run = |parts: &[(char, String)], from: usize, sign: char| {
        parts[from..].iter().take_while(|(found, _)| *found == sign).count()
    };
    let mut at = 0;
    while at < parts.len() {
        let gone = run(&parts, at, '-');
        let come = run(&parts, at + gone, '+');
        for pair in 0..gone.min(come) {
            let (old, new) = (at + pair, at + gone + pair);
            if columns(&parts[old].1) > room || columns(&parts[new].1) > room {
                (parts[old].1, parts[new].1) = around(&parts[old].1, &parts[new].1, room);
            }
        }
        at += (gone + come).max(1);
    }
    parts.into_iter().map(|(sign, text)| (sign, fit(&text, room))).collect()
}

/// The removed and added items of a list. An item that exists on both sides is shown as a pair, with what differs in it.
fn items(old: &[Value], new: &[Value], role: Role, room: usize) -> Vec<(char, String)> {
    let mut come: Vec<&Value> = new.iter().filter(|item| !old.contains(item)).collect();
    let (mut pairs, mut parts) = (Vec::new(), Vec::new());
    for gone in old.iter().filter(|item| !new.contains(item)) {
        let nearest = come.iter().enumerate().map(|(at, item)| (likeness(gone, item), at)).max();
        match nearest.filter(|(likeness, _)| *likeness > 0) {
            Some((_, at)) => pairs.push((gone, come.remove(at))),
            None => parts.push(('-', side(gone, role))),
        }
    }
    parts.extend(come.into_iter().map(|item| ('+', side(item, role))));
    for (gone, come) in pairs {
        let (mut old, mut new) = (side(gone, role), side(come, role));
        if columns(&old) > room || columns(&new) > room {
            (old, new) = apart(gone, come, role);
        }
        parts.extend([('-', old), ('+', new)]);
    }
    parts
}

/// How many fields two items of a list share; 0 if they are not objects. Fields that identify an item count for more.
fn likeness(old: &Value, new: &Value) -> usize {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return 0 };
    let shared = old.iter().filter(|(key, value)| new.get(*key) == Some(value));
    shared.map(|(key, _)| if NAMING.contains(&key.as_str()) { 100 } else { 1 }).sum()
}

/// Both sides of a difference, with `…` for what they have in common.
fn apart(old: &Value, new: &Value, role: Role) -> (String, String) {
    if target(old, role).is_some() || target(new, role).is_some() {
        return (side(old, role), side(new, role));
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let of_old = |own: &Value, other: &Value| apart(own, other, role).0;
            let of_new = |own: &Value, other: &Value| apart(other, own, role).1;
            (fields_apart(old, new, role, of_old), fields_apart(new, old, role, of_new))
        }
        (Value::Array(old), Value::Array(new)) => (items_apart(old, new, role), items_apart(new, old, role)),
        (Value::String(old), Value::String(new)) => texts_apart(old, new),
        _ => (side(old, role), side(new, role)),
    }
}

fn fields_apart(
    own: &Map<String, Value>,
    other: &Map<String, Value>,
    role: Role,
    of: impl Fn(&Value, &Value) -> String,
) -> String {
    let parts = own.iter().map(|(key, value)| match other.get(key) {
        Some(same) if same == value && !NAMING.contains(&key.as_str()) => None,
        Some(differs) if differs != value => Some(format!("{}: {}", clean(key), of(value, differs))),
        _ => Some(format!("{}: {}", clean(key), inline(value, role))),
    });
    format!("{{ {} }}", elided(parts))
}

fn items_apart(own: &[Value], other: &[Value], role: Role) -> String {
    let parts = own.iter().map(|item| (!other.contains(item)).then(|| inline(item, role)));
    format!("[{}]", elided(parts))
}

/// The parts, separated by commas, with one `…` for each run of missing ones.
fn elided(parts: impl Iterator<Item = Option<String>>) -> String {
    let mut shown: Vec<String> = Vec::new();
    for part in parts {
        match part {
            Some(part) => shown.push(part),
            None if shown.last().is_some_and(|last| last == "…") => {}
            None => shown.push("…".to_owned()),
        }
    }
    shown.join(", ")
}

/// Two texts without most of their common beginning and end.
fn texts_apart(old: &str, new: &str) -> (String, String) {
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let least = old.len().min(new.len());
    let before = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let behind = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count().min(least - before);
    let skip = if before > 2 * AROUND { before - AROUND } else { 0 };
    let drop = if behind > 2 * AROUND { behind - AROUND } else { 0 };
    let cut = |text: &[char]| {
        let middle: String = text[skip..text.len() - drop].iter().collect();
        let mark = |is_cut: bool| if is_cut { "…" } else { "" };
        quoted(&format!("{}{middle}{}", mark(skip > 0), mark(drop > 0)))
    };
    (cut(&old), cut(&new))
}

/// One side of a difference. An absent value is "not set", and a reference is known only later.
fn side(value: &Value, role: Role) -> String {
    match value {
        Value::Null => "(not set)".to_owned(),
        value if target(value, role).is_some() => LATER.to_owned(),
        value => inline(value, role),
    }
}

/// A structured value, or the JSON in a string (a policy), with its references named.
fn structured(value: &Value, role: Role) -> Option<Value> {
    match value {
        Value::Object(_) | Value::Array(_) => Some(named(value, role)),
        Value::String(text) => {
            // Most strings are not JSON, which is not an error.
            serde_json::from_str(text).ok().filter(|value: &Value| value.is_object() || value.is_array())
        }
        _ => None,
    }
}

fn named(value: &Value, role: Role) -> Value {
    if let Some(target) = target(value, role) {
        return Value::String(format!("→ {target}"));
    }
    match value {
        Value::Array(items) => Value::Array(items.iter().map(|item| named(item, role)).collect()),
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), named(value, role))).collect()),
        // A whole number without its `.0`.
        Value::Number(number) if number.is_f64() => {
            figure(number).parse::<i64>().map_or_else(|_| value.clone(), Value::from)
        }
        other => other.clone(),
    }
}

/// A structured value as lines with sorted keys, so that they can be compared.
fn document(value: &Value, role: Role) -> Option<Vec<String>> {
    let mut value = structured(value, role)?;
    value.sort_all_objects();
    Some(format!("{value:#}").lines().map(clean).collect())
}

/// Two long texts, cut to begin shortly before they differ.
fn around(old: &str, new: &str, max: usize) -> (String, String) {
    let shared = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count();
    let skip = if shared > max / 2 { shared - max / 4 } else { 0 };
    let cut = |text: &str| {
        let rest: String = text.chars().skip(skip).collect();
        fit(&if skip > 0 { format!("…{rest}") } else { rest }, max)
    };
    (cut(old), cut(new))
}

/// The removed and added lines, with one unchanged line before and after each run of them.
fn compare(old: &[String], new: &[String]) -> Vec<(char, String)> {
    if old.len() > COMPARABLE || new.len() > COMPARABLE {
        return Vec::new();
    }
    // The lengths of the longest common subsequences of the rest of both, for each pair of lines.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for (i, from) in old.iter().enumerate().rev() {
        for (j, to) in new.iter().enumerate().rev() {
            common[i][j] = if from == to { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let mut all = Vec::with_capacity(old.len() + new.len());
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            all.push((' ', old[i].clone()));
            i += 1;
            j += 1;
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            all.push(('-', old[i].clone()));
            i += 1;
        } else {
            all.push(('+', new[j].clone()));
            j += 1;
        }
    }
    let differs = |position: usize| all.get(position).is_some_and(|(sign, _)| *sign != ' ');
    let shown =
        |position: usize| differs(position) || differs(position + 1) || position.checked_sub(1).is_some_and(differs);
    (0..all.len()).filter(|position| shown(*position)).map(|position| all[position].clone()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::ui::testing::{assert_fits, change};

    fn shown(change: &Change, width: usize) -> String {
        let text = difference(change, Role::Primary, &Style::plain(width), 4).join("\n");
        assert_fits(&text, width);
        text
    }

    #[test]
    fn a_small_difference_takes_one_line() {
        assert_eq!(shown(&change("dns_support", json!(false), json!(true)), 80), "    ~ dns_support: false → true");
        assert_eq!(
            shown(&change("tags.Name", Value::Null, json!("main")), 80),
            "    ~ tags.Name: (not set) → \"main\""
        );
        let reference = json!({"$ref": "primary/vpc/main", "output": "id", "need": "ready"});
        assert_eq!(
            shown(&change("vpc", json!("vpc-1"), reference), 80),
            "    ~ vpc: \"vpc-1\" → (known after apply)  # from vpc/main"
        );
    }

    #[test]
    fn what_forces_a_replacement_says_why() {
        let cidr = Change {
            forces_replacement: Some("the primary CIDR block of a VPC cannot be changed"),
            ..change("cidr", json!("10.0.0.0/16"), json!("10.2.0.0/16"))
        };
        let wide = shown(&cidr, 140);
        assert_eq!(wide.lines().count(), 1);
        for text in [wide, shown(&cidr, 80)] {
            assert!(text.starts_with("    ~ cidr: \"10.0.0.0/16\" → \"10.2.0.0/16\""));
            assert!(text.contains("# forces replacement: the primary CIDR block of a VPC cannot be changed"));
        }
    }

    #[test]
    fn lists_show_removed_and_added_items() {
        let text =
            shown(&change("cidrs", json!(["10.0.0.0/24", "10.0.1.0/24"]), json!(["10.0.1.0/24", "10.0.2.0/24"])), 80);
        assert_eq!(text, "    ~ cidrs:\n        - \"10.0.0.0/24\"\n        + \"10.0.2.0/24\"");
        let many: Vec<u32> = (0..60).collect();
        assert!(shown(&change("ports", json!([]), json!(many)), 80).ends_with("… 36 lines more"));
    }

    #[test]
    fn policies_are_compared_line_by_line_regardless_of_the_order_of_their_keys() {
        let old =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]});
        let new = r#"{"Statement":[{"Resource":"*","Action":"kms:Decrypt","Effect":"Allow"}],"Version":"2012-10-17"}"#;
        let text = shown(&change("policy", json!(old.to_string()), json!(new)), 80);
        assert!(text.contains("-       \"Action\": \"kms:*\","), "{text}");
        assert!(text.contains("+       \"Action\": \"kms:Decrypt\","), "{text}");
        assert!(!text.contains("Version"), "{text}");
    }

    #[test]
    fn long_texts_are_cut_around_where_they_differ() {
        let (old, new) = (format!("{}old", "x".repeat(300)), format!("{}new", "x".repeat(300)));
        let text = shown(&change("description", json!(old), json!(new)), 80);
        assert!(text.contains("xold\"") && text.contains("xnew\""), "{text}");
    }

    /// Removed and added values must not look the same, whatever the kind of value and the width.
    #[test]
    fn a_difference_is_visible_for_every_kind_of_value_and_every_width() {
        let query = |gateway: &str| {
            json!({ "id": "m2", "expression": "", "namespace": "AWS/NATGateway", "metric": "ErrorPortAllocation",
                "dimensions": { "NatGatewayId": gateway }, "statistic": "Sum", "period": 60, "label": "", "returns": false })
        };
        let long = |middle: &str| format!("{}{middle}{}", "before ".repeat(30), " behind".repeat(30));
        let policy = |condition: &str| json!({"Statement": [{"Sid": "One", "Condition": long(condition)}]});
        let kinds = [
            ("a list of objects", json!([query("m1"), query("nat-0old")]), json!([query("m1"), query("nat-0new")])),
            ("a text", json!(long("0old")), json!(long("0new"))),
            ("a text that is longer", json!(long("")), json!(format!("{}0new", long("")))),
            ("a list of texts", json!([long("0old")]), json!([long("0new")])),
            ("an object", query("nat-0old"), query("nat-0new")),
            ("a document", policy("0old"), policy("0new")),
            ("a document in a text", json!(policy("0old").to_string()), json!(policy("0new").to_string())),
        ];
        for (kind, old, new) in kinds {
            for width in [60, 80, 140] {
                let text = shown(&change("value", old.clone(), new.clone()), width);
                let mut sides = text.lines().map(str::trim_start);
                let gone = sides.clone().find_map(|line| line.strip_prefix("- ")).unwrap_or_default();
                let come = sides.find_map(|line| line.strip_prefix("+ ")).unwrap_or_default();
                assert_ne!(gone.trim_end_matches('…'), come.trim_end_matches('…'), "{kind} at {width}:\n{text}");
                assert!(come.contains("0new"), "{kind} at {width}:\n{text}");
            }
            let whole = difference(&change("value", old, new), Role::Primary, &Style::plain(80).uncut(), 4).join("\n");
            assert!(whole.contains("0new") && !whole.contains('…'), "{kind}:\n{whole}");
        }
    }

    #[test]
    fn items_with_the_same_identity_show_what_differs_in_them() {
        let query = |id: &str, gateway: &str| {
            json!({ "id": id, "expression": "", "namespace": "AWS/NATGateway", "metric": "ErrorPortAllocation",
                "dimensions": { "NatGatewayId": gateway } })
        };
        let old = json!([query("m1", "nat-1"), query("m2", "nat-2")]);
        let new = json!([query("m2", "nat-9"), query("m1", "nat-1")]);
        assert_eq!(
            shown(&change("queries", old, new), 80),
            "    ~ queries:\n        \
             - { id: \"m2\", …, dimensions: { NatGatewayId: \"nat-2\" } }\n        \
             + { id: \"m2\", …, dimensions: { NatGatewayId: \"nat-9\" } }"
        );
    }

    #[test]
    fn whole_numbers_have_no_decimal_point() {
        assert_eq!(shown(&change("threshold", json!(5000.0), json!(0.5)), 80), "    ~ threshold: 5000 → 0.5");
        assert_eq!(brief(&json!(1.0), Role::Primary).as_deref(), Some("1"));
        let lines =
            full("limits", &json!({"a": [1.0, "x".repeat(80)]}), Role::Primary, &Style::plain(80), 6).join("\n");
        assert!(lines.contains("1,\n") && !lines.contains("1.0"), "{lines}");
    }

    #[test]
    fn a_property_can_be_shown_in_full() {
        let tags = json!({"drctl:stack": "payment-dr", "drctl:environment": "dev", "drctl:node": "primary/vpc/main", "Name": "main"});
        let lines = full("tags", &tags, Role::Primary, &Style::plain(80), 6);
        assert_eq!((lines[0].as_str(), lines.len()), ("      tags = {", 6));
        assert_eq!(lines[1], "        \"drctl:stack\": \"payment-dr\",");
        assert_eq!(full("on", &json!(true), Role::Primary, &Style::plain(80), 6), ["      on = true"]);
    }

    #[test]
    fn a_brief_value_shows_what_matters() {
        let marker = |at: &str, output: &str| json!({"$ref": at, "output": output, "need": "exists"});
        let brief = |value: &Value| brief(value, Role::Primary);
        assert_eq!(brief(&marker("primary/vpc/main", "id")).as_deref(), Some("→ vpc/main"));
        assert_eq!(brief(&marker("secondary/vpc/main", "cidr")).as_deref(), Some("→ secondary/vpc/main.cidr"));
        assert_eq!(brief(&json!(["a", "b", "c", "d"])).as_deref(), Some("a, b +2"));
        assert_eq!(
            brief(&json!({"nat_gateway": marker("primary/nat_gateway/a", "id")})).as_deref(),
            Some("→ nat_gateway/a")
        );
        assert_eq!(brief(&json!({"a": 1, "b": 2})), None);
        assert_eq!(brief(&json!(true)), None);
    }
}
