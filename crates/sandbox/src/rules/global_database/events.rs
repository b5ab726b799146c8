//! `DescribeEvents`: MiniStack's own events, and those of global databases. See
//! docs/aws-behaviour.md#global-database-events.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;

use super::parameter;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;
use crate::world::aurora::databases::GlobalDatabases;
use crate::world::aurora::events::Event;

/// Minutes of which events are shown if the call does not say, and the number of events in an answer.
const DURATION: &str = "60";
const MAX_RECORDS: &str = "100";

/// Adds the events of global databases.
pub(super) struct Events {
    databases: GlobalDatabases,
}

impl Events {
    pub(super) fn new(databases: &GlobalDatabases) -> Self {
        Self { databases: databases.clone() }
    }

    async fn describe(&self, call: &Call, next: Next<'_>) -> Result<Answer, Answer> {
        // The emulator refuses what makes no sense, so that only its answers have to be read.
        let mut all = emulators(call, next).await?;
        let selected = self.databases.events(&call.account, &call.region);
        all.extend(selected.iter().filter(|event| is_asked_for(event, call)).map(element));
        // Stable: what was recorded in the same moment stays in its order. The times are all written alike, in UTC.
        all.sort_by(|a, b| a.text_of("Date").cmp(&b.text_of("Date")));
        let marker = parameter(call, "Marker");
        let start = match marker {
            "" => 0,
            marker => marker.parse().ok().filter(|start| *start <= all.len()).ok_or_else(|| {
                Answer::client_error(call, "InvalidParameterValue", &format!("The marker {marker} is not valid."))
            })?,
        };
        let limit: usize = call.form().get("MaxRecords").unwrap_or(MAX_RECORDS).parse().unwrap_or(all.len());
        let end = all.len().min(start + limit);
        let mut result = vec![Element::with_children("Events", all[start..end].to_vec())];
        if end < all.len() {
            result.push(Element::with_text("Marker", &end.to_string()));
        }
        Ok(Answer::rds(&call.operation, result))
    }
}

/// All events of the emulator's that the call asks for.
async fn emulators(call: &Call, next: Next<'_>) -> Result<Vec<Element>, Answer> {
    let mut events = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let mut page = call.clone();
        let mut form = call.form().clone();
        form.retain(|name| name != "Marker");
        if let Some(marker) = &marker {
            form.set("Marker", marker);
        }
        page.forward_form(&form);
        let answer = next.run(&mut page).await;
        let root = match Element::parse(answer.body()) {
            Ok(root) if answer.is_success() => root,
            _ => return Err(answer),
        };
        events.extend(root.at(&["DescribeEventsResult", "Events", "Event"]).into_iter().cloned());
        marker = root.at(&["DescribeEventsResult", "Marker"]).first().map(|marker| marker.text().to_owned());
        if marker.is_none() {
            return Ok(events);
        }
    }
}

fn is_asked_for(event: &Event, call: &Call) -> bool {
    let form = call.form();
    let is = |name: &str, value: &str| form.get(name).is_none_or(|asked| asked.is_empty() || asked == value);
    let mut categories = form.pairs().iter().filter(|(name, _)| name.starts_with("EventCategories.")).peekable();
    let is_of_category =
        categories.peek().is_none() || categories.any(|(_, category)| event.categories.contains(&category.as_str()));
    let (start, end) = between(call);
    is("SourceIdentifier", &event.source)
        && is("SourceType", event.source_type)
        && is_of_category
        && (start..=end).contains(&event.at)
}

/// The time between which events are asked for. The emulator has refused what is not a time.
fn between(call: &Call) -> (Timestamp, Timestamp) {
    let now = Timestamp::now();
    // A time without a zone is in UTC.
    let time = |name: &str| {
        let text = parameter(call, name);
        text.parse::<Timestamp>().or_else(|_| format!("{text}Z").parse()).ok()
    };
    let minutes: u64 = call.form().get("Duration").unwrap_or(DURATION).parse().unwrap_or_default();
    let ago = now.checked_sub(Duration::from_secs(minutes * 60)).unwrap_or(Timestamp::MIN);
    (time("StartTime").unwrap_or(ago), time("EndTime").unwrap_or(now))
}

fn element(event: &Event) -> Element {
    let texts = [
        ("SourceIdentifier", event.source.as_str()),
        ("SourceType", event.source_type),
        ("SourceArn", &event.source_arn),
        ("Message", &event.message),
    ];
    let mut children: Vec<Element> = texts.into_iter().map(|(name, text)| Element::with_text(name, text)).collect();
    children.push(Element::with_text("Date", &event.at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()));
    let categories = event.categories.iter().map(|name| Element::with_text("EventCategory", name)).collect();
    children.push(Element::with_children("EventCategories", categories));
    Element::with_children("Event", children)
}

impl Rule for Events {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if !call.is("rds", "DescribeEvents") {
                return next.run(call).await;
            }
            self.describe(call, next).await.unwrap_or_else(|refusal| refusal)
        }
        .boxed()
    }

    /// The events are the databases', which are reset by the rule of the operations.
    fn reset(&self) {}
}
