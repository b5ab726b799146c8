//! Orphans: a table by role and Region, and what was done with them, as text and as JSON.

use serde_json::{Value, json};

use super::failures::{self, hanging};
use super::plan::PlanContext;
use super::text::{clean, columns, list, pad, plural};
use super::{Style, by_role, heading, joined};
use crate::cli::hint;
use drctl_engine::state::{Address, Role};
use drctl_engine::{Found, Orphan, OrphanKind, Unreached};

/// Addresses are aligned up to this many columns.
const ALIGNED: usize = 48;
/// The indentation of what belongs to a row.
const INDENT: usize = 6;

/// The table as text.
#[must_use]
pub fn render(found: &Found, context: &PlanContext, style: &Style) -> String {
    let mut lines = context.header(style);
    for ((role, region), members) in by_role(&found.orphans, |orphan| (role_of(orphan), orphan.region.clone())) {
        lines.push(String::new());
        lines.push(style.bold(&heading(role, &region)));
        let aligned = members.iter().map(|orphan| columns(&name(orphan))).max().unwrap_or_default().min(ALIGNED);
        for orphan in members {
            let id = clean(&orphan.live.id);
            // The heading of global orphans does not name a Region.
            let place = if role == Role::Global { format!("{id} in {}", clean(&orphan.region)) } else { id };
            let id = style.dim(&place);
            lines.push(format!("  {} {}  {id}", style.yellow("!"), pad(&name(orphan), aligned)));
            lines.extend(hanging("# ", &why(orphan), style.width, INDENT).iter().map(|line| style.dim(line)));
        }
    }
    lines.extend(unreached(&found.unreached, style));
    lines.push(String::new());
    lines.push(style.bold(&summary(found)));
    if !found.orphans.is_empty() {
        let hint = hint::complete(
            "`drctl orphans --adopt` adopts each orphan whose address is unambiguous; `drctl orphans --delete` deletes all of \
             them.",
        );
        lines.extend(hanging("", &hint, style.width, 0));
    }
    joined(&lines)
}

/// The table as JSON.
#[must_use]
pub fn to_json(found: &Found, context: &PlanContext) -> Value {
    let summary = json!({ "orphans": found.orphans.len(), "unreached": found.unreached.len() });
    let mut value = context.to_json(&summary);
    value["orphans"] = found.orphans.iter().map(orphan_json).collect();
    value["unreached"] = json!(found.unreached);
    value
}

/// What was adopted, and what was not.
#[must_use]
pub fn adopted(taken: &[Address], refused: &[(Orphan, String)], style: &Style) -> String {
    let mut lines = vec![style.bold(&format!("Adopted: {}. AWS was not touched.", taken.len()))];
    lines.extend(taken.iter().map(|address| format!("  {} {address}", style.cyan("="))));
    if !taken.is_empty() {
        let hint = hint::complete("Run `drctl up` to check each of them and make it match the configuration.");
        lines.extend(hanging("", &hint, style.width, 0));
    }
    lines.extend(refusals(refused, style));
    joined(&lines)
}

/// What was adopted and what was not, as JSON.
#[must_use]
pub fn adopted_json(taken: &[Address], refused: &[(Orphan, String)], unreached: &[Unreached]) -> Value {
    json!({ "event": "adopted", "adopted": taken, "refused": refused_json(refused), "unreached": unreached })
}

/// Orphans that are left alone, and what could not be listed, as JSON.
#[must_use]
pub fn left_json(refused: &[(Orphan, String)], unreached: &[Unreached]) -> Value {
    json!({ "event": "left", "refused": refused_json(refused), "unreached": unreached })
}

fn refused_json(refused: &[(Orphan, String)]) -> Value {
    let values = refused.iter().map(|(orphan, reason)| {
        let mut value = orphan_json(orphan);
        value["reason"] = json!(reason);
        value
    });
    values.collect()
}

/// Orphans that are left alone, each with the reason; no lines if there are none.
#[must_use]
pub fn refusals(refused: &[(Orphan, String)], style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    if !refused.is_empty() {
        lines.push(style.bold(&format!("{} left alone:", plural(refused.len(), "orphan"))));
    }
    for (orphan, reason) in refused {
        lines.push(format!("  {} {}  {}", style.yellow("!"), name(orphan), style.dim(&clean(&orphan.live.id))));
        lines.extend(hanging("# ", &clean(reason), style.width, INDENT));
    }
    lines
}

/// What could not be listed, and why; no lines if everything was listed.
#[must_use]
pub fn unreached(all: &[Unreached], style: &Style) -> Vec<String> {
    let groups = failures::by_cause(all.iter().map(|unreached| (unreached, &unreached.failure)));
    if groups.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), style.bold("There may be more: not everything could be listed")];
    for group in groups {
        let names: Vec<String> = group
            .affected
            .iter()
            .map(|unreached| format!("{} in {}", unreached.kind, clean(&unreached.region)))
            .collect();
        let room = style.width.saturating_sub(6);
        lines.push(format!("{} {}", style.yellow("    ?"), list(&names, room)));
        lines.extend(group.lines(style, 8));
    }
    lines
}

