//! Whatever is in the file, it is either accepted or refused with a reason: drctl never panics.

use proptest::prelude::*;
use proptest::sample::select;

use super::{rendered, template_in_use};
use crate::Config;

fn survives(text: &str, environment: Option<&str>) {
    if let Err(error) = Config::parse("drctl.toml", text, environment) {
        assert!(!error.problems().is_empty());
        for problem in error.problems() {
            assert!(!problem.message().is_empty() && !problem.advice().is_empty(), "{problem:?}");
        }
        assert!(!rendered(&error).is_empty());
    }
}

/// Every key of the template, with its section.
fn settings() -> Vec<(String, String)> {
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in template_in_use().lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, _)) = line.split_once(" = ") {
            settings.push((section.clone(), key.to_owned()));
        }
    }
    settings
}

/// Values that the parser accepts: of every type, and strings that resemble the right ones.
fn value() -> impl Strategy<Value = String> {
    let quoted =
        |text: String| format!("\"{}\"", text.escape_default().to_string().replace("\\'", "'").replace("\\u{", "?"));
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f32>().prop_map(|number| format!("{number:?}").to_lowercase()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<String>().prop_map(quoted),
        "\\PC{0,40}".prop_map(|text| format!("'{}'", text.replace('\'', ""))),
        "[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}".prop_map(quoted),
        "[a-z]{2}-[a-z]{4,9}-[0-9]{1,2}[a-z]?".prop_map(quoted),
        "db\\.[a-z0-9]{0,5}\\.[a-z0-9]{0,8}".prop_map(quoted),
        "[a-z]{0,3}:?[0-2][0-9]:[0-5][0-9]-[a-z]{0,3}:?[0-2][0-9]:[0-5][0-9]".prop_map(quoted),
        "[a-zA-Z.@:/<> -]{0,30}".prop_map(quoted),
        prop::collection::vec("[a-z.@-]{0,20}", 0..4).prop_map(|texts| format!("{texts:?}")),
        Just("{ a = 1 }".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_text(text: String, environment: Option<String>) {
        survives(&text, environment.as_deref());
    }

    #[test]
    fn any_characters_of_toml(text in "[\\[\\]{}=.,\"'#\\\\ \n\ta-z0-9é_-]{0,200}") {
        survives(&text, None);
    }

    #[test]
    fn any_values(chosen in prop::collection::vec((select(settings()), value()), 0..6), environment: Option<String>) {
        let lines: Vec<String> =
            chosen.iter().map(|((section, key), value)| format!("{section}.{key} = {value}")).collect();
        survives(&lines.join("\n"), environment.as_deref());
    }

    #[test]
    fn any_part_of_the_template(start in 0_usize..6000, length in 0_usize..6000) {
        let text = template_in_use();
        let part: String = text.chars().skip(start).take(length).collect();
        survives(&part, None);
    }
}
