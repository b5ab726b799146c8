//! What the caller may do, as far as IAM says so beforehand.
//!
//! `SimulatePrincipalPolicy` evaluates the caller's policies, its permissions boundary and the organization's policies. It is
//! asked twice: first for everything on all resources, which settles it for whoever has wide permissions; then, for what was
//! not allowed, on what this stack would make, as narrow policies are written. What depends on more than that (the tags of a
//! request, for one) is not judged.
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType};
use futures::future::{join_all, try_join_all};

use super::actions::needs_of;
use super::planned::Planned;
use super::{About, Findings, Preflight, Problem, answered, listed, reason};
use crate::engine::{Class, Failure, Region};

/// Actions per call: a request stays small, and the answer is one page.
const AT_ONCE: usize = 100;

/// What findings are called.
const SUBJECT: &str = "permissions";

/// Who calls, as far as IAM can be asked about it.
#[derive(Debug, PartialEq, Eq)]
enum Caller {
    /// A user, by its ARN.
    User(String),
    /// A role, by its name: a session's ARN leaves out the role's path.
    Role(String),
    /// Somebody whose policies cannot be simulated, and why.
    Other(String),
}

/// What IAM says of one action.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// It would be allowed.
    Allowed,
    /// That depends on these keys of the request's context.
    Depends(BTreeSet<String>),
    /// It would be refused; whether by the organization.
    Denied { by_organization: bool },
}

type Verdicts = BTreeMap<String, Verdict>;

/// Checks what is to be made, Region by Region: policies may name the Region of a call.
pub(super) async fn check(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let mut findings = Findings::default();
    // By Region, each action with what it may be restricted to.
    let mut wanted: BTreeMap<&str, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    let name = preflight.config.name();
    for item in planned.all_made() {
        let Some(needs) = needs_of(item.address.kind()) else { continue };
        let actions = wanted.entry(item.region.as_str()).or_default();
        for action in needs.actions() {
            let on = needs.resources(&action, &item.region, preflight.account, &name);
            actions.entry(action).or_default().extend(on);
        }
    }
    if wanted.is_empty() {
        return findings;
    }
    let caller = match caller(preflight).await {
        Ok(caller) => caller,
        Err(why) => {
            findings.unchecked(About::Permission, None, SUBJECT, why);
            return findings;
        }
    };
    let regions = wanted.iter().map(|(region, actions)| one(preflight, &caller, region, actions));
    Findings::settled(join_all(regions).await)
}

