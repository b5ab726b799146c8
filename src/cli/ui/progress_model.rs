//! The progress of a run, lane by lane. Knows events and the time, but no terminal.

use std::collections::HashMap;
use std::time::Duration;

use super::clock::WallClock;
use super::failures::{Cause, hanging, help_lines};
use super::text::{about, clean, columns, duration, elapsed, fit, pad, plural};
use super::{Style, doing, done, verb};
use crate::cli::hint;
use crate::simulate::{Forecast, scaled};
use drctl_engine::state::{Address, Role};
use drctl_engine::{Action, Event, Plan};

/// Addresses of rows are aligned up to this many columns.
const ALIGNED: usize = 36;
/// A shorter time left is over before it has been read.
const WORTH_SHOWING: Duration = Duration::from_secs(5);

/// The progress of one role. Each Region has a bar of its own.
struct Lane {
    role: Role,
    region: String,
    total: usize,
    done: usize,
    failed: usize,
    skipped: usize,
    /// When its last step ended, if all have.
    ended: Option<Duration>,
}

/// A step in progress.
struct Active {
    since: Duration,
    action: Action,
    expected: Duration,
    /// What it waits for as of its last event, in AWS's words.
    on: Option<String>,
    /// Whether there was a note about it.
    is_noted: bool,
}

/// The state of a run. Times are counted from its beginning.
pub(super) struct ProgressModel {
    lanes: Vec<Lane>,
    active: HashMap<Address, Active>,
    forecast: Forecast,
    clock: WallClock,
    scale: f64,
    interrupted: bool,
    /// The causes of failures that have been explained already.
    causes: Vec<Cause>,
}

impl ProgressModel {
    /// Counts the steps of a plan and forecasts how long they take. Expected durations are divided by `scale`.
    pub fn new(plan: &Plan, scale: f64, clock: WallClock) -> Self {
        let mut lanes: Vec<Lane> = Vec::new();
        for item in &plan.items {
            // A replacement is two steps: a deletion and a creation.
            let steps = match item.action {
                Action::None => continue,
                Action::Replace => 2,
                _ => 1,
            };
            let role = item.address.role();
            if let Some(lane) = lanes.iter_mut().find(|lane| lane.role == role) {
                lane.total += steps;
            } else {
                let region = if role == Role::Global { String::new() } else { clean(&item.region) };
                lanes.push(Lane { role, region, total: steps, done: 0, failed: 0, skipped: 0, ended: None });
            }
        }
        lanes.sort_by_key(|lane| lane.role);
        let forecast = Forecast::new(plan, scale);
        Self { lanes, active: HashMap::new(), forecast, clock, scale, interrupted: false, causes: Vec::new() }
    }

