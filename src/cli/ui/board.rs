//! What is going on in a run, lane by lane. Knows events and the time, and no terminal.

use std::collections::HashMap;
use std::time::Duration;

use super::failures::{hanging, help_lines};
use super::text::{clean, columns, duration, elapsed, fit, list, pad, plural, scaled};
use super::{Style, doing, done, verb};
use crate::engine::{Action, Event, Plan};
use crate::state::{Address, Role};

/// Addresses of rows are aligned up to this many columns.
const ALIGNED: usize = 36;
/// Columns of what a step waits for.
const LONGEST: usize = 40;

/// A role and how far it has come: Regions are apart, and so are their bars.
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

/// A step under way.
struct Active {
    since: Duration,
    action: Action,
    expected: Duration,
    /// What it waits for, in AWS's words, since its last event.
    on: Option<String>,
}

/// The run as it stands. Times are counted from its beginning.
pub(super) struct Board {
    lanes: Vec<Lane>,
    active: HashMap<Address, Active>,
    scale: f64,
    interrupted: bool,
}

impl Board {
    /// Counts what is to be done. Expected durations are divided by `scale`.
    pub fn new(plan: &Plan, scale: f64) -> Self {
        let mut lanes: Vec<Lane> = Vec::new();
        for item in &plan.items {
            // A replacement is two steps: the old one goes, the new one comes.
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
        Self { lanes, active: HashMap::new(), scale, interrupted: false }
    }

    /// How many lanes there are.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Takes one event in. Returns what is to be said at once, and for good.
    ///
    /// `rows` says whether the rows are seen: what a row tells in passing needs no line then.
    pub fn take(&mut self, event: &Event, now: Duration, style: &Style, rows: bool) -> Vec<String> {
        match event {
            Event::Started { address, action, expected, .. } => {
                let expected = scaled(*expected, self.scale);
                self.active.insert(address.clone(), Active { since: now, action: *action, expected, on: None });
                Vec::new()
            }
            Event::Waiting { address, on } => {
                // AWS's words for a state stand for themselves, a sentence does not.
                let on = clean(on);
                self.waits(address, if on.contains(' ') { format!("waiting for {on}") } else { on });
                Vec::new()
            }
            Event::Retrying { address, failure, delay } => {
                let why = clean(failure.code.as_deref().unwrap_or(&failure.message));
                self.waits(address, format!("retrying ({why})"));
                if rows {
                    return Vec::new();
                }
                hanging("· ", &format!("{address}: {why}, tried again in {}", duration(*delay)), style.width, 0)
            }
            Event::Note { address, message } => {
                let lines = hanging("· ", &format!("{address}: {}", clean(message)), style.width, 0);
                lines.iter().map(|line| style.dim(line)).collect()
            }
            Event::Done { address, action, id, took } => {
                self.ended(address, now, |lane| lane.done += 1);
                let id = id.as_deref().map(|id| format!(" ({})", clean(id))).unwrap_or_default();
                let told = format!("{address} {} in {}", done(*action), duration(*took));
                // A broken line says less than one without its id, which `drctl state list` has.
                let fits = !rows || columns(&told) + columns(&id) + 2 <= style.width;
                vec![format!("{} {told}{}", style.green("✓"), if fits { style.dim(&id) } else { String::new() })]
            }
            Event::Failed { address, action, failure, took } => {
                self.ended(address, now, |lane| lane.failed += 1);
                let told = format!(
                    "{address} {} failed after {}: {}",
                    verb(*action),
                    duration(*took),
                    clean(&failure.to_string())
                );
                let mut lines: Vec<String> =
                    hanging("✗ ", &told, style.width, 0).iter().map(|line| style.red(line)).collect();
                if let Some(help) = &failure.help {
                    lines.extend(help_lines(help, style, 2));
                }
                lines
            }
            Event::Skipped { address, because } => {
                self.ended(address, now, |lane| lane.skipped += 1);
                vec![style.dim(&format!("- {address} skipped because of {because}"))]
            }
            Event::Interrupted { at_once, in_flight } => {
                self.interrupted = true;
                let steps = plural(*in_flight, "step");
                let told = if *at_once {
                    format!(
                        "Stopped at once, {steps} in flight. Their intents are on record: the next run resolves them first."
                    )
                } else {
                    format!(
                        "Interrupted: nothing new is started; {steps} in flight, whose calls are finished and recorded. Again to stop at once."
                    )
                };
                hanging("", &told, style.width, 0).iter().map(|line| style.yellow(line)).collect()
            }
        }
    }

    fn waits(&mut self, address: &Address, on: String) {
        if let Some(active) = self.active.get_mut(address) {
            active.on = Some(on);
        }
    }

    fn ended(&mut self, address: &Address, now: Duration, count: impl FnOnce(&mut Lane)) {
        self.active.remove(address);
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.role == address.role()) {
            count(lane);
            if lane.done + lane.failed + lane.skipped >= lane.total {
                lane.ended = Some(now);
            }
        }
    }