/// The ARN of the user or role that calls, or why there is none to ask about.
async fn caller(preflight: &Preflight<'_>) -> Result<String, String> {
    let at = Region::from(preflight.regions[0]);
    let clients = preflight.aws.at(&at);
    let identity =
        answered(&at, preflight.aws.read(&at, "sts", "GetCallerIdentity", || clients.sts.get_caller_identity().send()))
            .await
            .map_err(|failure| reason(&failure))?;
    let name = match of_arn(identity.arn().unwrap_or_default()) {
        Caller::User(arn) => return Ok(arn),
        Caller::Other(why) => return Err(why),
        Caller::Role(name) => name,
    };
    let question = preflight.aws.read(&at, "iam", "GetRole", || clients.iam.get_role().role_name(&name).send());
    match answered(&at, question).await {
        Ok(answer) => Ok(answer.role().map(|role| role.arn().to_owned()).unwrap_or_default()),
        // It may not look at itself: most roles have no path.
        Err(failure) if failure.class == Class::Denied => Ok(format!("arn:aws:iam::{}:role/{name}", preflight.account)),
        Err(failure) => Err(reason(&failure)),
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>
fn of_arn(arn: &str) -> Caller {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    match resource.split_once('/') {
        Some(("user", _)) => Caller::User(arn.to_owned()),
        Some(("assumed-role", session)) => Caller::Role(session.split('/').next().unwrap_or_default().to_owned()),
        _ if resource == "root" => {
            Caller::Other("the caller is the account's root user, whom IAM does not simulate".to_owned())
        }
        _ => Caller::Other(format!("IAM simulates users and roles, and the caller is {arn}")),
    }
}

/// Checks one Region.
async fn one(
    preflight: &Preflight<'_>,
    caller: &str,
    region: &str,
    wanted: &BTreeMap<String, BTreeSet<String>>,
) -> Findings {
    let mut findings = Findings::default();
    match verdicts(preflight, caller, region, wanted).await {
        Ok(verdicts) => judge(&mut findings, caller, region, &verdicts),
        // Whoever may not ask may still do.
        Err(failure) => findings.unchecked(About::Permission, Some(region), SUBJECT, reason(&failure)),
    }
    findings
}

/// What IAM says, at first on everything, then on what the actions may be restricted to.
async fn verdicts(
    preflight: &Preflight<'_>,
    caller: &str,
    region: &str,
    wanted: &BTreeMap<String, BTreeSet<String>>,
) -> Result<Verdicts, Failure> {
    let all: Vec<String> = wanted.keys().cloned().collect();
    let mut verdicts = simulate(preflight, caller, region, &all, None).await?;
    let mut narrow: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (action, on) in wanted {
        if verdicts.get(action).is_some_and(|verdict| *verdict != Verdict::Allowed) {
            for resource in on {
                narrow.entry(resource).or_default().push(action.clone());
            }
        }
    }
    let calls = narrow.iter().map(|(&on, actions)| simulate(preflight, caller, region, actions, Some(on)));
    for answer in try_join_all(calls).await? {
        for (action, verdict) in answer {
            best(&mut verdicts, action, verdict);
        }
    }
    Ok(verdicts)
}

/// Allowed on one of the resources is allowed: a bucket's actions are either about it or about what is in it.
fn best(verdicts: &mut Verdicts, action: String, verdict: Verdict) {
    let known = verdicts.entry(action).or_insert_with(|| verdict.clone());
    if verdict < *known {
        *known = verdict;
    }
}

async fn simulate(
    preflight: &Preflight<'_>,
    caller: &str,
    region: &str,
    actions: &[String],
    on: Option<&str>,
) -> Result<Verdicts, Failure> {
    // IAM is one for all Regions; any of its clients' Regions reaches it.
    let at = Region::from(preflight.regions[0]);
    let iam = &preflight.aws.at(&at).iam;
    let context = |key: &str, value: &str| {
        ContextEntry::builder()
            .context_key_name(key)
            .context_key_values(value)
            .context_key_type(ContextKeyTypeEnum::String)
            .build()
    };
    let mut verdicts = Verdicts::new();
    for some in actions.chunks(AT_ONCE) {
        let question = preflight.aws.read(&at, "iam", "SimulatePrincipalPolicy", || {
            iam.simulate_principal_policy()
                .policy_source_arn(caller)
                .set_action_names(Some(some.to_vec()))
                .set_resource_arns(on.map(|on| vec![on.to_owned()]))
                .context_entries(context("aws:RequestedRegion", region))
                .context_entries(context("aws:SecureTransport", "true"))
                .into_paginator()
                .items()
                .send()
                .collect::<Result<Vec<_>, _>>()
        });
        for result in answered(&at, question).await? {
            best(&mut verdicts, result.eval_action_name().to_owned(), verdict(&result));
        }
    }
    Ok(verdicts)
}

fn verdict(result: &EvaluationResult) -> Verdict {
    if *result.eval_decision() == PolicyEvaluationDecisionType::Allowed {
        return Verdict::Allowed;
    }
    // With resources named, the keys that were missing stand at each of them.
    let mut missing: BTreeSet<String> = result.missing_context_values().iter().cloned().collect();
    for specific in result.resource_specific_results() {
        missing.extend(specific.missing_context_values().iter().cloned());
    }
    let by_organization =
        result.organizations_decision_detail().is_some_and(|detail| !detail.allowed_by_organizations());
    if missing.is_empty() || by_organization { Verdict::Denied { by_organization } } else { Verdict::Depends(missing) }
}

/// One problem per service, and one note on all that depends on the request.
fn judge(findings: &mut Findings, caller: &str, region: &str, verdicts: &Verdicts) {
    let mut denied: BTreeMap<&str, (Vec<&str>, bool)> = BTreeMap::new();
    let mut unsure: Vec<&str> = Vec::new();
    let mut keys: BTreeSet<&str> = BTreeSet::new();
    for (action, verdict) in verdicts {
        match verdict {
            Verdict::Allowed => {}
            Verdict::Depends(on) => {
                unsure.push(action);
                keys.extend(on.iter().map(String::as_str));
            }
            Verdict::Denied { by_organization } => {
                let service = action.split(':').next().unwrap_or_default();
                let (actions, organization) = denied.entry(service).or_default();
                actions.push(action);
                *organization |= by_organization;
            }
        }
    }
    for (service, (actions, by_organization)) in denied {
        let message = format!("{caller} may not {}", listed(&actions));
        let help = if by_organization {
            "A policy of the organization denies at least one of them: whoever administers the organization has to allow them, \
             besides the account."
        } else {
            "Allow them in a policy of the caller, and in its permissions boundary if it has one. The README lists all that drctl \
             needs."
        };
        findings.problems.push(Problem::new(About::Permission, Some(region), service, message, help.to_owned()));
    }
    if !unsure.is_empty() {
        let keys: Vec<&str> = keys.into_iter().collect();
        let why = format!("{} hang on {}, which only the request itself has", listed(&unsure), listed(&keys));
        findings.unchecked(About::Permission, Some(region), SUBJECT, why);
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_iam::types::OrganizationsDecisionDetail;
    use aws_sdk_iam::types::builders::EvaluationResultBuilder;

    use super::*;

    #[test]
    fn users_and_roles_can_be_asked_about() {
        let user = "arn:aws:iam::111122223333:user/ops/kim";
        assert_eq!(of_arn(user), Caller::User(user.to_owned()));
        let session = "arn:aws:sts::111122223333:assumed-role/deployer/kim";
        assert_eq!(of_arn(session), Caller::Role("deployer".to_owned()));
        for other in ["arn:aws:iam::111122223333:root", "arn:aws:sts::111122223333:federated-user/kim", ""] {
            assert!(matches!(of_arn(other), Caller::Other(_)), "{other}");
        }
    }

    fn result(decision: PolicyEvaluationDecisionType) -> EvaluationResultBuilder {
        EvaluationResult::builder().eval_action_name("ec2:CreateVpc").eval_decision(decision)
    }

    #[test]
    fn what_hangs_on_the_request_is_not_judged() {
        use PolicyEvaluationDecisionType::{Allowed, ExplicitDeny, ImplicitDeny};
        let denied = |by_organization| Verdict::Denied { by_organization };
        let of = |builder: EvaluationResultBuilder| verdict(&builder.build().expect("a result"));
        assert_eq!(of(result(Allowed).missing_context_values("aws:SourceIp")), Verdict::Allowed);
        assert_eq!(of(result(ImplicitDeny)), denied(false));
        let depends = Verdict::Depends(BTreeSet::from(["aws:RequestTag/team".to_owned()]));
        assert_eq!(of(result(ImplicitDeny).missing_context_values("aws:RequestTag/team")), depends);
        let detail = OrganizationsDecisionDetail::builder().allowed_by_organizations(false).build();
        let organization =
            result(ExplicitDeny).missing_context_values("aws:SourceIp").organizations_decision_detail(detail);
        assert_eq!(of(organization), denied(true));
    }

    #[test]
    fn the_best_verdict_counts() {
        let mut verdicts = Verdicts::new();
        let depends = Verdict::Depends(BTreeSet::from(["k".to_owned()]));
        best(&mut verdicts, "a".to_owned(), Verdict::Denied { by_organization: false });
        best(&mut verdicts, "a".to_owned(), depends.clone());
        assert_eq!(verdicts["a"], depends);
        best(&mut verdicts, "a".to_owned(), Verdict::Allowed);
        best(&mut verdicts, "a".to_owned(), depends);
        assert_eq!(verdicts["a"], Verdict::Allowed);
    }

    #[test]
    fn what_is_missing_is_told_service_by_service() {
        let denied = |by_organization| Verdict::Denied { by_organization };
        let verdicts = Verdicts::from([
            ("ec2:CreateVpc".to_owned(), denied(false)),
            ("ec2:DeleteVpc".to_owned(), denied(false)),
            ("iam:CreateRole".to_owned(), denied(true)),
            ("kms:CreateKey".to_owned(), Verdict::Depends(BTreeSet::from(["aws:RequestTag/team".to_owned()]))),
            ("sns:CreateTopic".to_owned(), Verdict::Allowed),
        ]);
        let mut findings = Findings::default();
        judge(&mut findings, "arn:aws:iam::1:user/kim", "us-east-1", &verdicts);
        let told: Vec<_> = findings.problems.iter().map(|p| (p.subject.as_str(), p.message.as_str())).collect();
        assert_eq!(
            told,
            [
                ("ec2", "arn:aws:iam::1:user/kim may not ec2:CreateVpc and ec2:DeleteVpc"),
                ("iam", "arn:aws:iam::1:user/kim may not iam:CreateRole"),
            ]
        );
        assert!(findings.problems[1].help.contains("organization") && findings.is_denied());
        let [note] = findings.unchecked.as_slice() else { panic!("one note: {findings:?}") };
        assert_eq!(note.why, "kms:CreateKey hang on aws:RequestTag/team, which only the request itself has");
    }
}