    /// Handles one event. Returns the lines to print for it, above whatever is drawn.
    ///
    /// `rows` says whether rows are drawn. If they are, what a row shows for a while needs no line.
    pub fn take(&mut self, event: &Event, now: Duration, style: &Style, rows: bool) -> Vec<String> {
        match event {
            Event::Started { address, action, expected, .. } => {
                let expected = scaled(*expected, self.scale);
                self.forecast.began(address, *action, now);
                let active = Active { since: now, action: *action, expected, on: None, is_noted: false };
                self.active.insert(address.clone(), active);
                Vec::new()
            }
            Event::Waiting { address, on } => {
                self.waits(address, awaited(clean(on)));
                Vec::new()
            }
            Event::Retrying { address, failure, delay } => {
                let why = clean(failure.code.as_deref().unwrap_or(&failure.message));
                self.waits(address, format!("retrying ({why})"));
                if rows {
                    return Vec::new();
                }
                hanging("· ", &format!("{address}: {why}, retrying in {}", duration(*delay)), style.width, 0)
            }
            Event::Note { address, message } => {
                if let Some(active) = self.active.get_mut(address) {
                    active.is_noted = true;
                }
                let text = format!("{address}: {}", clean(&hint::complete(message)));
                hanging("· ", &text, style.width, 0).iter().map(|line| style.dim(line)).collect()
            }
            Event::Notice { message } => {
                let text = clean(&hint::complete(message));
                hanging("! ", &text, style.width, 0).iter().map(|line| style.yellow(line)).collect()
            }
            Event::Done { address, action, id, restored, took } => {
                let is_noted = self.active.get(address).is_some_and(|active| active.is_noted);
                self.ended(address, *action, now, |lane| lane.done += 1);
                // A note about a deletion says why the resource still exists: it is kept, or only AWS can delete it.
                if is_noted && *action == Action::Delete {
                    return Vec::new();
                }
                let id = id.as_deref().map(|id| format!(" ({})", clean(id))).unwrap_or_default();
                let text =
                    format!("{address} {} in {}", if *restored { "restored" } else { done(*action) }, duration(*took));
                // If the line would wrap, the id is left out: `drctl state list` has it.
                let fits = !rows || columns(&text) + columns(&id) + 2 <= style.width;
                vec![format!("{} {text}{}", style.green("✓"), if fits { style.dim(&id) } else { String::new() })]
            }
            Event::Failed { address, action, failure, took } => {
                self.ended(address, *action, now, |lane| lane.failed += 1);
                let cause = Cause::of(failure);
                // A known cause is not explained again: expired credentials, for example, fail every step in progress.
                let is_known = self.causes.contains(&cause);
                let why = if is_known {
                    format!("{}, as before", clean(failure.code.as_deref().unwrap_or(&failure.message)))
                } else {
                    self.causes.push(cause);
                    clean(&failure.to_string())
                };
                let text = format!("{address} {} failed after {}: {why}", verb(*action), duration(*took));
                let mut lines: Vec<String> =
                    hanging("✗ ", &text, style.width, 0).iter().map(|line| style.red(line)).collect();
                if let Some(help) = failure.help.as_ref().filter(|_| !is_known) {
                    lines.extend(help_lines(help, style, 2));
                }
                lines
            }
            Event::Skipped { address, because } => {
                self.forecast.skipped(address, now);
                self.left(address, now, |lane| lane.skipped += 1);
                vec![style.dim(&format!("- {address} skipped because of {because}"))]
            }
            Event::Interrupted { at_once, in_flight } => {
                self.interrupted = true;
                let text = self.interruption(*at_once, *in_flight, now);
                hanging("", &text, style.width, 0).iter().map(|line| style.yellow(line)).collect()
            }
        }
    }

    /// What a signal means for the steps in flight. They are named, because AWS continues with each of them.
    fn interruption(&self, at_once: bool, in_flight: usize, now: Duration) -> String {
        let steps = plural(in_flight, "step");
        let names: Vec<String> =
            self.in_progress().map(|(address, active)| format!("{address} ({})", active.text(now, None))).collect();
        let names = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
        if at_once {
            format!(
                "Stopped immediately with {steps} in flight{names}. Their intents are recorded: the next run resolves them first."
            )
        } else if in_flight == 0 {
            "Interrupted. No call is in flight; nothing new will start.".to_owned()
        } else {
            format!(
                "Interrupted. Finishing {steps} already in flight{names}; nothing new will start. \
                 Press Ctrl-C again to stop immediately."
            )
        }
    }

    fn waits(&mut self, address: &Address, on: String) {
        if let Some(active) = self.active.get_mut(address) {
            active.on = Some(on);
        }
    }

    fn ended(&mut self, address: &Address, action: Action, now: Duration, count: impl FnOnce(&mut Lane)) {
        self.forecast.ended(address, action, now);
        self.left(address, now, count);
    }

