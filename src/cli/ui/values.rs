//! Properties and their differences as text.

use serde_json::Value;

use super::Style;
use super::failures::hanging;
use super::text::{clean, columns, fit};
use crate::engine::{Change, is_unresolved};
use crate::state::Role;

/// Shown where a value comes from a resource that is yet to be made.
const LATER: &str = "(known after apply)";
/// Lines of a document's or a list's differences before the rest is only counted.
const LONGEST: usize = 24;
/// Documents of more lines than this are not compared line by line: the work grows with the square.
const COMPARABLE: usize = 400;

/// How a reference is written: `vpc/main` within its role, else with the role; the output unless it is what one expects.
fn target(value: &Value, role: Role) -> Option<String> {
    let object = value.as_object().filter(|object| object.len() == 3)?;
    let address = object.get("$ref")?.as_str()?;
    let output = object.get("output")?.as_str()?;
    let within = address.strip_prefix(role.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(address);
    Some(if matches!(output, "id" | "arn") { within.to_owned() } else { format!("{within}.{output}") })
}

/// What one value tells in a few words; `None` when it tells nothing there.
pub(super) fn brief(value: &Value, role: Role) -> Option<String> {
    if let Some(target) = target(value, role) {
        return Some(format!("→ {target}"));
    }
    match value {
        Value::String(text) if !text.is_empty() => Some(clean(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => {
            let told: Vec<String> = items.iter().filter_map(|item| brief(item, role)).collect();
            if told.len() < items.len() {
                return None;
            }
            match told.as_slice() {
                [] => None,
                [one] => Some(one.clone()),
                [one, two] => Some(format!("{one}, {two}")),
                [one, two, rest @ ..] => Some(format!("{one}, {two} +{}", rest.len())),
            }
        }
        // One of several kinds of a thing, under the name of its kind.
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
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Quoted as JSON quotes, which leaves no control character as it is, C1 among them.
fn quoted(text: &str) -> String {
    clean(&Value::from(text).to_string())
}

/// One property of something to be made, with everything in it: `name = value`, over several lines where it takes them.
pub(super) fn full(name: &str, value: &Value, role: Role, style: &Style, indent: usize) -> Vec<String> {
    let blank = " ".repeat(indent);
    let head = format!("{blank}{} =", clean(name));
    let one = format!("{head} {}", inline(value, role));
    if columns(&one) <= style.width {
        return vec![one];
    }
    let Some(structured) = structured(value, role) else { return vec![fit(&one, style.width)] };
    let text = format!("{structured:#}");
    let lines = text.lines().map(clean).enumerate();
    lines
        .map(|(number, line)| if number == 0 { format!("{head} {line}") } else { format!("{blank}{line}") })
        .map(|line| fit(&line, style.width))
        .collect()
}

/// One property that differs: `~ name: old → new` where a line holds it, else what goes and what comes beneath it.
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
    let beneath = |parts: Vec<(char, String)>| {
        let mut lines = vec![head.clone()];
        let rest = parts.len().saturating_sub(LONGEST);
        for (sign, text) in parts.into_iter().take(LONGEST) {
            let line = fit(&format!("{blank}    {sign} {text}"), style.width);
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
    if let (Value::Array(old), Value::Array(new)) = (&change.old, &change.new) {
        let gone = old.iter().filter(|item| !new.contains(item)).map(|item| ('-', side(item, role)));
        let come = new.iter().filter(|item| !old.contains(item)).map(|item| ('+', side(item, role)));
        let parts: Vec<(char, String)> = gone.chain(come).collect();
        if !parts.is_empty() {
            return beneath(parts);
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
            return beneath(parts);
        }
    }
    let (old, new) = around(&old, &new, style.width.saturating_sub(indent + 6));
    beneath(vec![('-', old), ('+', new)])
}

/// One side of a difference: what is absent is said so, and what comes from elsewhere is known later.
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
            // Most strings are no JSON: that is no error but the answer.
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
        other => other.clone(),
    }
}

/// A structured value in lines whose order means something: keys sorted.
fn document(value: &Value, role: Role) -> Option<Vec<String>> {
    let mut value = structured(value, role)?;
    value.sort_all_objects();
    Some(format!("{value:#}").lines().map(clean).collect())
}

/// Two long texts from shortly before where they part: what they share tells nothing.
fn around(old: &str, new: &str, max: usize) -> (String, String) {
    let shared = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count();
    let skip = if shared > max / 2 { shared - max / 4 } else { 0 };
    let cut = |text: &str| {
        let rest: String = text.chars().skip(skip).collect();
        fit(&if skip > 0 { format!("…{rest}") } else { rest }, max)
    };
    (cut(old), cut(new))
}

/// The lines that go and come, each run of them between one line of what stays.
fn compare(old: &[String], new: &[String]) -> Vec<(char, String)> {
    if old.len() > COMPARABLE || new.len() > COMPARABLE {
        return Vec::new();
    }
    // Lengths of the longest common subsequences of what is left of both, from each pair of lines on.
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

    fn told(change: &Change, width: usize) -> String {
        let text = difference(change, Role::Primary, &Style::plain(width), 4).join("\n");
        assert_fits(&text, width);
        text
    }

    #[test]
    fn a_small_difference_takes_one_line() {
        assert_eq!(told(&change("dns_support", json!(false), json!(true)), 80), "    ~ dns_support: false → true");
        assert_eq!(told(&change("tags.Name", Value::Null, json!("main")), 80), "    ~ tags.Name: (not set) → \"main\"");
        let reference = json!({"$ref": "primary/vpc/main", "output": "id", "need": "ready"});
        assert_eq!(
            told(&change("vpc", json!("vpc-1"), reference), 80),
            "    ~ vpc: \"vpc-1\" → (known after apply)  # from vpc/main"
        );
    }

    #[test]
    fn what_forces_a_replacement_says_why() {
        let cidr = Change {
            forces_replacement: Some("the primary CIDR block of a VPC cannot be changed"),
            ..change("cidr", json!("10.0.0.0/16"), json!("10.2.0.0/16"))
        };
        let wide = told(&cidr, 140);
        assert_eq!(wide.lines().count(), 1);
        for text in [wide, told(&cidr, 80)] {
            assert!(text.starts_with("    ~ cidr: \"10.0.0.0/16\" → \"10.2.0.0/16\""));
            assert!(text.contains("# forces replacement: the primary CIDR block of a VPC cannot be changed"));
        }
    }

    #[test]
    fn lists_show_what_goes_and_what_comes() {
        let text =
            told(&change("cidrs", json!(["10.0.0.0/24", "10.0.1.0/24"]), json!(["10.0.1.0/24", "10.0.2.0/24"])), 80);
        assert_eq!(text, "    ~ cidrs:\n        - \"10.0.0.0/24\"\n        + \"10.0.2.0/24\"");
        let many: Vec<u32> = (0..60).collect();
        assert!(told(&change("ports", json!([]), json!(many)), 80).ends_with("… 36 lines more"));
    }

    #[test]
    fn policies_are_compared_line_by_line_whatever_the_order_of_their_keys() {
        let old =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]});
        let new = r#"{"Statement":[{"Resource":"*","Action":"kms:Decrypt","Effect":"Allow"}],"Version":"2012-10-17"}"#;
        let text = told(&change("policy", json!(old.to_string()), json!(new)), 80);
        assert!(text.contains("-       \"Action\": \"kms:*\","), "{text}");
        assert!(text.contains("+       \"Action\": \"kms:Decrypt\","), "{text}");
        assert!(!text.contains("Version"), "{text}");
    }

    #[test]
    fn long_texts_are_cut_around_where_they_differ() {
        let (old, new) = (format!("{}old", "x".repeat(300)), format!("{}new", "x".repeat(300)));
        let text = told(&change("description", json!(old), json!(new)), 80);
        assert!(text.contains("xold\"") && text.contains("xnew\""), "{text}");
    }

    #[test]
    fn everything_of_a_property_is_shown_when_asked_for() {
        let tags = json!({"drctl:stack": "payment-dr", "drctl:environment": "dev", "drctl:node": "primary/vpc/main", "Name": "main"});
        let lines = full("tags", &tags, Role::Primary, &Style::plain(80), 6);
        assert_eq!((lines[0].as_str(), lines.len()), ("      tags = {", 6));
        assert_eq!(lines[1], "        \"drctl:stack\": \"payment-dr\",");
        assert_eq!(full("on", &json!(true), Role::Primary, &Style::plain(80), 6), ["      on = true"]);
    }

    #[test]
    fn a_brief_value_tells_what_matters() {
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