    /// A lane's bar and beneath it what is under way, longest first, at most `rows` of them.
    pub fn lane(&self, number: usize, now: Duration, style: &Style, rows: usize) -> Vec<String> {
        let Some(lane) = self.lanes.get(number) else { return Vec::new() };
        let mut lines = vec![self.header(lane, now, style)];
        let mut under_way: Vec<(&Address, &Active)> =
            self.active.iter().filter(|(address, _)| address.role() == lane.role).collect();
        under_way.sort_by(|(a, one), (b, other)| one.since.cmp(&other.since).then_with(|| a.cmp(b)));
        let counted = rows > 1 && under_way.len() > rows;
        let shown = if counted { rows - 1 } else { rows };
        let name = |address: &Address| format!("{}/{}", address.kind(), address.name());
        let seen = &under_way[..shown.min(under_way.len())];
        let aligned = seen.iter().map(|(address, _)| columns(&name(address))).max().unwrap_or_default().min(ALIGNED);
        for (address, active) in seen {
            let line = format!("    {}  {}", pad(&name(address), aligned), active.told(now));
            lines.push(fit(&line, style.width));
        }
        if counted {
            lines.push(style.dim(&format!("    … and {} more", under_way.len() - shown)));
        }
        lines
    }

    fn header(&self, lane: &Lane, now: Duration, style: &Style) -> String {
        let places = self.lanes.iter().map(|lane| columns(&lane.label())).max().unwrap_or_default();
        let ended = lane.done + lane.failed + lane.skipped;
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
        let full = (room * ended.min(lane.total)).checked_div(lane.total).unwrap_or(room);
        let bar = format!("{}{}", style.green(&"█".repeat(full)), style.dim(&"░".repeat(room - full)));
        fit(&format!("{}  {bar}{tail}", style.bold(&pad(&lane.label(), places))), style.width)
    }

    /// What is under way in one line, for where no rows are drawn; `None` when nothing is.
    pub fn still(&self, now: Duration, style: &Style) -> Option<String> {
        let mut under_way: Vec<(&Address, &Active)> = self.active.iter().collect();
        if under_way.is_empty() {
            return None;
        }
        under_way.sort_by(|(a, one), (b, other)| one.since.cmp(&other.since).then_with(|| a.cmp(b)));
        let label = "still waiting: ";
        let told: Vec<String> =
            under_way.iter().map(|(address, active)| format!("{address} {}", active.told(now))).collect();
        Some(format!("{label}{}", list(&told, style.width.saturating_sub(label.len()))))
    }
}

impl Lane {
    fn label(&self) -> String {
        let Self { role, region, .. } = self;
        if region.is_empty() { role.to_string() } else { format!("{role:<9} {region}") }
    }
}

