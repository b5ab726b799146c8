//! Views: plans, progress, summaries, status, as text and as JSON. Everything here returns text; only `progress` draws.

mod background;
mod clock;
mod context;
mod events;
mod failures;
pub mod loss;
pub mod orphans;
pub mod plan;
pub mod preflight;
pub mod progress;
mod progress_model;
pub mod recover;
mod severity;
#[cfg(test)]
mod snapshots;
pub mod status;
pub mod summary;
#[cfg(test)]
pub(super) mod testing;
pub mod text;
pub mod timeline;
pub mod timeline_html;
mod values;
mod verdict;

use std::env;

use console::Term;

use drctl_engine::Action;
use drctl_engine::state::Role;

pub use events::JsonEvents;
pub use failures::unread;
pub use plan::PlanContext;
pub use progress::Progress;
pub use status::Health;
pub use text::{duration, plural};

/// The width at which text is wrapped if there is no terminal and `COLUMNS` is not set.
const NO_TERMINAL: usize = 100;
/// The least width. On a narrower terminal nothing is readable, and the terminal may as well break the lines.
const NARROWEST: usize = 60;

/// The style of text: with or without colours, and how wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether there are colours.
    pub color: bool,
    /// How many columns a line may take.
    pub width: usize,
    /// Whether text that is too long is cut. This happens only on a terminal: in a file or a pipe, text has to be complete.
    pub cuts: bool,
}

impl Style {
    /// The style for standard output.
    #[must_use]
    pub fn detect(no_color: bool) -> Self {
        Self::of(&Term::stdout(), no_color)
    }

    /// The style for standard error, where progress is shown.
    #[must_use]
    pub fn detect_stderr(no_color: bool) -> Self {
        Self::of(&Term::stderr(), no_color)
    }

    /// A style without colours, of this width.
    #[must_use]
    pub fn plain(width: usize) -> Self {
        Self { color: false, width: width.max(NARROWEST), cuts: true }
    }

    fn of(term: &Term, no_color: bool) -> Self {
        // https://no-color.org: present and not empty, regardless of its value.
        let refused = no_color || env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || console::is_dumb();
        let wanted = || env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
        let width = match term.size_checked().filter(|_| term.is_term()) {
            Some((_, columns)) => columns.into(),
            None => wanted().unwrap_or(NO_TERMINAL),
        };
        Self { color: term.is_term() && !refused, width: width.max(NARROWEST), cuts: term.is_term() }
    }

    /// The same style, but nothing is cut.
    #[must_use]
    pub fn uncut(self) -> Self {
        Self { cuts: false, ..self }
    }

    /// The text in at most `max` columns, if this style cuts.
    #[must_use]
    pub fn fit(&self, text: &str, max: usize) -> String {
        if self.cuts { text::fit(text, max) } else { text.to_owned() }
    }

    /// The same style without colours.
    #[must_use]
    pub fn colorless(self) -> Self {
        Self { color: false, ..self }
    }

    /// The same style with another width, because terminals are resized.
    #[must_use]
    pub fn resized(self, width: usize) -> Self {
        Self { width: width.max(NARROWEST), ..self }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// For headings and for text that must not be overlooked.
    #[must_use]
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// For less important text.
    #[must_use]
    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// For creations and for what is in order.
    #[must_use]
    pub fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// For changes and warnings.
    #[must_use]
    pub fn yellow(&self, text: &str) -> String {
        self.paint("33", text)
    }

    /// For deletions and failures.
    #[must_use]
    pub fn red(&self, text: &str) -> String {
        self.paint("31", text)
    }

    /// For notes.
    #[must_use]
    pub fn cyan(&self, text: &str) -> String {
        self.paint("36", text)
    }

    /// The text in the colour of an action.
    #[must_use]
    pub fn action(&self, action: Action, text: &str) -> String {
        match action {
            Action::None => text.to_owned(),
            Action::Record => self.cyan(text),
            Action::Create => self.green(text),
            Action::Update | Action::Unknown => self.yellow(text),
            Action::Replace | Action::Delete | Action::Refused => self.red(text),
        }
    }
}

/// Terraform's symbol for an action. Terraform has no equivalent of `=`, `!`, and `?`.
#[must_use]
pub fn symbol(action: Action) -> &'static str {
    match action {
        Action::None => " ",
        Action::Record => "=",
        Action::Create => "+",
        Action::Update => "~",
        Action::Replace => "-/+",
        Action::Delete => "-",
        Action::Refused => "!",
        Action::Unknown => "?",
    }
}