/// The number of orphans, in what could be listed.
#[must_use]
pub fn summary(found: &Found) -> String {
    match (found.orphans.len(), found.unreached.is_empty()) {
        (0, true) => "No orphans. Every resource tagged for this stack is in the state.".to_owned(),
        (0, false) => "No orphans in what could be listed.".to_owned(),
        (count, true) => format!("{}.", plural(count, "orphan")),
        (count, false) => format!("{} in what could be listed.", plural(count, "orphan")),
    }
}

fn role_of(orphan: &Orphan) -> Role {
    orphan.address.as_ref().map_or(Role::Global, Address::role)
}

fn name(orphan: &Orphan) -> String {
    match &orphan.address {
        Some(address) => address.to_string(),
        None => format!("{} without an address", orphan.kind),
    }
}

fn why(orphan: &Orphan) -> String {
    let reason = match &orphan.standing {
        OrphanKind::Lost if orphan.configured => "it is not in the state".to_owned(),
        OrphanKind::Lost => "it is not in the state, and nothing is configured under its address".to_owned(),
        OrphanKind::Copy { of: Some(id) } => format!("second copy of {id}, which the state holds under this address"),
        OrphanKind::Successor { of } => {
            format!(
                "in use: the state holds {of} under this address, which no longer exists; `drctl up` records this one"
            )
        }
        OrphanKind::Copy { of: None } => {
            "the state says that another one is being created under this address".to_owned()
        }
        OrphanKind::Twin { others } => {
            format!("no resource is recorded under this address; also found: {}", others.join(", "))
        }
        OrphanKind::Nameless => "its tags do not say which address it was created for".to_owned(),
    };
    clean(&reason)
}

fn orphan_json(orphan: &Orphan) -> Value {
    json!({
        "address": orphan.address,
        "type": orphan.kind,
        "region": orphan.region,
        "id": orphan.live.id,
        "arn": orphan.live.arn,
        "phase": orphan.live.phase,
        "standing": orphan.standing,
        "configured": orphan.configured,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::testing::{address, assert_fits, context, live, refused};
    use drctl_engine::Phase;

    fn orphan(at: &str, standing: OrphanKind) -> Orphan {
        let address = address(at);
        let region = if address.role() == Role::Secondary { "us-east-2" } else { "us-east-1" };
        Orphan {
            kind: "vpc",
            address: Some(address),
            region: region.to_owned(),
            standing,
            configured: true,
            live: *live(Phase::Ready),
        }
    }

    fn example() -> Found {
        let copy = OrphanKind::Copy { of: Some("vpc-1".to_owned()) };
        let nameless = Orphan { address: None, ..orphan("global/vpc/x", OrphanKind::Nameless) };
        let orphans = vec![nameless, orphan("primary/vpc/main", copy), orphan("secondary/vpc/main", OrphanKind::Lost)];
        let lost = |kind| Unreached { region: "us-east-2".to_owned(), kind, failure: refused() };
        Found { orphans, unreached: vec![lost("eip"), lost("subnet")] }
    }

    #[test]
    fn the_table_says_why_each_one_is_an_orphan() {
        for width in [80, 140] {
            let text = render(&example(), &context(false), &Style::plain(width));
            assert_fits(&text, width);
            for line in [
                "  ! vpc without an address  x-0abc in us-east-1",
                "primary · us-east-1",
                "  ! primary/vpc/main  x-0abc",
                "      # second copy of vpc-1, which the state holds under this address",
                "      # it is not in the state",
                "    ? eip in us-east-2, subnet in us-east-2",
                "3 orphans in what could be listed.",
            ] {
                assert!(text.lines().any(|found| found == line), "{line:?} at {width} in\n{text}");
            }
        }
    }

    #[test]
    fn the_summary_claims_only_what_could_be_listed() {
        let none = Found { orphans: Vec::new(), unreached: Vec::new() };
        assert!(render(&none, &context(false), &Style::plain(80)).contains("No orphans. Every resource tagged"));
        let unlisted = Found { orphans: Vec::new(), ..example() };
        assert_eq!(summary(&unlisted), "No orphans in what could be listed.");
    }

    #[test]
    fn json_has_every_orphan_with_its_standing() {
        let value = to_json(&example(), &context(false));
        assert_eq!((&value["summary"]["orphans"], &value["summary"]["unreached"]), (&json!(3), &json!(2)));
        assert_eq!(value["orphans"][1]["standing"], json!({"is": "copy", "of": "vpc-1"}));
        assert_eq!((&value["orphans"][0]["address"], &value["orphans"][0]["type"]), (&Value::Null, &json!("vpc")));
        let refused = [(orphan("primary/vpc/main", OrphanKind::Lost), "why not".to_owned())];
        let value = adopted_json(&[address("primary/vpc/other")], &refused, &[]);
        assert_eq!(value["adopted"], json!(["primary/vpc/other"]));
        assert_eq!(value["refused"][0]["reason"], json!("why not"));
    }

    #[test]
    fn what_was_adopted_and_what_was_not_is_listed() {
        let refused = [(orphan("primary/vpc/main", OrphanKind::Lost), "it is in use".to_owned())];
        let text = adopted(&[address("primary/subnet/a")], &refused, &Style::plain(80));
        assert_fits(&text, 80);
        for line in ["Adopted: 1. AWS was not touched.", "  = primary/subnet/a", "      # it is in use"] {
            assert!(text.lines().any(|found| found == line), "{line:?} in\n{text}");
        }
    }
}