    fn left(&mut self, address: &Address, now: Duration, count: impl FnOnce(&mut Lane)) {
        self.active.remove(address);
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.role == address.role()) {
            count(lane);
            if lane.ended() >= lane.total {
                lane.ended = Some(now);
            }
        }
    }

    /// The steps in progress, the longest first.
    fn in_progress(&self) -> impl Iterator<Item = (&Address, &Active)> {
        let mut in_progress: Vec<(&Address, &Active)> = self.active.iter().collect();
        in_progress.sort_by(|(a, one), (b, other)| one.since.cmp(&other.since).then_with(|| a.cmp(b)));
        in_progress.into_iter()
    }

    /// The whole picture: each lane's bar with at most `rows` lines below it, and when the run will be over.
    pub fn picture(&self, now: Duration, style: &Style, rows: usize) -> Vec<String> {
        let mut lines: Vec<String> =
            (0..self.lanes.len()).flat_map(|number| self.lane(number, now, style, rows)).collect();
        lines.extend(self.time_left(now).map(|text| style.dim(&style.fit(&text, style.width))));
        lines
    }

    /// The least number of lines that the picture has.
    pub fn min_lines(&self) -> usize {
        self.lanes.len() + 1
    }

    /// The number of lanes.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// `about 19 min left (until 03:41)`; `None` if it is not known or too short.
    fn time_left(&self, now: Duration) -> Option<String> {
        if self.interrupted || self.lanes.iter().all(|lane| lane.ended.is_some()) {
            return None;
        }
        let end = self.forecast.end(now);
        let left = end.saturating_sub(now);
        (left >= WORTH_SHOWING).then(|| format!("{} left (until {})", about(left), self.clock.minute(end)))
    }

    /// A lane's bar, and below it at most `rows` of its steps in progress, the longest first; or else what the lane waits for.
    fn lane(&self, number: usize, now: Duration, style: &Style, rows: usize) -> Vec<String> {
        let Some(lane) = self.lanes.get(number) else { return Vec::new() };
        let mut lines = vec![self.header(lane, now, style)];
        let in_progress: Vec<(&Address, &Active)> =
            self.in_progress().filter(|(address, _)| address.role() == lane.role).collect();
        if in_progress.is_empty() && rows > 0 {
            lines.extend(self.waiting(lane, now).map(|text| style.dim(&style.fit(&text, style.width))));
        }
        let counted = rows > 1 && in_progress.len() > rows;
        let shown = if counted { rows - 1 } else { rows };
        let name = |address: &Address| format!("{}/{}", address.kind(), address.name());
        let seen = &in_progress[..shown.min(in_progress.len())];
        let aligned = seen.iter().map(|(address, _)| columns(&name(address))).max().unwrap_or_default().min(ALIGNED);
        for (address, active) in seen {
            let name = pad(&name(address), aligned);
            let text = active.text(now, Some(style.width.saturating_sub(columns(&name) + 6)));
            lines.push(style.fit(&format!("    {name}  {text}"), style.width));
        }
        if counted {
            lines.push(style.dim(&format!("    … and {} more", in_progress.len() - shown)));
        }
        lines
    }

    /// What a lane that has no step in progress waits for, if it is not over.
    fn waiting(&self, lane: &Lane, now: Duration) -> Option<String> {
        if self.interrupted || lane.ended.is_some() {
            return None;
        }
        let (address, end) = self.forecast.holds_up(lane.role, now)?;
        let left = end.saturating_sub(now);
        let more = if left >= WORTH_SHOWING { format!(", {} more", about(left)) } else { String::new() };
        Some(format!("    waiting for {address}{more}"))
    }

    fn header(&self, lane: &Lane, now: Duration, style: &Style) -> String {
        let places = self.lanes.iter().map(|lane| columns(&lane.label())).max().unwrap_or_default();
        let ended = lane.ended();
        let mut tail = format!(" {ended}/{}  {}", lane.total, elapsed(lane.ended.unwrap_or(now)));
        for (count, what) in [(lane.failed, "failed"), (lane.skipped, "skipped")] {
            if count > 0 {
                tail.push_str(&style.red(&format!("  {count} {what}")));
            }
        }
        if self.interrupted && lane.ended.is_none() {
            tail.push_str(&style.yellow("  interrupted"));
        }
        let room = style.width.saturating_sub(places + 2 + columns(&tail)).clamp(10, 30);
        let full = self.filled(lane, now, room);
        let bar = format!("{}{}", style.green(&"█".repeat(full)), style.dim(&"░".repeat(room - full)));
        style.fit(&format!("{}  {bar}{tail}", style.bold(&pad(&lane.label(), places))), style.width)
    }

    /// How many of the `room` cells of a lane's bar are filled. Bars show time, since a few resources take most of it. They show
    /// counts if nothing is expected to take any time.
    fn filled(&self, lane: &Lane, now: Duration, room: usize) -> usize {
        if lane.ended.is_some() {
            return room;
        }
        let whole = self.forecast.end_of(lane.role, now);
        if self.forecast.is_timed() && !whole.is_zero() {
            let cells = u32::try_from(room).unwrap_or(u32::MAX);
            // The last cell stays empty until the lane is over.
            let full = (now * cells).as_millis().checked_div(whole.as_millis()).unwrap_or_default();
            return usize::try_from(full).unwrap_or(room).min(room.saturating_sub(1));
        }
        (room * lane.ended().min(lane.total)).checked_div(lane.total).unwrap_or(room)
    }

    /// The steps in progress in one line, for output without rows; `None` if there are none.
    pub fn heartbeat(&self, now: Duration) -> Option<String> {
        let text: Vec<String> =
            self.in_progress().map(|(address, active)| format!("{address} {}", active.text(now, None))).collect();
        if text.is_empty() {
            return None;
        }
        let left = self.time_left(now).map(|left| format!("; {left}")).unwrap_or_default();
        Some(format!("still waiting: {}{left}", text.join(", ")))
    }

    /// The time of day at a moment of the run.
    pub fn time_of_day(&self, at: Duration) -> String {
        self.clock.second(at)
    }
}