/// The verb for an action, as in "create failed".
#[must_use]
pub fn verb(action: Action) -> &'static str {
    match action {
        Action::None | Action::Unknown | Action::Refused => "read",
        Action::Record => "record",
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
    }
}

/// The word for an action in progress, as in "creating 3s".
#[must_use]
pub fn doing(action: Action) -> &'static str {
    match action {
        Action::None | Action::Unknown | Action::Refused => "reading",
        Action::Record => "recording",
        Action::Create => "creating",
        Action::Update => "updating",
        Action::Replace => "replacing",
        Action::Delete => "deleting",
    }
}

/// The word for an action that is done, as in "created in 3s".
#[must_use]
pub fn done(action: Action) -> &'static str {
    match action {
        Action::None | Action::Unknown | Action::Refused => "read",
        Action::Record => "recorded",
        Action::Create => "created",
        Action::Update => "updated",
        Action::Replace => "replaced",
        Action::Delete => "deleted",
    }
}

/// The heading of a role's resources: `primary · us-east-1`, `global`.
fn heading(role: Role, region: &str) -> String {
    match role {
        Role::Global => role.to_string(),
        Role::Primary | Role::Secondary => format!("{role} · {}", text::clean(region)),
    }
}

/// Items grouped by role and Region: the primary, the secondary, then the global ones, as in every view. The order within a
/// group is kept.
///
/// Global items have no Region in their heading, since it does not matter where their service is called.
fn by_role<T>(items: impl IntoIterator<Item = T>, of: impl Fn(&T) -> (Role, String)) -> Vec<((Role, String), Vec<T>)> {
    let mut groups: Vec<((Role, String), Vec<T>)> = Vec::new();
    for item in items {
        let (role, region) = of(&item);
        let key = (role, if role == Role::Global { String::new() } else { region });
        match groups.iter_mut().find(|(group, _)| *group == key) {
            Some((_, members)) => members.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups.sort_by_key(|((role, _), _)| *role);
    groups
}

/// The lines as one text that ends with a line break.
fn joined(lines: &[String]) -> String {
    let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_coloured_only_if_wanted() {
        let plain = Style::plain(80);
        assert_eq!(plain.red("x"), "x");
        let colourful = Style { color: true, ..Style::plain(80) };
        assert_eq!(colourful.red("x"), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(colourful.bold(""), "");
        assert_eq!(text::columns(&colourful.action(Action::Create, "+")), 1);
    }

    #[test]
    fn a_terminal_that_is_too_narrow_counts_as_wider() {
        assert_eq!(Style::plain(10).width, NARROWEST);
        assert_eq!(Style::plain(80).resized(140).width, 140);
    }

    #[test]
    fn the_primary_comes_first_and_global_items_last() {
        let items = [
            (Role::Global, "us-east-1"),
            (Role::Secondary, "us-east-2"),
            (Role::Primary, "us-east-1"),
            (Role::Global, "us-east-2"),
        ];
        let groups = by_role(items, |(role, region)| (*role, (*region).to_owned()));
        let seen: Vec<_> =
            groups.iter().map(|((role, region), members)| (heading(*role, region), members.len())).collect();
        let expected = [("primary · us-east-1", 1), ("secondary · us-east-2", 1), ("global", 2)];
        assert_eq!(seen, expected.map(|(heading, count)| (heading.to_owned(), count)));
        assert_eq!(Style::plain(60).uncut().fit("whole", 2), "whole");
        assert_eq!(Style::plain(60).fit("whole", 2), "w…");
    }
}
