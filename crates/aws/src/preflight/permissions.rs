//! What the caller is allowed to do, as far as IAM can say so in advance.
//!
//! `SimulatePrincipalPolicy` evaluates the caller's policies, its permissions boundary and the organization's policies. It is
//! asked about every action on the resources on which AWS would check it, with the names from the plan, because a policy can
//! allow and deny single resources. Actions that depend on anything else, such as the tags of a request, are not judged.
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>.
//! See docs/aws-behaviour.md#simulation-needs-resources.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType};
use futures::future::{join_all, try_join_all};

use super::asks::{Ask, Weight, asks};
use super::planned::Planned;
use super::{About, Findings, Preflight, Problem, listed, reason};
use drctl_engine::{Class, Failure, Region};

/// Actions per call: a request stays small, and the answer is one page.
const AT_ONCE: usize = 100;

/// The subject of the findings.
const SUBJECT: &str = "permissions";

/// The caller, in the form in which IAM can be asked about it.
#[derive(Debug, PartialEq, Eq)]
enum Caller {
    /// A user, by its ARN.
    User(String),
    /// A role, by its name: a session's ARN leaves out the role's path.
    Role(String),
    /// Another caller, with the reason why its policies cannot be simulated.
    Other(String),
}

/// What IAM says about one action on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It would be allowed.
    Allowed,
    /// That depends on these keys of the request's context.
    Depends(BTreeSet<String>),
    /// It would be refused, by the organization or otherwise.
    Denied { by_organization: bool },
}

/// Verdicts by action and resource.
type Verdicts = BTreeMap<(String, String), Verdict>;

/// The content of one question: actions of one service under the same circumstances, on all resources of any of them.
#[derive(Debug, Default)]
struct Batch {
    actions: BTreeSet<String>,
    resources: BTreeSet<String>,
}

/// The Region, the service (`*` for actions without resource-level permissions, of all services), and the context of the request.
type Circumstances<'a> = (&'a str, &'a str, &'a [(&'static str, String)]);

/// Checks the planned changes Region by Region, because policies can depend on the Region of a call.
pub(super) async fn check(preflight: &Preflight<'_>, planned: &Planned<'_>) -> Findings {
    let mut findings = Findings::default();
    let asks = asks(planned, preflight.account);
    if asks.is_empty() {
        return findings;
    }
    let caller = match caller(preflight).await {
        Ok(caller) => caller,
        Err(failure) => {
            not_asked(&mut findings, None, &failure);
            return findings;
        }
    };
    let batches = batches(&asks);
    let questions = batches.iter().map(|(circumstances, batch)| simulate(preflight, &caller, circumstances, batch));
    let answers: BTreeMap<_, _> = batches.keys().copied().zip(join_all(questions).await).collect();
    let regions: BTreeSet<&str> = asks.keys().map(|ask| ask.region.as_str()).collect();
    for region in regions {
        let mut judged: Vec<(&Ask, Weight, &Verdict)> = Vec::new();
        let mut failures: Vec<&Failure> = Vec::new();
        for (ask, weight) in asks.iter().filter(|(ask, _)| ask.region == region) {
            match answers.get(&circumstances_of(ask)) {
                Some(Ok(verdicts)) => {
                    let verdict = verdicts.get(&(ask.action.clone(), ask.resource.clone()));
                    judged.extend(verdict.map(|verdict| (ask, *weight, verdict)));
                }
                Some(Err(failure)) => failures.push(failure),
                None => {}
            }
        }
        judge(&mut findings, &caller, region, &judged);
        for failure in failures {
            not_asked(&mut findings, Some(region), failure);
        }
    }
    Findings::settled(vec![findings])
}

/// A caller without the permission to simulate may have all others, and need not be a user or a role of IAM.
fn not_asked(findings: &mut Findings, region: Option<&str>, failure: &Failure) {
    match &failure.silent {
        Some(who) => findings.unanswered(About::Permission, &who.to_string(), SUBJECT, failure),
        None => findings.unchecked(About::Permission, region, SUBJECT, reason(failure)),
    }
}

fn circumstances_of(ask: &Ask) -> Circumstances<'_> {
    let service = if ask.resource == "*" { "*" } else { service(&ask.action) };
    (&ask.region, service, &ask.context)
}

fn service(action: &str) -> &str {
    action.split(':').next().unwrap_or_default()
}

fn batches(asks: &BTreeMap<Ask, Weight>) -> BTreeMap<Circumstances<'_>, Batch> {
    let mut batches: BTreeMap<Circumstances<'_>, Batch> = BTreeMap::new();
    for ask in asks.keys() {
        let batch = batches.entry(circumstances_of(ask)).or_default();
        batch.actions.insert(ask.action.clone());
        batch.resources.insert(ask.resource.clone());
    }
    batches
}

