//! Which stack, in which account and Regions: the head of every view.

use serde_json::{Value, json};

use super::Style;
use super::text::{clean, columns};

/// What is shown about the stack in every view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanContext {
    /// The stack and its environment, e.g. `payment-dr-dev`.
    pub title: String,
    /// The AWS account.
    pub account: String,
    /// The primary Region.
    pub primary_region: String,
    /// The secondary Region.
    pub secondary_region: String,
    /// The endpoint in place of AWS, if any.
    pub endpoint: Option<String>,
    /// Whether creations are shown with all their properties.
    pub verbose: bool,
}

impl PlanContext {
    /// The stack and where it is: one line if it fits, and another one for an endpoint that is not AWS.
    #[must_use]
    pub fn header(&self, style: &Style) -> Vec<String> {
        let Self { account, primary_region: primary, secondary_region: secondary, .. } = self;
        let title = clean(&self.title);
        let place = format!(" · account {account} · primary {primary}, secondary {secondary}");
        let mut lines = if columns(&title) + columns(&place) <= style.width {
            vec![format!("{}{}", style.bold(&title), style.dim(&place))]
        } else {
            let place = [format!("account {account}"), format!("primary {primary}, secondary {secondary}")];
            std::iter::once(style.bold(&title))
                .chain(place.iter().map(|line| style.dim(&format!("  {line}"))))
                .collect()
        };
        if let Some(endpoint) = &self.endpoint {
            lines.push(style.yellow(&format!("  endpoint {}, not AWS", clean(endpoint))));
        }
        lines
    }

    /// The same as JSON: an object, to which a view adds its own fields.
    pub(super) fn to_json(&self, summary: &Value) -> Value {
        json!({
            "version": 1,
            "format": 1,
            "title": self.title,
            "account": self.account,
            "regions": { "primary": self.primary_region, "secondary": self.secondary_region },
            "endpoint": self.endpoint,
            "summary": summary,
        })
    }
}
