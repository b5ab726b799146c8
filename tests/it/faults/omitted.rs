//! Whatever AWS leaves out of its answers: nothing is replaced because of it, and nothing that holds data is refused for it.
//!
//! CI leaves out every eighth field; all of them, one after the other:
//!
//!     DRCTL_MATRIX=full cargo test -p drctl --test it omitted
//!
//! `DRCTL_FIELDS=Path,apiId` leaves out only those.

use drctl_testkit::harness::Stack;

fn omit(stack: &Stack, field: &str) {
    stack.faults(&format!("[[fault]]\nkind = \"read\"\ndoes = \"omit\"\nfield = \"{field}\"\n"));
}

#[test]
fn no_field_that_is_missing_from_an_answer_forces_a_replacement() {
    let stack = Stack::new();
    stack.configure(
        "[dns]\ndomain = \"pay.your-company.com\"\ncertificate = true\n\n[alerts]\nemails = [\"ops@example.com\"]\n",
    );
    stack.run(&["up", "--yes"]).exits(0);
    omit(&stack, "none");
    stack.run(&["plan", "--detailed-exitcode"]).exits(0);
    let fields: Vec<String> = stack.no_faults()["fields"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|field| field.as_str().map(str::to_owned))
        .collect();
    assert!(fields.len() > 300, "{}", fields.len());
    let mut wrong = Vec::new();
    let step = if std::env::var("DRCTL_MATRIX").is_ok_and(|which| which == "full") { 1 } else { 8 };
    let chosen = std::env::var("DRCTL_FIELDS").unwrap_or_default();
    let is_chosen = |field: &&String| chosen.is_empty() || chosen.split(',').any(|name| name == *field);
    for field in fields.iter().filter(is_chosen).step_by(step) {
        omit(&stack, field);
        let ran = stack.run(&["plan", "--json", "--timeout", "20"]);
        // A field without which an answer cannot be read makes the rest unknown, or the command fail: both change nothing.
        let Ok(plan) = serde_json::from_str::<serde_json::Value>(&ran.stdout) else { continue };
        for change in plan["changes"].as_array().into_iter().flatten() {
            let action = change["action"].as_str().unwrap_or_default();
            // A listing without its elements says that there are none: then what refers to them is replaced with them.
            let follows = change["changes"]
                .as_array()
                .into_iter()
                .flatten()
                .all(|change| change["forces_replacement"].is_null() || change["new"].to_string().contains("$ref"));
            if matches!(action, "replace" | "refused" | "delete") && !follows {
                wrong.push(format!("{field}: {action} {} {}", change["address"], change["changes"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} fields:\n{}", wrong.len(), fields.len(), wrong.join("\n"));
}
