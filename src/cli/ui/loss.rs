//! What would be lost, in words: for plans that are refused, and for the question of `down`.

use std::collections::BTreeMap;

use super::text::{clean, wrap};
use drctl_engine::state::Address;
use drctl_engine::{Failure, Plan, Refusal, Weight};

/// What deleting each resource would mean.
pub type Weights = BTreeMap<Address, Result<Weight, Failure>>;

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
pub fn refused(plan: &Plan, weights: &Weights) -> String {
    let lines = plan.refused().map(|(item, refusal)| {
        let id = item.id.as_deref().map(clean).unwrap_or_default();
        let done = if refusal.replaced { "replaced" } else { "deleted" };
        let stake = stake(weights.get(&item.address));
        format!("- {} ({id}) would have to be {done}: {}{stake}", item.address, clean(&refusal.why))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn stake(weight: Option<&Result<Weight, Failure>>) -> String {
    match weight {
        Some(Ok(Weight { stake: Some(stake), .. })) => format!(". At stake: {}", clean(stake)),
        Some(Err(failure)) => format!(". What is at stake could not be read: {}", clean(&failure.to_string())),
        Some(Ok(Weight { stake: None, .. })) | None => String::new(),
    }
}

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
        let protection = if protected { "set `deletion = false` under [protection], and " } else { "" };
        ways.push(format!(
            "If the data may really be lost, {protection}name every resource that would be deleted (clusters leave a final \
             snapshot): `drctl up {}`",
            names.join(" ")
        ));
    }
    ways.join("\n")
}

/// What is not drctl's and would keep AWS from deleting the stack, a line each.
#[must_use]
pub fn hindrances(weights: &Weights) -> Vec<String> {
    let of =
        |weight: &Result<Weight, Failure>| weight.as_ref().map(|weight| weight.hindrances.clone()).unwrap_or_default();
    weights.values().flat_map(of).map(|sentence| clean(&sentence)).collect()
}

/// Whether any of the buckets has objects, or could not be read.
#[must_use]
pub fn has_objects(weights: &Weights) -> bool {
    let may_have = |weight: &Result<Weight, Failure>| weight.as_ref().map_or(true, |weight| weight.stake.is_some());
    weights.iter().any(|(address, weight)| address.kind() == "s3_bucket" && may_have(weight))
}

/// What would be lost for good, a line each.
#[must_use]
pub fn stakes(weights: &Weights) -> Vec<String> {
    let of = |(address, weight): (&Address, &Result<Weight, Failure>)| match weight {
        Ok(Weight { stake: Some(stake), .. }) => Some(format!("{} ({address})", clean(stake))),
        Ok(_) => None,
        Err(failure) => Some(format!("the contents of {address} could not be read: {}", clean(&failure.to_string()))),
    };
    weights.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::testing::{address, item, plan};
    use drctl_engine::{Action, Class, Item};

    fn refused_plan(names: &[&str], impossible: Option<&str>) -> Plan {
        let refusal = Refusal {
            replaced: true,
            why: "master_username: the owner of the database cannot be changed".to_owned(),
            names: names.iter().map(|name| address(name)).collect(),
            impossible: impossible.map(str::to_owned),
        };
        plan(vec![Item { refusal: Some(refusal), ..item("primary/db_cluster/main", Action::Refused) }])
    }

    fn weighed(at: &str, stake: Option<&str>, hindrances: &[&str]) -> Weights {
        let hindrances = hindrances.iter().map(|sentence| (*sentence).to_owned()).collect();
        Weights::from([(address(at), Ok(Weight { stake: stake.map(str::to_owned), hindrances }))])
    }

    #[test]
    fn a_refusal_says_what_is_at_stake_and_the_ways_out() {
        let plan = refused_plan(&["primary/db_cluster/main", "primary/db_instance/main"], None);
        let weights = weighed("primary/db_cluster/main", Some("the database in pay"), &[]);
        let text = refused(&plan, &weights);
        assert!(text.contains("would have to be replaced: master_username: the owner"), "{text}");
        assert!(text.ends_with("At stake: the database in pay"), "{text}");
        let ways = ways_out(&plan, false);
        let command = "`drctl up --replace primary/db_cluster/main --replace primary/db_instance/main`";
        assert!(ways.starts_with("Nothing was changed. Revert the change") && ways.ends_with(command), "{ways}");
        assert!(ways_out(&plan, true).contains("set `deletion = false` under [protection]"));
        let impossible = ways_out(&refused_plan(&[], Some("AWS refuses")), false);
        assert!(impossible.ends_with("even if the data may be lost: AWS refuses."), "{impossible}");
        assert!(!impossible.contains("--replace"), "{impossible}");
    }

    #[test]
    fn a_bucket_that_cannot_be_read_may_have_objects() {
        let bucket = "primary/s3_bucket/data";
        assert!(!has_objects(&weighed(bucket, None, &[])));
        assert!(has_objects(&weighed(bucket, Some("2 object versions"), &[])));
        let silent = Weights::from([(address(bucket), Err(Failure::new(Class::TimedOut, "no answer")))]);
        assert!(has_objects(&silent));
        assert!(stakes(&silent)[0].contains("could not be read: no answer"));
    }

    #[test]
    fn hindrances_are_listed_and_long_lines_are_wrapped() {
        let weights = weighed("global/global_cluster/main", None, &["it has a third member"]);
        assert_eq!(hindrances(&weights), ["it has a third member"]);
        let lines = [String::new(), "  one two three four five six seven".to_owned()];
        assert_eq!(wrapped(&lines, 26), "\n  one two three four five\n  six seven");
    }
}
