//! A simulation as text: how long it takes, why, and a timeline of the slowest resources; and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::failures::hanging;
use super::text::{chain, clean, columns, duration, fit, pad, plural};
use super::{Style, joined};
use crate::simulate::{Bar, Draw, Simulated, SimulatedRun};

/// How many resources are drawn: the slowest ones.
const DRAWN: usize = 15;
/// A longer timeline would not be easier to read.
const LONGEST: usize = 100;
/// The columns of a line besides the name and the timeline: indentation, mark, duration, and the gaps between them.
const BESIDES: usize = 16;

const WORKS: &str = "█";
const WAITS: &str = "░";
const CRITICAL: &str = "●";

/// The simulation as text.
#[must_use]
pub fn render(simulated: &Simulated, title: &str, style: &Style) -> String {
    let [primary, secondary] = &simulated.regions;
    let text = format!("{} · primary {primary}, secondary {secondary}", durations(simulated.durations));
    let mut lines = vec![style.bold(&clean(title))];
    lines.extend(hanging("  ", &text, style.width, 0).iter().map(|line| style.dim(line)));
    let serves = format!(
        "The primary's API serves after {}, its database takes writes after {}.",
        duration(simulated.serving),
        duration(simulated.writer)
    );
    lines.extend(run("up", &simulated.up, Some(&serves), style));
    lines.extend(run("down", &simulated.down, None, style));
    lines.push(String::new());
    let legend = format!(
        "{WORKS} AWS is working on it   {WAITS} waiting (rate limit, dependency, next poll)   {CRITICAL} critical path"
    );
    lines.extend(hanging("", &legend, style.width, 0).iter().map(|line| style.dim(line)));
    joined(&lines)
}

/// The simulation as JSON.
#[must_use]
pub fn to_json(simulated: &Simulated, title: &str) -> Value {
    let mut value = json!({ "version": 1, "title": title });
    if let Value::Object(found) = json!(simulated) {
        for (name, part) in found {
            value[name.as_str()] = part;
        }
    }
    value
}

/// Which durations were used, in words.
pub(super) fn durations(draw: Draw) -> String {
    match draw {
        Draw::Typical => "simulated with typical durations".to_owned(),
        Draw::Worst => "simulated with the longest durations on record".to_owned(),
        Draw::Seed(seed) => format!("simulated with durations drawn from seed {seed}"),
    }
}

/// How long a run took and how that compares with its lower bound, in words.
pub(super) fn against_bound(run: &SimulatedRun) -> String {
    let above = (run.ratio - 1.0) * 100.0;
    format!("{} (lower bound {}; {above:.1} % above it)", duration(run.took), duration(run.bound))
}

fn run(name: &str, run: &SimulatedRun, more: Option<&str>, style: &Style) -> Vec<String> {
    let mut lines = vec![String::new(), format!("{}  {}", style.bold(name), against_bound(run))];
    let links = run.critical_path.iter().map(|leg| (&leg.address, leg.took));
    let path = format!("Critical path: {}", chain(links, run.took));
    for text in more.into_iter().chain([path.as_str()]) {
        lines.extend(hanging("  ", text, style.width, 0));
    }
    lines.push(String::new());
    lines.extend(drawing(run, style));
    lines
}

/// The slowest resources, in the order in which they began.
fn drawing(run: &SimulatedRun, style: &Style) -> Vec<String> {
    let mut bars: Vec<&Bar> = run.bars.iter().collect();
    // The sort is stable: resources that are equally slow stay in order.
    bars.sort_by_key(|bar| std::cmp::Reverse(bar.took()));
    bars.truncate(DRAWN);
    bars.sort_by_key(|bar| bar.began);
    let named = bars.iter().map(|bar| columns(&bar.address.to_string())).max().unwrap_or_default();
    let named = if style.cuts { named.min(style.width * 2 / 5) } else { named };
    let cells = style.width.saturating_sub(BESIDES + named).clamp(10, LONGEST);
    let mut lines: Vec<String> = bars
        .iter()
        .map(|bar| {
            let name = pad(&style.fit(&bar.address.to_string(), named), named);
            let mark = if bar.critical { style.yellow(CRITICAL) } else { " ".to_owned() };
            let took = duration(bar.took());
            format!("  {mark} {name} {took:>7}  |{}|", timeline(bar, run.took, cells))
        })
        .collect();
    let whole = duration(run.took);
    let scale = format!("0s{}{whole}", " ".repeat((cells + 2).saturating_sub(columns(&whole) + 2)));
    let shown = format!("{} of {}", bars.len(), plural(run.bars.len(), "resource"));
    lines.push(style.dim(&format!("{}{scale}", pad(&format!("    {}", fit(&shown, named + 8)), named + 14))));
    lines
}