/// What a step waits for, as it is shown. AWS's word for a state (`pending`) needs no addition, and neither does a phrase that
/// says what is going on (`waiting for its replica`). Anything else names what is awaited.
fn awaited(on: String) -> String {
    let first = on.split(' ').next().unwrap_or_default();
    let is_state = !on.contains(' ') || first.ends_with("ing") || matches!(first, "still" | "without");
    if is_state { on } else { format!("waiting for {on}") }
}

impl Lane {
    /// How many steps are over, whatever their outcome.
    fn ended(&self) -> usize {
        self.done + self.failed + self.skipped
    }

    fn label(&self) -> String {
        let Self { role, region, .. } = self;
        if region.is_empty() { role.to_string() } else { format!("{role:<9} {region}") }
    }
}

impl Active {
    /// `pending 1m 12s of ~1m 45s`, in at most `room` columns. An expected duration below one second is left out.
    fn text(&self, now: Duration, room: Option<usize>) -> String {
        let so_far = elapsed(now.saturating_sub(self.since));
        let expected = if self.expected >= Duration::from_secs(1) {
            format!(" of ~{}", duration(self.expected))
        } else {
            String::new()
        };
        let times = format!(" {so_far}{expected}");
        let what = self.on.as_deref().unwrap_or(doing(self.action));
        // The times follow, and must stay visible.
        let what = room.map_or_else(|| what.to_owned(), |room| fit(what, room.saturating_sub(columns(&times)).max(10)));
        format!("{what}{times}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::testing::{address, assert_fits, creation, item, plan, refused};
    use drctl_engine::Item;
    use serde_json::json;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn model() -> ProgressModel {
        let nothing = json!({});
        ProgressModel::new(
            &plan(vec![
                creation("primary/nat_gateway/a", nothing.clone()),
                creation("primary/nat_gateway/b", nothing.clone()),
                item("primary/vpc/main", Action::None),
                item("secondary/subnet/a", Action::Replace),
                creation("global/vpc_peering/main", nothing),
            ]),
            1.0,
            clock(),
        )
    }

    fn clock() -> WallClock {
        WallClock::started_at("2026-11-25T03:20:00+00:00[UTC]")
    }

    fn started(text: &str) -> Event {
        Event::Started {
            address: address(text),
            region: "us-east-1".to_owned(),
            action: Action::Create,
            expected: at(105),
        }
    }

    fn done(text: &str) -> Event {
        Event::Done {
            address: address(text),
            action: Action::Create,
            id: Some("nat-0abc".to_owned()),
            restored: false,
            took: at(108),
        }
    }

    #[test]
    fn lanes_show_their_progress_and_the_longest_steps() {
        let style = Style::plain(80);
        let mut model = model();
        model.take(&started("primary/nat_gateway/b"), at(0), &style, true);
        model.take(&started("primary/nat_gateway/a"), at(3), &style, true);
        let pending = Event::Waiting { address: address("primary/nat_gateway/b"), on: "pending".to_owned() };
        model.take(&pending, at(4), &style, true);
        let lines = model.lane(0, at(72), &style, 4);
        // 72 s of 108 s, since the second one began after 3 s.
        let bar = format!("{}{}", "█".repeat(20), "░".repeat(10));
        assert_eq!(lines[0], format!("primary   us-east-1  {bar} 0/2  1m 12s"));
        assert_eq!(
            lines[1..],
            ["    nat_gateway/b  pending 1m 12s of ~1m 45s", "    nat_gateway/a  creating 1m 09s of ~1m 45s"]
        );
        assert_eq!(model.lane(0, at(72), &style, 1).len(), 2);
        assert_eq!(model.lane(0, at(72), &style, 0).len(), 1);
        let said = model.take(&done("primary/nat_gateway/b"), at(108), &style, true);
        assert_eq!(said, ["✓ primary/nat_gateway/b created in 1m 48s (nat-0abc)"]);
        model.take(&done("primary/nat_gateway/a"), at(110), &style, true);
        assert!(model.lane(0, at(500), &style, 4)[0].ends_with("█ 2/2  1m 50s"));
        assert!(model.lane(1, at(0), &style, 4)[0].contains(" 0/2"));
        assert!(model.lane(2, at(0), &style, 4)[0].starts_with(&format!("global{}░", " ".repeat(15))));
    }

    #[test]
    fn failures_are_reported_at_once_and_counted() {
        for width in [80, 140] {
            let style = Style::plain(width);
            let mut model = model();
            let nat = address("primary/nat_gateway/a");
            let failed =
                Event::Failed { address: nat.clone(), action: Action::Create, failure: refused(), took: at(3) };
            let mut said = model.take(&failed, at(3), &style, true);
            said.extend(model.take(
                &Event::Skipped { address: address("global/vpc_peering/main"), because: nat },
                at(3),
                &style,
                true,
            ));
            said.extend(model.lane(0, at(4), &style, 4));
            let text = said.join("\n");
            assert_fits(&text, width);
            assert!(text.starts_with("✗ primary/nat_gateway/a create failed after 3.0s: ec2:CreateVpc"), "{text}");
            assert!(text.contains("  help: Ask for a higher quota"), "{text}");
            assert!(text.contains("- global/vpc_peering/main skipped because of primary/nat_gateway/a"), "{text}");
            assert!(text.ends_with(" 1/2  4s  1 failed"), "{text}");
            let again = Event::Failed {
                address: address("primary/nat_gateway/b"),
                action: Action::Create,
                failure: refused(),
                took: at(5),
            };
            assert_eq!(
                model.take(&again, at(5), &style, true),
                ["✗ primary/nat_gateway/b create failed after 5.0s: VpcLimitExceeded, as before"]
            );
        }
    }

    #[test]
    fn without_rows_retries_and_waits_get_lines() {
        let style = Style::plain(80);
        let mut model = model();
        assert_eq!(model.heartbeat(at(0)), None);
        model.take(&started("primary/nat_gateway/a"), at(0), &style, false);
        assert_eq!(
            model.heartbeat(at(30)).as_deref(),
            Some("still waiting: primary/nat_gateway/a creating 30s of ~1m 45s; about 2 min left (until 03:22)")
        );
        let retrying = Event::Retrying { address: address("primary/nat_gateway/a"), failure: refused(), delay: at(2) };
        assert!(model.take(&retrying, at(1), &style, true).is_empty());
        assert_eq!(
            model.take(&retrying, at(1), &style, false),
            ["· primary/nat_gateway/a: VpcLimitExceeded, retrying in 2.0s"]
        );
    }

    /// As late in a real run: almost everything is done, and the standby waits for the writer.
    fn late() -> ProgressModel {
        let on = |at: &str, seconds: u64, on: &[&str]| Item {
            expected: self::at(seconds),
            depends_on: on.iter().map(|on| address(on)).collect(),
            waits_for: on.iter().map(|on| address(on)).collect(),
            ..item(at, Action::Create)
        };
        let mut items: Vec<Item> = (0..69).map(|number| on(&format!("primary/alarm/a{number}"), 1, &[])).collect();
        items.push(on("primary/db_instance/main", 400, &[]));
        items.push(on("secondary/db_cluster/main", 400, &["primary/db_instance/main"]));
        items.push(on("secondary/db_instance/main", 600, &["secondary/db_cluster/main"]));
        items.push(on("global/record/primary", 1, &[]));
        let mut model = ProgressModel::new(&plan(items), 1.0, clock());
        let style = Style::plain(80);
        for number in 0..69 {
            let created = Event::Done {
                address: address(&format!("primary/alarm/a{number}")),
                action: Action::Create,
                id: None,
                restored: false,
                took: at(1),
            };
            model.take(&created, at(2), &style, true);
        }
        model.take(&done("global/record/primary"), at(2), &style, true);
        let writer = Event::Started {
            address: address("primary/db_instance/main"),
            region: "us-east-1".to_owned(),
            action: Action::Create,
            expected: at(400),
        };
        model.take(&writer, at(20), &style, true);
        model
    }

    #[test]
    fn bars_show_time_and_the_end_of_the_run_is_forecast() {
        for width in [80, 140] {
            let picture = late().picture(at(120), &Style::plain(width), 4);
            assert_fits(&picture.join("\n"), width);
            let bar = |full: usize| format!("{}{}", "█".repeat(full), "░".repeat(30 - full));
            assert_eq!(
                picture,
                [
                    // 120 s of 420 s, and of 1420 s: not 69 of 70.
                    format!("primary   us-east-1  {} 69/70  2m 00s", bar(8)),
                    "    db_instance/main  creating 1m 40s of ~6m 40s".to_owned(),
                    format!("secondary us-east-2  {} 0/2  2m 00s", bar(2)),
                    "    waiting for primary/db_instance/main, about 5 min more".to_owned(),
                    format!("global               {} 1/1  2s", bar(30)),
                    "about 22 min left (until 03:43)".to_owned(),
                ]
            );
        }
    }

    #[test]
    fn an_interruption_names_the_steps_in_flight() {
        let style = Style::plain(200);
        let mut model = late();
        let said = model.take(&Event::Interrupted { at_once: false, in_flight: 1 }, at(60), &style, true);
        let expected = "Interrupted. Finishing 1 step already in flight: primary/db_instance/main (creating 40s of ~6m 40s); \
                        nothing new will start. Press Ctrl-C again to stop immediately.";
        assert_eq!(said, [expected]);
        let picture = model.picture(at(61), &style, 4);
        assert!(picture.iter().all(|line| !line.contains(" left (") && !line.contains("waiting for")), "{picture:?}");
        let said = model.take(&Event::Interrupted { at_once: true, in_flight: 1 }, at(62), &style, true).join(" ");
        assert!(said.starts_with("Stopped immediately with 1 step in flight: primary/db_instance/main ("), "{said}");
        let mut idle = super::tests::model();
        let said = idle.take(&Event::Interrupted { at_once: false, in_flight: 0 }, at(1), &style, true);
        assert_eq!(said, ["Interrupted. No call is in flight; nothing new will start."]);
    }

    #[test]
    fn a_resource_that_is_kept_is_not_reported_as_deleted() {
        let style = Style::plain(120);
        let key = address("primary/kms_key/main");
        let mut model = ProgressModel::new(&plan(vec![item("primary/kms_key/main", Action::Delete)]), 1.0, clock());
        let region = "us-east-1".to_owned();
        let started = Event::Started { address: key.clone(), region, action: Action::Delete, expected: at(1) };
        model.take(&started, at(0), &style, false);
        let message = "key-1 is kept: a snapshot can be read only with it".to_owned();
        let said = model.take(&Event::Note { address: key.clone(), message }, at(1), &style, false);
        assert_eq!(said, ["· primary/kms_key/main: key-1 is kept: a snapshot can be read only with it"]);
        let done = Event::Done { address: key, action: Action::Delete, id: None, restored: false, took: at(1) };
        assert!(model.take(&done, at(1), &style, false).is_empty());
        assert!(model.lane(0, at(1), &style, 0)[0].ends_with(" 1/1  1s"));
    }

    #[test]
    fn what_is_awaited_is_named_once() {
        for (on, shown) in [
            ("pending", "pending"),
            ("waiting for its replica in us-east-2", "waiting for its replica in us-east-2"),
            ("pending validation by its DNS record", "pending validation by its DNS record"),
            ("still listed after its deletion", "still listed after its deletion"),
            ("it to be available, as changes require", "waiting for it to be available, as changes require"),
        ] {
            assert_eq!(awaited(on.to_owned()), shown);
        }
    }

    #[test]
    fn what_a_step_waits_for_is_cut_only_on_a_terminal() {
        let mut model = late();
        let on =
            "Cannot remove the writer DB cluster from a global cluster while other clusters are members".to_owned();
        let waits = Event::Waiting { address: address("primary/db_instance/main"), on: on.clone() };
        model.take(&waits, at(30), &Style::plain(80), true);
        let row = &model.picture(at(60), &Style::plain(80), 4)[1];
        assert!(row.contains("waiting for Cannot remove the writer DB") && row.ends_with("… 40s of ~6m 40s"), "{row}");
        assert!(model.heartbeat(at(60)).is_some_and(|line| line.contains(&on)));
    }
}
