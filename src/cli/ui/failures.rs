//! Failures, shown so that a tired operator can act on them. Failures with the same cause are shown once, however many resources,
//! services, and calls they concern.

use super::Style;
use super::text::{clean, columns, list, plural, wrap};
use crate::cli::hint;
use drctl_engine::state::Address;
use drctl_engine::{Class, Failure, Plan, Silent};

/// The codes with which AWS says that the caller is known but not allowed to make this call.
const NOT_PERMITTED: [&str; 3] = ["UnauthorizedOperation", "AccessDenied", "AccessDeniedException"];

/// What failures with the same remedy have in common, whatever the request, resource, or service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// Credentials with which no call succeeds. The help says what is wrong with them.
    Credentials(String),
    /// An action that is not permitted, in any Region.
    Permission {
        /// The action, e.g. `ec2:CreateVpc`.
        action: String,
        /// What to do.
        help: Option<String>,
    },
    /// A Region or a service that does not answer.
    Silent(Silent),
    /// Any other cause: the same call with the same answer.
    Answer(Box<Failure>),
}

impl Cause {
    /// The cause of a failure.
    pub(super) fn of(failure: &Failure) -> Self {
        if let Some(silent) = &failure.silent {
            return Self::Silent(silent.clone());
        }
        let operation = failure.operation.as_deref();
        let action = operation.map(|operation| operation.split(" in ").next().unwrap_or(operation).to_owned());
        let code = failure.code.as_deref().unwrap_or_default();
        match (failure.class, action, failure.help.clone()) {
            (Class::Denied, Some(action), help) if NOT_PERMITTED.contains(&code) => Self::Permission { action, help },
            (Class::Denied, _, Some(help)) => Self::Credentials(help),
            _ => Self::Answer(Box::new(Failure { request_id: None, ..failure.clone() })),
        }
    }
}

/// Failures with the same cause, and what they concern.
pub(super) struct FailureGroup<'a, T> {
    /// The first of the failures: its text explains the cause.
    pub failure: &'a Failure,
    /// All of the failures.
    all: Vec<&'a Failure>,
    /// What failed.
    pub affected: Vec<T>,
}

/// Groups failures by their causes.
pub(super) fn by_cause<'a, T>(failures: impl IntoIterator<Item = (T, &'a Failure)>) -> Vec<FailureGroup<'a, T>> {
    grouped(failures, Cause::of)
}

/// Groups failures of earlier runs, whose class is not recorded, by the answer: the same answer to any call has one cause, unless
/// the call is not permitted.
pub(super) fn by_answer<'a, T>(failures: impl IntoIterator<Item = (T, &'a Failure)>) -> Vec<FailureGroup<'a, T>> {
    grouped(failures, |failure| {
        let code = failure.code.as_deref().unwrap_or_default();
        if NOT_PERMITTED.contains(&code) {
            return Cause::of(&Failure { class: Class::Denied, ..failure.clone() });
        }
        Cause::Answer(Box::new(Failure { operation: None, request_id: None, ..failure.clone() }))
    })
}

fn grouped<'a, T>(
    failures: impl IntoIterator<Item = (T, &'a Failure)>,
    cause: impl Fn(&Failure) -> Cause,
) -> Vec<FailureGroup<'a, T>> {
    let mut groups: Vec<(Cause, FailureGroup<'a, T>)> = Vec::new();
    for (affected, failure) in failures {
        let cause = cause(failure);
        match groups.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, group)) => {
                group.all.push(failure);
                group.affected.push(affected);
            }
            None => groups.push((cause, FailureGroup { failure, all: vec![failure], affected: vec![affected] })),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

impl<T> FailureGroup<'_, T> {
    /// What happened, in which calls, their request ids, and what to do, each on lines of its own, indented by `indent` columns.
    pub(super) fn lines(&self, style: &Style, indent: usize) -> Vec<String> {
        let Failure { operation, code, message, help, .. } = self.failure;
        let operations = distinct(self.all.iter().filter_map(|failure| failure.operation.as_deref()));
        let mut text = String::new();
        // The call precedes the answer only if there is just one.
        for part in [operation.as_ref().filter(|_| operations.len() == 1), code.as_ref()].into_iter().flatten() {
            text.push_str(&clean(part));
            text.push_str(": ");
        }
        text.push_str(&clean(message));
        let mut lines = hanging("", &text, style.width, indent);
        let room = style.width.saturating_sub(indent);
        let mut dim = |text: String| {
            lines.extend(hanging("", &text, style.width, indent).iter().map(|line| style.dim(line)));
        };
        if operations.len() > 1 {
            let before = "calls: ";
            dim(format!("{before}{}", list(&operations, room.saturating_sub(before.len()))));
        }
        let ids = distinct(self.all.iter().filter_map(|failure| failure.request_id.as_deref()));
        if !ids.is_empty() {
            let before = if ids.len() == 1 { "request id " } else { "request ids " };
            dim(format!("{before}{}", list(&ids, room.saturating_sub(before.len()))));
        }
        if let Some(help) = help {
            lines.extend(help_lines(help, style, indent));
        }
        lines
    }
}