fn timeline(bar: &Bar, whole: Duration, cells: usize) -> String {
    let cells = u32::try_from(cells).unwrap_or(1).max(1);
    (0..cells)
        .map(|cell| {
            let from = (whole * cell / cells).max(bar.began);
            let until = (whole * (cell + 1) / cells).min(bar.ended);
            let span = until.saturating_sub(from);
            match bar.worked(from, until) {
                _ if span.is_zero() => " ",
                worked if worked * 2 >= span => WORKS,
                _ => WAITS,
            }
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::ui::testing::{address, assert_fits};
    use drctl_engine::PathSegment;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn bar(name: &str, began: u64, ended: u64, work: &[(u64, u64)]) -> Bar {
        let address = address(name);
        Bar {
            critical: address.kind() == "db_instance",
            region: "us-east-1".to_owned(),
            address,
            began: at(began),
            ended: at(ended),
            work: work.iter().map(|(from, until)| (at(*from), at(*until))).collect(),
        }
    }

    fn one() -> SimulatedRun {
        let mut bars = vec![
            bar("primary/vpc/main", 0, 12, &[(0, 12)]),
            bar("primary/db_instance/main", 20, 500, &[(20, 22), (100, 498)]),
            bar("secondary/route_table_association/a-name-that-is-much-longer-than-others", 30, 31, &[(30, 31)]),
        ];
        bars.extend((0..20).map(|number| bar(&format!("primary/route/r{number}"), 12, 13, &[(12, 13)])));
        let leg = |name: &str, seconds| PathSegment { address: address(name), took: at(seconds) };
        let path = vec![leg("primary/vpc/main", 20), leg("primary/db_instance/main", 480)];
        SimulatedRun {
            took: at(500),
            bound: at(490),
            ratio: 1.0204,
            critical_path: path.clone(),
            bound_path: path,
            bars,
        }
    }

    /// A simulation that is as small as possible.
    pub(in crate::cli::ui) fn simulated() -> Simulated {
        Simulated {
            durations: Draw::Seed(7),
            regions: ["us-east-1".to_owned(), "us-east-2".to_owned()],
            up: one(),
            down: one(),
            serving: at(66),
            writer: at(500),
        }
    }

    #[test]
    fn the_text_says_how_long_it_takes_and_why_at_any_width() {
        for width in [60, 80, 140, 300] {
            let text = render(&simulated(), "payment-dr-dev", &Style::plain(width));
            assert_fits(&text, width);
            assert!(text.contains("up  8m 20s (lower bound 8m 10s; 2.0 % above it)"), "{text}");
            assert!(text.contains("seed 7") && text.contains("15 of 23 resources"), "{text}");
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains("API serves after 1m 06s, its database takes writes after 8m 20s."), "{words}");
            assert!(words.contains("Critical path: primary/vpc/main 20s → primary/db_instance/main 8m 00s"), "{words}");
        }
    }

    #[test]
    fn a_timeline_distinguishes_work_from_waiting() {
        let line = |bar: &Bar| timeline(bar, at(500), 10);
        assert_eq!(line(&bar("primary/db_instance/main", 20, 500, &[(20, 22), (100, 498)])), "░░████████");
        assert_eq!(line(&bar("primary/vpc/main", 0, 12, &[(0, 12)])), "█         ");
        let text = render(&simulated(), "x", &Style::plain(80));
        assert!(text.lines().any(|line| line.starts_with("  ● primary/db_instance/main")), "{text}");
    }

    #[test]
    fn json_has_everything() {
        let json = to_json(&simulated(), "payment-dr-dev");
        assert_eq!((json["version"].as_u64(), json["title"].as_str()), (Some(1), Some("payment-dr-dev")));
        assert_eq!(json["durations"]["seed"], 7);
        assert_eq!(json["up"]["bars"].as_array().map(Vec::len), Some(23));
        let bar = json["up"]["bars"].as_array().into_iter().flatten().find(|bar| bar["critical"] == true);
        let bar = bar.expect("the instance");
        assert_eq!((&bar["began_seconds"], &bar["work_seconds"][1]), (&json!(20.0), &json!([100.0, 498.0])));
    }
}
