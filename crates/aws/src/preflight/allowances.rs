//! Quotas that a service itself returns together with their use, without Service Quotas: RDS, Lambda, IAM.

use aws_sdk_iam::types::SummaryKeyType;

use super::planned::{Planned, is_changed, is_made};
use super::{About, Figures, Findings, Preflight, Problem};
use drctl_engine::{Action, Region};

/// The subject of findings about Lambda's executions.
const CONCURRENCY: &str = "concurrent executions";

/// The quotas that RDS returns: the type, RDS's name for it, and a display name.
/// <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_AccountQuota.html>
const DATABASE: [(&str, &str, &str); 4] = [
    ("db_cluster", "DBClusters", "database clusters"),
    ("db_instance", "DBInstances", "database instances"),
    ("db_subnet_group", "DBSubnetGroups", "database subnet groups"),
    ("db_cluster_parameter_group", "DBClusterParameterGroups", "database cluster parameter groups"),
];

/// The executions that Lambda keeps for functions without a reservation.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html>
const UNRESERVED: u64 = 100;

/// Checks the database's quotas in one Region.
pub(super) async fn database(preflight: &Preflight<'_>, planned: &Planned<'_>, region: &str) -> Findings {
    const SUBJECT: &str = "database quotas";
    let mut findings = Findings::default();
    if DATABASE.iter().all(|(kind, ..)| planned.added(kind, region) == 0) {
        return findings;
    }
    let at = Region::from(region);
    let rds = &preflight.aws.at(&at).rds;
    let answer =
        preflight.aws.read(&at, "rds", "DescribeAccountAttributes", || rds.describe_account_attributes().send()).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            findings.unanswered(About::Quota, region, SUBJECT, &failure);
            return findings;
        }
    };
    for (kind, code, name) in DATABASE {
        let planned = planned.added(kind, region);
        if planned == 0 {
            continue;
        }
        let quota = answer.account_quotas().iter().find(|quota| quota.account_quota_name() == Some(code));
        let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        let counts = quota.and_then(|quota| Some((number(quota.max())?, number(quota.used())?)));
        let Some((quota, used)) = counts else {
            findings.unchecked(About::Quota, Some(region), name, format!("RDS returns no quota {code}"));
            continue;
        };
        let figures = Figures { quota, used, planned };
        if !figures.suffice() {
            let message = format!("{name} in {region}: {planned} more are planned, and {used} of {quota} are in use");
            let help = format!("Ask for {} or more in Service Quotas (service rds), or delete some.", figures.needed());
            let problem = Problem::new(About::Quota, Some(region), name, message, help);
            findings.problems.push(Problem { figures: Some(figures), ..problem });
        }
    }
    findings
}

/// Concurrent executions for a thousand requests a second, at some 200 ms for a payment.
const AT_A_TIME: u64 = 200;

/// Checks that the function's reservation leaves enough executions for others, and that those which the function can use are
/// enough for the requests that the API lets through. The latter is also checked for an existing function. A new account has ten
/// executions: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
/// See docs/aws-behaviour.md#account-concurrency-is-low.
pub(super) async fn concurrency(preflight: &Preflight<'_>, planned: &Planned<'_>, region: &str) -> Findings {
    let mut findings = Findings::default();
    let Some(item) = planned.staying("lambda_function").find(|item| item.region == region) else { return findings };
    let at = Region::from(region);
    let lambda = &preflight.aws.at(&at).lambda;
    let answer = preflight.aws.read(&at, "lambda", "GetAccountSettings", || lambda.get_account_settings().send()).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            findings.unanswered(About::Quota, region, CONCURRENCY, &failure);
            return findings;
        }
    };
    let limit = answer.account_limit();
    let unreserved = limit.and_then(|limit| limit.unreserved_concurrent_executions);
    let Some(free) = unreserved.and_then(|count| u64::try_from(count).ok()) else {
        let why = "Lambda does not say how many are unreserved".to_owned();
        findings.unchecked(About::Quota, Some(region), CONCURRENCY, why);
        return findings;
    };
    let all = limit.and_then(|limit| u64::try_from(limit.concurrent_executions).ok()).filter(|all| *all > 0);
    let rate = u64::from(preflight.config.api.throttle_rate);
    match preflight.config.lambda.reserved_concurrency {
        Some(reserved) if is_made(item) || is_changed(item, "reserved_concurrency") => {
            // The executions that are already reserved for it can be reserved for it again.
            let own = item.live.as_ref().filter(|_| item.action != Action::Create);
            let own = own.and_then(|live| live.properties.get("reserved_concurrency")?.as_u64()).unwrap_or_default();
            findings.problems.extend(overreserved(region, free.saturating_add(own), u64::from(reserved.get())));
        }
        Some(_) => {}
        None => findings.notes.extend(scarce(region, all.unwrap_or(free), free, rate)),
    }
    findings
}