/// Why resources of a plan could not be read, a line for each cause: who did not answer, or what AWS said, and how many resources
/// that concerns.
#[must_use]
pub fn unread(plan: &Plan) -> Vec<String> {
    let groups = by_cause(plan.unknown());
    let line = |group: &FailureGroup<'_, _>| {
        let Failure { silent, operation, code, message, .. } = group.failure;
        // Whose call it was does not matter, if nobody answers.
        let before = [operation, code].into_iter().flatten().filter(|_| silent.is_none());
        let parts: Vec<String> = before.chain([message]).map(|part| clean(part)).collect();
        format!("- {} ({})", parts.join(": "), plural(group.affected.len(), "resource"))
    };
    groups.iter().map(line).collect()
}

/// The texts without control characters and repetitions, in their order.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in texts.map(clean) {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// What happened, the request id, and what to do, each on lines of its own, indented by `indent` columns.
pub(super) fn lines(failure: &Failure, style: &Style, indent: usize) -> Vec<String> {
    FailureGroup { failure, all: vec![failure], affected: vec![()] }.lines(style, indent)
}

/// `help: …` with its commands completed. Further lines are aligned with the first.
pub(super) fn help_lines(help: &str, style: &Style, indent: usize) -> Vec<String> {
    let label = "help: ";
    let mut lines = hanging(label, &clean(&hint::complete(help)), style.width, indent);
    if let Some(first) = lines.first_mut()
        && let Some(rest) = first.trim_start().strip_prefix(label)
    {
        *first = format!("{}{}{rest}", " ".repeat(indent), style.cyan(label));
    }
    lines
}

/// Text after a label. Further lines are aligned with the first.
pub(super) fn hanging(label: &str, text: &str, width: usize, indent: usize) -> Vec<String> {
    let deep = indent + columns(label);
    wrap(text, width.saturating_sub(deep).max(20))
        .into_iter()
        .enumerate()
        .map(|(number, line)| {
            if number == 0 {
                format!("{}{label}{line}", " ".repeat(indent))
            } else {
                format!("{}{line}", " ".repeat(deep))
            }
        })
        .collect()
}

