//! What would be lost, in words: for plans that are refused, and for the question of `down`.

use super::text::{clean, wrap};
use drctl_aws::resources::holds_data;
use drctl_engine::{Item, Plan, Refusal, Weight};

/// Text wrapped at `width` columns. Further lines keep the indentation of the first.
#[must_use]
pub fn wrapped(lines: &[String], width: usize) -> String {
    let folded = lines.iter().flat_map(|line| {
        let text = line.trim_start();
        let indent = " ".repeat(line.len() - text.len());
        let parts = wrap(text, width.saturating_sub(indent.len()).max(20));
        let parts = if parts.is_empty() { vec![String::new()] } else { parts };
        parts.into_iter().map(move |part| format!("{indent}{part}"))
    });
    folded.collect::<Vec<_>>().join("\n")
}

/// The refused items, a line each, with what is at stake.
#[must_use]
pub fn refused(plan: &Plan) -> String {
    let lines = plan.refused().map(|(item, refusal)| {
        let id = item.id.as_deref().map(clean).unwrap_or_default();
        let done = if refusal.replaced { "replaced" } else { "deleted" };
        let stake = stake(item);
        format!("- {} ({id}) would have to be {done}: {}{stake}", item.address, clean(&refusal.why))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn stake(item: &Item) -> String {
    match &item.weight {
        Some(Ok(Weight { stake: Some(stake), .. })) => format!(". At stake: {}", clean(stake)),
        Some(Err(failure)) => format!(". What would be lost could not be read: {}", clean(&failure.to_string())),
        Some(Ok(Weight { stake: None, .. })) | None => String::new(),
    }
}

/// How protection is lifted before data may be lost. AWS has it on for each resource, and a run that deletes something does not
/// switch it off.
pub const LIFT: &str = "lift the protection first: set `deletion = false` under [protection] in drctl.toml, with nothing else that \
                        loses data, and run `drctl up`.";

/// What to do about a refused plan.
#[must_use]
pub fn ways_out(plan: &Plan, protected: bool) -> String {
    let mut ways = vec![
        "Nothing was changed. Revert the change: in drctl.toml if it was edited there, in AWS if it was made there."
            .to_owned(),
    ];
    let refusals: Vec<&Refusal> = plan.refused().map(|(_, refusal)| refusal).collect();
    if let Some(why) = refusals.iter().find_map(|refusal| refusal.impossible.as_ref()) {
        ways.push(format!("This cannot be done even if the data may be lost: {}.", clean(why)));
    } else if let Some(first) = refusals.first() {
        let names: Vec<String> = first.names.iter().map(|address| format!("--replace {address}")).collect();
        let protection = if protected { format!("{LIFT} Then ") } else { String::new() };
        ways.push(format!(
            "If the data may really be lost, {protection}name every resource that would be deleted (clusters leave a final \
             snapshot): `drctl up {}`",
            names.join(" ")
        ));
    }
    ways.join("\n")
}

/// Whether any of the buckets that are deleted has objects, or could not be read.
#[must_use]
pub fn has_objects(plan: &Plan) -> bool {
    let may_have = |item: &Item| match &item.weight {
        Some(Ok(weight)) => weight.stake.is_some(),
        Some(Err(_)) => true,
        None => false,
    };
    plan.items.iter().any(|item| item.is_deleted() && item.address.kind() == "s3_bucket" && may_have(item))
}

/// What is lost for good, a line each.
#[must_use]
pub fn stakes(plan: &Plan) -> Vec<String> {
    let of = |item: &Item| match item.weight.as_ref()? {
        Ok(Weight { stake: Some(stake), .. }) => Some(format!("{} ({})", clean(stake), item.address)),
        // Of what holds no data, only the checks could not be made.
        Err(failure) if holds_data(item.address.kind()) => {
            Some(format!("the contents of {} could not be read: {}", item.address, clean(&failure.to_string())))
        }
        Ok(_) | Err(_) => None,
    };
    plan.items.iter().filter(|item| item.is_deleted()).filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::testing::{address, item, plan};
    use drctl_engine::{Action, Class, Failure};

    fn refused_plan(names: &[&str], impossible: Option<&str>) -> Plan {
        let refusal = Refusal {
            replaced: true,
            why: "master_username: the owner of the database cannot be changed".to_owned(),
            names: names.iter().map(|name| address(name)).collect(),
            impossible: impossible.map(str::to_owned),
        };
        let weight = Some(Ok(weighed(Some("the database in pay"))));
        plan(vec![Item { refusal: Some(refusal), weight, ..item("primary/db_cluster/main", Action::Refused) }])
    }

    fn weighed(stake: Option<&str>) -> Weight {
        Weight { stake: stake.map(str::to_owned), ..Weight::default() }
    }

    #[test]
    fn a_refusal_says_what_is_at_stake_and_the_ways_out() {
        let plan = refused_plan(&["primary/db_cluster/main", "primary/db_instance/main"], None);
        let text = refused(&plan);
        assert!(text.contains("would have to be replaced: master_username: the owner"), "{text}");
        assert!(text.ends_with("At stake: the database in pay"), "{text}");
        let ways = ways_out(&plan, false);
        let command = "`drctl up --replace primary/db_cluster/main --replace primary/db_instance/main`";
        assert!(ways.starts_with("Nothing was changed. Revert the change") && ways.ends_with(command), "{ways}");
        let protected = ways_out(&plan, true);
        // What is protected in AWS is not deleted by the run that is to lift the protection.
        let order =
            [LIFT, "`drctl up`", "Then name every resource", "`drctl up --replace "].map(|text| protected.find(text));
        assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?}: {protected}");
        let impossible = ways_out(&refused_plan(&[], Some("AWS refuses")), false);
        assert!(impossible.ends_with("even if the data may be lost: AWS refuses."), "{impossible}");
        assert!(!impossible.contains("--replace"), "{impossible}");
    }

    #[test]
    fn a_bucket_that_cannot_be_read_may_have_objects() {
        let bucket =
            |weight| plan(vec![Item { weight: Some(weight), ..item("primary/s3_bucket/data", Action::Delete) }]);
        assert!(!has_objects(&bucket(Ok(weighed(None)))));
        assert!(has_objects(&bucket(Ok(weighed(Some("2 object versions"))))));
        let silent = bucket(Err(Failure::new(Class::TimedOut, "no answer")));
        assert!(has_objects(&silent));
        assert!(stakes(&silent)[0].contains("could not be read: no answer"));
    }

    #[test]
    fn long_lines_are_wrapped() {
        let lines = [String::new(), "  one two three four five six seven".to_owned()];
        assert_eq!(wrapped(&lines, 26), "\n  one two three four five\n  six seven");
    }
}