/// A problem if the account has fewer executions than the requests that the API's throttle lets through need.
fn scarce(region: &str, all: u64, free: u64, rate: u64) -> Option<Problem> {
    let needed = rate.saturating_mul(AT_A_TIME).div_ceil(1000);
    let figures = Figures { quota: free, used: 0, planned: needed };
    if figures.suffice() {
        return None;
    }
    let message = format!(
        "ConcurrentExecutions in {region}: the account may run {all} functions at a time, {free} of them unreserved, and the API \
         lets {rate} requests a second through, which takes some {needed}: beyond that payments are answered with 429 or 5xx, and \
         so are the health checks that decide on a failover"
    );
    let help = format!(
        "Ask for {needed} or more in Service Quotas (service lambda, quota L-B99A9384, Concurrent executions) in {region} before \
         there is traffic; or write a smaller `throttle_rate` in [api]."
    );
    let note = Problem::new(About::Quota, Some(region), CONCURRENCY, message, help);
    Some(Problem { figures: Some(figures), ..note })
}

fn overreserved(region: &str, free: u64, planned: u64) -> Option<Problem> {
    // The most that can be reserved. The reservations of others are not part of `free`.
    let figures = Figures { quota: free.saturating_sub(UNRESERVED), used: 0, planned };
    if figures.suffice() {
        return None;
    }
    let message = format!(
        "concurrent executions in {region}: {planned} are to be reserved for the function, of {free} that are unreserved, and \
         Lambda keeps {UNRESERVED} for other functions"
    );
    let less = match figures.quota {
        0 => "Write `reserved_concurrency = -1` in [lambda]".to_owned(),
        most => format!("Write at most `reserved_concurrency = {most}` in [lambda], or -1"),
    };
    let help =
        format!("{less}; or ask for more in Service Quotas (service lambda, quota L-B99A9384, Concurrent executions).");
    let problem = Problem::new(About::Quota, Some(region), CONCURRENCY, message, help);
    Some(Problem { figures: Some(figures), ..problem })
}

/// Checks the number of roles, of which the account has one quota for all Regions.
pub(super) async fn roles(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    const SUBJECT: &str = "IAM roles";
    let mut findings = Findings::default();
    let Some(item) = planned.made("iam_role").next() else { return findings };
    let planned = planned.added_anywhere("iam_role");
    if planned == 0 {
        return findings;
    }
    let at = Region::from(item.region.as_str());
    let iam = &preflight.aws.at(&at).iam;
    let question = preflight.aws.read(&at, "iam", "GetAccountSummary", || iam.get_account_summary().send());
    let answer = match question.await {
        Ok(answer) => answer,
        Err(failure) => {
            findings.unanswered(About::Quota, &item.region, SUBJECT, &failure);
            return findings;
        }
    };
    let number = |key: &SummaryKeyType| answer.summary_map()?.get(key).and_then(|count| u64::try_from(*count).ok());
    let (Some(used), Some(quota)) = (number(&SummaryKeyType::Roles), number(&SummaryKeyType::RolesQuota)) else {
        findings.unchecked(About::Quota, None, SUBJECT, "IAM returns neither their number nor their quota".to_owned());
        return findings;
    };
    let figures = Figures { quota, used, planned };
    if !figures.suffice() {
        let message = format!("IAM roles: {planned} more are planned, and {used} of {quota} are in use");
        let help = format!(
            "Ask for {} or more in Service Quotas (service iam, quota L-FE177D64, in us-east-1), or delete some.",
            figures.needed()
        );
        let problem = Problem::new(About::Quota, None, SUBJECT, message, help);
        findings.problems.push(Problem { figures: Some(figures), ..problem });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_leaves_a_hundred_to_the_others() {
        assert!(overreserved("us-east-1", 1000, 900).is_none());
        let problem = overreserved("us-east-1", 1000, 901).expect("a problem");
        assert_eq!(problem.figures, Some(Figures { quota: 900, used: 0, planned: 901 }));
        assert!(problem.help.contains("at most `reserved_concurrency = 900`"), "{}", problem.help);
        // A new account has ten, and can reserve nothing.
        let problem = overreserved("us-east-1", 10, 5).expect("a problem");
        assert!(problem.help.contains("`reserved_concurrency = -1`"), "{}", problem.help);
    }

    #[test]
    fn a_new_account_has_too_few_executions_for_the_throttle() {
        let note = scarce("us-east-1", 10, 10, 500).expect("a note");
        assert_eq!(note.figures, Some(Figures { quota: 10, used: 0, planned: 100 }));
        assert!(note.message.contains("may run 10 functions at a time"), "{}", note.message);
        // Others have reserved nearly all of it.
        assert!(scarce("us-east-1", 1000, 99, 500).is_some());
        assert_eq!(scarce("us-east-1", 1000, 100, 500), None);
        assert_eq!(scarce("us-east-1", 10, 10, 50), None);
    }
}