impl Active {
    /// `pending 1m 12s of ~1m 45s`; what takes a second or less is not worth expecting.
    fn told(&self, now: Duration) -> String {
        let so_far = elapsed(now.saturating_sub(self.since));
        // The times come after it and must stay in sight.
        let what = fit(self.on.as_deref().unwrap_or(doing(self.action)), LONGEST);
        let expected = if self.expected >= Duration::from_secs(1) {
            format!(" of ~{}", duration(self.expected))
        } else {
            String::new()
        };
        format!("{what} {so_far}{expected}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::testing::{address, assert_fits, creation, item, plan, refused};
    use serde_json::json;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn board() -> Board {
        let nothing = json!({});
        Board::new(
            &plan(vec![
                creation("primary/nat_gateway/a", nothing.clone()),
                creation("primary/nat_gateway/b", nothing.clone()),
                item("primary/vpc/main", Action::None),
                item("secondary/subnet/a", Action::Replace),
                creation("global/vpc_peering/main", nothing),
            ]),
            1.0,
        )
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
        Event::Done { address: address(text), action: Action::Create, id: Some("nat-0abc".to_owned()), took: at(108) }
    }

    #[test]
    fn lanes_show_how_far_they_are_and_what_takes_longest() {
        let style = Style::plain(80);
        let mut board = board();
        board.take(&started("primary/nat_gateway/b"), at(0), &style, true);
        board.take(&started("primary/nat_gateway/a"), at(3), &style, true);
        let pending = Event::Waiting { address: address("primary/nat_gateway/b"), on: "pending".to_owned() };
        board.take(&pending, at(4), &style, true);
        let lines = board.lane(0, at(72), &style, 4);
        assert_eq!(lines[0], format!("primary   us-east-1  {} 0/2  1m 12s", "░".repeat(30)));
        assert_eq!(
            lines[1..],
            ["    nat_gateway/b  pending 1m 12s of ~1m 45s", "    nat_gateway/a  creating 1m 09s of ~1m 45s"]
        );
        assert_eq!(board.lane(0, at(72), &style, 1).len(), 2);
        assert_eq!(board.lane(0, at(72), &style, 0).len(), 1);
        let said = board.take(&done("primary/nat_gateway/b"), at(108), &style, true);
        assert_eq!(said, ["✓ primary/nat_gateway/b created in 1m 48s (nat-0abc)"]);
        board.take(&done("primary/nat_gateway/a"), at(110), &style, true);
        assert!(board.lane(0, at(500), &style, 4)[0].ends_with("█ 2/2  1m 50s"));
        assert!(board.lane(1, at(0), &style, 4)[0].contains(" 0/2"));
        assert!(board.lane(2, at(0), &style, 4)[0].starts_with(&format!("global{}░", " ".repeat(15))));
    }

    #[test]
    fn failures_are_told_at_once_and_counted() {
        for width in [80, 140] {
            let style = Style::plain(width);
            let mut board = board();
            let nat = address("primary/nat_gateway/a");
            let failed =
                Event::Failed { address: nat.clone(), action: Action::Create, failure: refused(), took: at(3) };
            let mut said = board.take(&failed, at(3), &style, true);
            said.extend(board.take(
                &Event::Skipped { address: address("global/vpc_peering/main"), because: nat },
                at(3),
                &style,
                true,
            ));
            said.extend(board.lane(0, at(4), &style, 4));
            let text = said.join("\n");
            assert_fits(&text, width);
            assert!(text.starts_with("✗ primary/nat_gateway/a create failed after 3.0s: ec2:CreateVpc"), "{text}");
            assert!(text.contains("  help: Ask for a higher quota"), "{text}");
            assert!(text.contains("- global/vpc_peering/main skipped because of primary/nat_gateway/a"), "{text}");
            assert!(text.ends_with(" 1/2  4s  1 failed"), "{text}");
        }
    }

    #[test]
    fn without_rows_refusals_and_waits_get_lines() {
        let style = Style::plain(80);
        let mut board = board();
        assert_eq!(board.still(at(0), &style), None);
        board.take(&started("primary/nat_gateway/a"), at(0), &style, false);
        assert_eq!(
            board.still(at(30), &style).as_deref(),
            Some("still waiting: primary/nat_gateway/a creating 30s of ~1m 45s")
        );
        let retrying = Event::Retrying { address: address("primary/nat_gateway/a"), failure: refused(), delay: at(2) };
        assert!(board.take(&retrying, at(1), &style, true).is_empty());
        assert_eq!(
            board.take(&retrying, at(1), &style, false),
            ["· primary/nat_gateway/a: VpcLimitExceeded, tried again in 2.0s"]
        );
    }
}