/// The ARN of the user or role that calls, or the reason why IAM cannot be asked.
async fn caller(preflight: &Preflight<'_>) -> Result<String, Failure> {
    let at = Region::from(preflight.regions[0]);
    let clients = preflight.aws.at(&at);
    let identity =
        preflight.aws.read(&at, "sts", "GetCallerIdentity", || clients.sts.get_caller_identity().send()).await?;
    let name = match of_arn(identity.arn().unwrap_or_default()) {
        Caller::User(arn) => return Ok(arn),
        Caller::Other(why) => return Err(Failure::new(Class::Refused, why)),
        Caller::Role(name) => name,
    };
    let question = preflight.aws.read(&at, "iam", "GetRole", || clients.iam.get_role().role_name(&name).send());
    match question.await {
        Ok(answer) => Ok(answer.role().map(|role| role.arn().to_owned()).unwrap_or_default()),
        // It is not allowed to read itself. Most roles have no path.
        Err(failure) if failure.class == Class::Denied => Ok(format!("arn:aws:iam::{}:role/{name}", preflight.account)),
        Err(failure) => Err(failure),
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>
fn of_arn(arn: &str) -> Caller {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    match resource.split_once('/') {
        Some(("user", _)) => Caller::User(arn.to_owned()),
        Some(("assumed-role", session)) => Caller::Role(session.split('/').next().unwrap_or_default().to_owned()),
        _ if resource == "root" => {
            Caller::Other("the caller is the account's root user, which IAM does not simulate".to_owned())
        }
        _ => Caller::Other(format!("IAM simulates users and roles, and the caller is {arn}")),
    }
}

/// What IAM says about each action of a batch on each of its resources.
async fn simulate(
    preflight: &Preflight<'_>,
    caller: &str,
    circumstances: &Circumstances<'_>,
    batch: &Batch,
) -> Result<Verdicts, Failure> {
    let actions: Vec<String> = batch.actions.iter().cloned().collect();
    let mut verdicts = Verdicts::new();
    for some in actions.chunks(AT_ONCE) {
        let resources: Vec<String> = batch.resources.iter().cloned().collect();
        verdicts.extend(question(preflight, caller, circumstances, some, resources).await?);
        // Some endpoints answer for the first resource only.
        let left = batch.resources.iter().filter(|resource| {
            some.first().is_some_and(|action| !verdicts.contains_key(&(action.clone(), (*resource).clone())))
        });
        let left: Vec<String> = left.cloned().collect();
        if left.len() < batch.resources.len() {
            let calls = left.into_iter().map(|one| question(preflight, caller, circumstances, some, vec![one]));
            verdicts.extend(try_join_all(calls).await?.into_iter().flatten());
        }
    }
    Ok(verdicts)
}

async fn question(
    preflight: &Preflight<'_>,
    caller: &str,
    (region, _, context): &Circumstances<'_>,
    actions: &[String],
    resources: Vec<String>,
) -> Result<Verdicts, Failure> {
    // IAM is global: the client of any Region reaches it.
    let at = Region::from(preflight.regions[0]);
    let iam = &preflight.aws.at(&at).iam;
    let entry = |key: &str, value: &str| {
        let is_bool = matches!(value, "true" | "false");
        let kind = if is_bool { ContextKeyTypeEnum::Boolean } else { ContextKeyTypeEnum::String };
        ContextEntry::builder().context_key_name(key).context_key_values(value).context_key_type(kind).build()
    };
    let mut entries = vec![
        entry("aws:RequestedRegion", region),
        entry("aws:SecureTransport", "true"),
        entry("kms:CallerAccount", preflight.account),
    ];
    entries.extend(context.iter().map(|(key, value)| entry(key, value)));
    let answer = preflight.aws.pages(&at, "iam", "SimulatePrincipalPolicy", || {
        iam.simulate_principal_policy()
            .policy_source_arn(caller)
            .set_action_names(Some(actions.to_vec()))
            .set_resource_arns(Some(resources.clone()))
            .set_context_entries(Some(entries.clone()))
            .into_paginator()
            .items()
            .send()
    });
    Ok(answer.await?.iter().flat_map(verdicts).collect())
}

/// The verdicts of a result: one for each resource if there are several, else one for the resource that it names.
fn verdicts(result: &EvaluationResult) -> Vec<((String, String), Verdict)> {
    let action = result.eval_action_name();
    let by_organization =
        result.organizations_decision_detail().is_some_and(|detail| !detail.allowed_by_organizations());
    let each = result.resource_specific_results().iter().map(|one| {
        let missing = [one.missing_context_values(), result.missing_context_values()].concat();
        let verdict = verdict(one.eval_resource_decision(), &missing, by_organization);
        ((action.to_owned(), one.eval_resource_name().to_owned()), verdict)
    });
    let mut all: Vec<_> = each.collect();
    if all.is_empty() {
        let verdict = verdict(result.eval_decision(), result.missing_context_values(), by_organization);
        all.push(((action.to_owned(), result.eval_resource_name().unwrap_or("*").to_owned()), verdict));
    }
    all
}

fn verdict(decision: &PolicyEvaluationDecisionType, missing: &[String], by_organization: bool) -> Verdict {
    match decision {
        PolicyEvaluationDecisionType::Allowed => Verdict::Allowed,
        _ if missing.is_empty() || by_organization => Verdict::Denied { by_organization },
        _ => Verdict::Depends(missing.iter().cloned().collect()),
    }
}

/// The refused actions, each with the resources on which it is refused.
type Refused<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Reports one problem per service, one note about what is needed later, and one finding about everything that depends on the
/// request.
fn judge(findings: &mut Findings, caller: &str, region: &str, judged: &[(&Ask, Weight, &Verdict)]) {
    let mut denied: BTreeMap<&str, (Refused<'_>, bool)> = BTreeMap::new();
    let (mut later, mut doubtful) = (Refused::new(), Refused::new());
    let mut unsure: BTreeSet<&str> = BTreeSet::new();
    let mut keys: BTreeSet<&str> = BTreeSet::new();
    for (ask, weight, verdict) in judged {
        let by_organization = match verdict {
            Verdict::Allowed => continue,
            Verdict::Depends(on) => {
                unsure.insert(&ask.action);
                keys.extend(on.iter().map(String::as_str));
                continue;
            }
            Verdict::Denied { by_organization } => *by_organization,
        };
        let refused = match weight {
            Weight::Doubtful => &mut doubtful,
            Weight::Later => &mut later,
            Weight::Now => {
                let (refused, organization) = denied.entry(service(&ask.action)).or_default();
                *organization |= by_organization;
                refused
            }
        };
        refused.entry(&ask.action).or_default().push(&ask.resource);
    }
    let is_allowed_elsewhere = |action: &str| {
        judged.iter().any(|(ask, weight, verdict)| {
            ask.action == action && *weight != Weight::Doubtful && **verdict == Verdict::Allowed
        })
    };
    let named = |refused: &Refused<'_>| {
        let names = refused.iter().map(|(action, resources)| {
            if is_allowed_elsewhere(action) {
                format!("{action} on {}", listed(resources))
            } else {
                (*action).to_owned()
            }
        });
        listed(&names.collect::<Vec<_>>())
    };
    for (service, (refused, by_organization)) in denied {
        let message = format!("{caller} may not {}", named(&refused));
        let help = if by_organization {
            "A policy of the organization denies at least one of them: an administrator of the organization has to allow them, in \
             addition to the account."
        } else {
            "Allow them in a policy of the caller, and in its permissions boundary if it has one. docs/real-aws.md says what drctl \
             needs."
        };
        findings.problems.push(Problem::new(About::Permission, Some(region), service, message, help.to_owned()));
    }
    if !later.is_empty() {
        let message = format!("{caller} may not {}: `drctl up` can create everything without it", named(&later));
        let help = "Later updates, and `drctl down`, need it: allow it before then.".to_owned();
        findings.notes.push(Problem::new(About::Permission, Some(region), SUBJECT, message, help));
    }
    if !doubtful.is_empty() {
        let why = format!("{} may be refused: AWS does not document which resource it checks for it", named(&doubtful));
        findings.unchecked(About::Permission, Some(region), SUBJECT, why);
    }
    if !unsure.is_empty() {
        let (unsure, keys): (Vec<&str>, Vec<&str>) = (unsure.into_iter().collect(), keys.into_iter().collect());
        let why = format!("{} depend on {}, which only the request itself has", listed(&unsure), listed(&keys));
        findings.unchecked(About::Permission, Some(region), SUBJECT, why);
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_iam::types::builders::EvaluationResultBuilder;
    use aws_sdk_iam::types::{OrganizationsDecisionDetail, ResourceSpecificResult};

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

    fn denied() -> Verdict {
        Verdict::Denied { by_organization: false }
    }

    fn depends() -> Verdict {
        Verdict::Depends(BTreeSet::from(["aws:RequestTag/team".to_owned()]))
    }

    #[test]
    fn what_depends_on_the_request_is_not_judged() {
        use PolicyEvaluationDecisionType::{Allowed, ExplicitDeny, ImplicitDeny};
        let of = |builder: EvaluationResultBuilder| {
            let all = verdicts(&builder.build().expect("a result"));
            let [(_, verdict)] = all.as_slice() else { panic!("one: {all:?}") };
            verdict.clone()
        };
        assert_eq!(of(result(Allowed).missing_context_values("aws:SourceIp")), Verdict::Allowed);
        assert_eq!(of(result(ImplicitDeny)), denied());
        assert_eq!(of(result(ImplicitDeny).missing_context_values("aws:RequestTag/team")), depends());
        let detail = OrganizationsDecisionDetail::builder().allowed_by_organizations(false).build();
        let organization =
            result(ExplicitDeny).missing_context_values("aws:SourceIp").organizations_decision_detail(detail);
        assert_eq!(of(organization), Verdict::Denied { by_organization: true });
    }

    #[test]
    fn each_resource_has_a_verdict_of_its_own() {
        use PolicyEvaluationDecisionType::{Allowed, ExplicitDeny};
        let one = |name: &str, decision| {
            let one = ResourceSpecificResult::builder().eval_resource_name(name).eval_resource_decision(decision);
            one.build().expect("a result")
        };
        let both = result(ExplicitDeny)
            .resource_specific_results(one("arn:a", Allowed))
            .resource_specific_results(one("arn:b", ExplicitDeny));
        let all: Verdicts = verdicts(&both.build().expect("a result")).into_iter().collect();
        let of = |name: &str| all[&("ec2:CreateVpc".to_owned(), name.to_owned())].clone();
        assert_eq!((of("arn:a"), of("arn:b")), (Verdict::Allowed, denied()));
    }

    fn ask(action: &str, resource: &str) -> Ask {
        Ask {
            region: "us-east-1".to_owned(),
            context: Vec::new(),
            action: action.to_owned(),
            resource: resource.to_owned(),
        }
    }

    #[test]
    fn missing_permissions_are_reported_service_by_service() {
        let judged = [
            (ask("ec2:CreateVpc", "*"), Weight::Now, denied()),
            (ask("ec2:DescribeVpcs", "*"), Weight::Now, denied()),
            (ask("iam:CreateRole", "arn:r"), Weight::Now, Verdict::Denied { by_organization: true }),
            (ask("kms:CreateKey", "*"), Weight::Now, depends()),
            (ask("sns:CreateTopic", "arn:t"), Weight::Now, Verdict::Allowed),
            (ask("sns:TagResource", "*"), Weight::Doubtful, denied()),
            (ask("rds:DeleteDBCluster", "arn:c"), Weight::Later, denied()),
        ];
        let judged: Vec<_> = judged.iter().map(|(ask, weight, verdict)| (ask, *weight, verdict)).collect();
        let mut findings = Findings::default();
        judge(&mut findings, "arn:aws:iam::1:user/kim", "us-east-1", &judged);
        let said: Vec<_> = findings.problems.iter().map(|p| (p.subject.as_str(), p.message.as_str())).collect();
        assert_eq!(
            said,
            [
                ("ec2", "arn:aws:iam::1:user/kim may not ec2:CreateVpc and ec2:DescribeVpcs"),
                ("iam", "arn:aws:iam::1:user/kim may not iam:CreateRole"),
            ]
        );
        assert!(findings.problems[1].help.contains("organization") && findings.is_denied());
        let [doubtful, depending] = findings.unchecked.as_slice() else { panic!("two: {findings:?}") };
        assert!(doubtful.why.starts_with("sns:TagResource may be refused"), "{}", doubtful.why);
        assert_eq!(depending.why, "kms:CreateKey depend on aws:RequestTag/team, which only the request itself has");
        let [later] = findings.notes.as_slice() else { panic!("one note: {findings:?}") };
        assert!(later.message.contains("rds:DeleteDBCluster"), "{}", later.message);
    }

    #[test]
    fn an_action_that_is_allowed_on_some_resources_is_reported_with_the_others() {
        let judged = [
            (ask("iam:PassRole", "arn:processor"), Weight::Now, Verdict::Allowed),
            (ask("iam:PassRole", "arn:flow-logs"), Weight::Now, denied()),
        ];
        let judged: Vec<_> = judged.iter().map(|(ask, weight, verdict)| (ask, *weight, verdict)).collect();
        let mut findings = Findings::default();
        judge(&mut findings, "kim", "us-east-1", &judged);
        let [problem] = findings.problems.as_slice() else { panic!("one: {findings:?}") };
        assert_eq!(problem.message, "kim may not iam:PassRole on arn:flow-logs");
    }

    #[test]
    fn a_batch_is_of_one_service_or_of_actions_without_resources() {
        let asks: BTreeMap<Ask, Weight> = [
            ask("ec2:CreateVpc", "arn:v"),
            ask("ec2:CreateSubnet", "arn:s"),
            ask("iam:CreateRole", "arn:r"),
            ask("ec2:DescribeVpcs", "*"),
            ask("kms:CreateKey", "*"),
        ]
        .map(|ask| (ask, Weight::Now))
        .into();
        let batches = batches(&asks);
        let sizes: Vec<_> = batches.values().map(|batch| (batch.actions.len(), batch.resources.len())).collect();
        assert_eq!(sizes, [(2, 1), (2, 2), (1, 1)]);
    }
}
