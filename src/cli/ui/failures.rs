//! Failures, told so that a tired operator can act on them; the same one is told once, however many resources it hit.

use super::Style;
use super::text::{clean, columns, list, plural, wrap};
use crate::engine::Failure;
use crate::state::Address;

/// One failure and everyone it hit.
pub(super) struct Shared<'a, T> {
    /// The first of them: the request id is its.
    pub failure: &'a Failure,
    /// Whom it hit.
    pub hit: Vec<T>,
}

/// The same failure is told once. Request ids differ from call to call and do not make another one.
pub(super) fn shared<'a, T>(failures: impl IntoIterator<Item = (T, &'a Failure)>) -> Vec<Shared<'a, T>> {
    let mut groups: Vec<Shared<'a, T>> = Vec::new();
    for (who, failure) in failures {
        let same = |group: &&mut Shared<'a, T>| {
            let other = group.failure;
            (failure.class, &failure.operation, &failure.code, &failure.message, &failure.help)
                == (other.class, &other.operation, &other.code, &other.message, &other.help)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.hit.push(who),
            None => groups.push(Shared { failure, hit: vec![who] }),
        }
    }
    groups
}

/// What happened, the request id, and what to do: each on lines of its own, `indent` columns in.
pub(super) fn lines(failure: &Failure, style: &Style, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut told = String::new();
    for part in [&failure.operation, &failure.code].into_iter().flatten() {
        told.push_str(&clean(part));
        told.push_str(": ");
    }
    told.push_str(&clean(&failure.message));
    lines.extend(hanging("", &told, style.width, indent));
    if let Some(id) = &failure.request_id {
        lines.extend(
            hanging("", &format!("request id {}", clean(id)), style.width, indent).iter().map(|line| style.dim(line)),
        );
    }
    if let Some(help) = &failure.help {
        lines.extend(help_lines(help, style, indent));
    }
    lines
}

/// `help: …`, what follows aligned beneath.
pub(super) fn help_lines(help: &str, style: &Style, indent: usize) -> Vec<String> {
    let label = "help: ";
    let mut lines = hanging(label, &clean(help), style.width, indent);
    if let Some(first) = lines.first_mut()
        && let Some(rest) = first.trim_start().strip_prefix(label)
    {
        *first = format!("{}{}{rest}", " ".repeat(indent), style.cyan(label));
    }
    lines
}

/// Text behind a label, its further lines aligned with its first.
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

/// `N resources (a, b, c, … and M more)`, as many as a line holds behind `before` columns.
pub(super) fn resources(addresses: &[&Address], style: &Style, before: usize) -> String {
    let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let count = plural(names.len(), "resource");
    let room = style.width.saturating_sub(before + columns(&count) + 3);
    format!("{count} ({})", list(&names, room))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::testing::{address, refused};

    #[test]
    fn what_happened_who_to_ask_and_what_to_do() {
        let style = Style::plain(80);
        let told = lines(&refused(), &style, 4);
        assert!(told[0].starts_with("    ec2:CreateVpc in us-east-1: VpcLimitExceeded: The maximum number"));
        assert!(told.contains(&"    request id 4f6e-11".to_owned()));
        assert!(told.iter().any(|line| line.starts_with("    help: Ask for a higher quota")));
        assert!(told.iter().all(|line| columns(line) <= 80));
    }

    #[test]
    fn one_failure_is_told_once_whatever_its_request_ids() {
        let (one, mut two) = (refused(), refused());
        two.request_id = Some("another".to_owned());
        let other = Failure { code: Some("Other".to_owned()), ..refused() };
        let groups = shared([(1, &one), (2, &two), (3, &other)]);
        assert_eq!(groups.iter().map(|group| group.hit.clone()).collect::<Vec<_>>(), [vec![1, 2], vec![3]]);
    }

    #[test]
    fn many_resources_are_counted_and_some_are_named() {
        let addresses = [address("primary/subnet/a"), address("primary/subnet/b"), address("primary/subnet/c")];
        let all: Vec<&Address> = addresses.iter().collect();
        assert_eq!(resources(&all[..1], &Style::plain(80), 0), "1 resource (primary/subnet/a)");
        assert_eq!(resources(&all, &Style::plain(80), 30), "3 resources (primary/subnet/a, … and 2 more)");
    }
}