/// `N resources (a, b, c, … and M more)`: as many as fit on a line after `before` columns.
pub(super) fn resources(addresses: &[&Address], style: &Style, before: usize) -> String {
    let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let count = plural(names.len(), "resource");
    let room = style.width.saturating_sub(before + columns(&count) + 3);
    format!("{count} ({})", list(&names, room))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::ui::testing::{address, item, plan, refused};
    use drctl_engine::{Action, Item};

    #[test]
    fn a_failure_shows_what_happened_its_request_id_and_what_to_do() {
        let style = Style::plain(80);
        let shown = lines(&refused(), &style, 4);
        assert!(shown[0].starts_with("    ec2:CreateVpc in us-east-1: VpcLimitExceeded: The maximum number"));
        assert!(shown.contains(&"    request id 4f6e-11".to_owned()));
        assert!(shown.iter().any(|line| line.starts_with("    help: Ask for a higher quota")));
        assert!(shown.iter().all(|line| columns(line) <= 80));
    }

    #[test]
    fn failures_that_differ_only_in_their_request_ids_have_one_cause() {
        let (one, mut two) = (refused(), refused());
        two.request_id = Some("another".to_owned());
        let other = Failure { code: Some("Other".to_owned()), ..refused() };
        let groups = by_cause([(1, &one), (2, &two), (3, &other)]);
        assert_eq!(groups.iter().map(|group| group.affected.clone()).collect::<Vec<_>>(), [vec![1, 2], vec![3]]);
    }

    fn denied(service: &str, region: &str, code: &str, id: &str) -> Failure {
        let help = match code {
            "AccessDenied" => "Grant the action named above.",
            _ => "The credentials have expired. Renew them (e.g. `aws sso login`) and run the same command again.",
        };
        Failure {
            operation: Some(format!("{service} in {region}")),
            code: Some(code.to_owned()),
            request_id: Some(id.to_owned()),
            ..Failure::new(Class::Denied, format!("said by {service}")).help(help)
        }
    }

    #[test]
    fn expired_credentials_are_one_cause_in_all_calls() {
        let failures = [
            denied("ec2:CreateVpc", "us-east-1", "RequestExpired", "id-1"),
            denied("iam:CreateRole", "us-east-1", "ExpiredToken", "id-2"),
            denied("dynamodb:CreateTable", "us-east-2", "ExpiredTokenException", "id-3"),
        ];
        let groups = by_cause(failures.iter().enumerate());
        assert_eq!(groups.iter().map(|group| group.affected.clone()).collect::<Vec<_>>(), [vec![0, 1, 2]]);
        let shown = groups[0].lines(&Style::plain(80), 4);
        let text = shown.join("\n");
        assert!(text.starts_with("    RequestExpired: said by ec2:CreateVpc\n"), "{text}");
        assert!(
            text.contains("\n    calls: ec2:CreateVpc in us-east-1, iam:CreateRole in us-east-1, … and 1 more\n"),
            "{text}"
        );
        assert!(text.contains("\n    request ids id-1, id-2, id-3\n"), "{text}");
        assert_eq!(text.matches("help: ").count(), 1, "{text}");
        assert!(shown.iter().all(|line| columns(line) <= 80), "{text}");
    }

    #[test]
    fn each_action_that_is_not_permitted_is_a_cause() {
        let failures = [
            denied("ec2:CreateVpc", "us-east-1", "AccessDenied", "id-1"),
            denied("ec2:CreateVpc", "us-east-2", "AccessDenied", "id-2"),
            denied("iam:CreateRole", "us-east-1", "AccessDenied", "id-3"),
        ];
        let groups = by_cause(failures.iter().enumerate());
        assert_eq!(groups.iter().map(|group| group.affected.clone()).collect::<Vec<_>>(), [vec![0, 1], vec![2]]);
    }

    #[test]
    fn whoever_kept_resources_from_being_read_is_named_with_how_many() {
        let item = |at: &str, failure: Failure| Item { failure: Some(failure), ..item(at, Action::Unknown) };
        let silent = |who: &str, operation: &str| Failure {
            operation: Some(operation.to_owned()),
            ..Failure::silence(&who.into(), Duration::from_secs(3))
        };
        let route_53 = Failure {
            silent: Some(Silent::Service("Route 53".to_owned())),
            ..Failure::new(Class::TimedOut, "Route 53 did not answer within 3 s")
        };
        // What comes first is not all.
        let plan = plan(vec![
            item("global/hosted_zone/main", route_53),
            item("primary/vpc/main", silent("us-east-1", "ec2:DescribeVpcs in us-east-1")),
            item("primary/alarm/errors", silent("us-east-1", "cloudwatch:DescribeAlarms in us-east-1")),
            item("secondary/vpc/main", refused()),
        ]);
        let lines = unread(&plan);
        let silent = [
            "- Route 53 did not answer within 3 s (1 resource)",
            "- us-east-1 did not answer within 3 s (2 resources)",
        ];
        assert_eq!(lines[..2], silent);
        assert!(lines.len() == 3 && lines[2].ends_with(" (1 resource)"), "{lines:?}");
    }

    #[test]
    fn a_region_in_which_nothing_answers_is_one_cause() {
        let silent = |service: &str, region: &str| Failure {
            operation: Some(format!("{service}:Describe in {region}")),
            ..Failure::silence(&region.into(), Duration::from_secs(4))
        };
        let refused = Failure { class: Class::Unreachable, ..silent("sns", "us-east-1") };
        let failures = [silent("ec2", "us-east-1"), silent("rds", "us-east-1"), silent("ec2", "us-east-2"), refused];
        let groups = by_cause(failures.iter().enumerate());
        assert_eq!(groups.iter().map(|group| group.affected.clone()).collect::<Vec<_>>(), [vec![0, 1, 3], vec![2]]);
        let text = groups[0].lines(&Style::plain(80), 4).join("\n");
        assert!(
            text.starts_with("    us-east-1 did not answer within 4 s\n    calls: ec2:Describe in us-east-1, "),
            "{text}"
        );
    }

    #[test]
    fn many_resources_are_counted_and_some_are_named() {
        let addresses = [address("primary/subnet/a"), address("primary/subnet/b"), address("primary/subnet/c")];
        let all: Vec<&Address> = addresses.iter().collect();
        assert_eq!(resources(&all[..1], &Style::plain(80), 0), "1 resource (primary/subnet/a)");
        assert_eq!(resources(&all, &Style::plain(80), 30), "3 resources (primary/subnet/a, … and 2 more)");
    }
}
