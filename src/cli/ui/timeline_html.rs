//! A simulation as a web page: a timeline of every resource, grouped by Region. The page loads nothing.

use std::time::Duration;

use super::text::{chain, duration, elapsed, plural};
use super::timeline::{against_bound, durations};
use super::{by_role, heading};
use crate::simulate::{Bar, Simulated, SimulatedRun};

/// Light or dark, as the reader's system is. Work is filled and waiting is striped, so that no meaning depends on colour alone.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2128;--dim:#59636e;--page:#fff;--line:#d1d9e0;--work:#1f6feb;--wait:#9aa7b5;--hot:#bc4c00}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9198a1;--page:#0d1117;--line:#3d444d;--work:#4c94ff;--wait:#6b7785;--hot:#ffa657}}
body{background:var(--page);color:var(--ink);font:14px/1.45 system-ui,sans-serif;max-width:1500px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.2rem;margin:2.5rem 0 .25rem}h3{font-size:1rem;margin:1.25rem 0 .25rem}
p{margin:.25rem 0;overflow-wrap:anywhere}.dim{color:var(--dim)}
.row,.axis{display:grid;grid-template-columns:minmax(9rem,22rem) 1fr 5rem;gap:.75rem;align-items:center}
.name{font:12px/1.7 ui-monospace,monospace;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.track{position:relative;height:.9rem;border-left:1px solid var(--line);border-right:1px solid var(--line)}
.axis{color:var(--dim);font-size:12px}.tick{position:absolute;transform:translateX(-50%);font-style:normal;white-space:nowrap}
section .track{background:repeating-linear-gradient(90deg,transparent 0 calc(var(--step) - 1px),var(--line) calc(var(--step) - 1px) var(--step))}
.took{font-variant-numeric:tabular-nums;text-align:right;color:var(--dim)}
.wait,.work{position:absolute;top:.1rem;bottom:.1rem;min-width:2px}
.wait{border:1px solid var(--wait);box-sizing:border-box;background:repeating-linear-gradient(45deg,transparent 0 3px,var(--wait) 3px 4px)}
.work{background:var(--work)}.critical .name{font-weight:700;color:var(--hot)}.critical .work{background:var(--hot)}
.key{position:relative;display:inline-block;width:2rem;height:.9rem;vertical-align:middle;margin-right:.35rem}
.key *{left:0;right:0}.legend span{margin-right:1.5rem}
";

/// The page.
#[must_use]
pub fn page(simulated: &Simulated, title: &str) -> String {
    let title = escaped(title);
    let [primary, secondary] = &simulated.regions;
    let mut parts = vec![
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}: up and down, simulated</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        ),
        format!(
            "<h1>{title}</h1>\n<p class=\"dim\">{}; primary {}, secondary {}; AWS's rate limits and drctl's limit of concurrent steps apply, and no call fails.</p>\n\
             <p>The primary's API serves after <b>{}</b>, its database takes writes after <b>{}</b>.</p>\n",
            escaped(&durations(simulated.durations)),
            escaped(primary),
            escaped(secondary),
            duration(simulated.serving),
            duration(simulated.writer),
        ),
        "<p class=\"legend\"><span><i class=\"key\"><i class=\"work\"></i></i>AWS is working on it</span>\
         <span><i class=\"key\"><i class=\"wait\"></i></i>waiting (rate limit, dependency, next poll)</span>\
         <span class=\"critical\"><b class=\"name\">● critical path</b></span></p>\n"
            .to_owned(),
    ];
    for (name, run) in [("up", &simulated.up), ("down", &simulated.down)] {
        parts.extend(section(name, run));
    }
    parts.push("</body>\n</html>\n".to_owned());
    parts.concat()
}

fn section(name: &str, run: &SimulatedRun) -> Vec<String> {
    let path = chain(run.critical_path.iter().map(|leg| (&leg.address, leg.took)), run.took);
    let step = 100.0 * tick(run.took).as_secs_f64() / run.took.as_secs_f64().max(0.001);
    let mut parts = vec![format!(
        "<section style=\"--step:{step:.3}%\">\n<h2>{name}</h2>\n<p>{}; {}</p>\n<p class=\"dim\">Critical path: {}</p>\n",
        escaped(&against_bound(run)),
        plural(run.bars.len(), "resource"),
        escaped(&path)
    )];
    for ((role, region), bars) in by_role(&run.bars, |bar| (bar.address.role(), bar.region.clone())) {
        parts.push(format!("<h3>{}</h3>\n", escaped(&heading(role, &region))));
        parts.push(axis(run.took));
        parts.extend(bars.into_iter().map(|bar| row(bar, run.took)));
    }
    parts.push("</section>\n".to_owned());
    parts
}

/// The time between two labels of the axis: a round number, so that there are at most ten labels.
fn tick(whole: Duration) -> Duration {
    const ROUND: [u64; 12] = [1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
    let fits = |seconds: &u64| Duration::from_secs(*seconds) * 10 >= whole;
    Duration::from_secs(ROUND.into_iter().find(fits).unwrap_or(4 * 3600))
}

/// The axis above the rows of each Region. Lines at the same moments go through the rows.
fn axis(whole: Duration) -> String {
    let step = tick(whole);
    // A label at the very end would cross the edge.
    let moments = (0..).map(|number| step * number).take_while(|moment| *moment + step / 2 <= whole);
    let label = |moment: Duration| {
        let left = 100.0 * moment.as_secs_f64() / whole.as_secs_f64().max(0.001);
        format!("<i class=\"tick\" style=\"left:{left:.3}%\">{}</i>", elapsed(moment))
    };
    let labels = moments.map(label).collect::<Vec<_>>().concat();
    format!("<div class=\"axis\"><span></span><span class=\"track\">{labels}</span><span></span></div>\n")
}

fn row(bar: &Bar, whole: Duration) -> String {
    let (class, mark) = if bar.critical { ("row critical", "● ") } else { ("row", "") };
    let name = escaped(&bar.address.to_string());
    let (began, ended) = (duration(bar.began), duration(bar.ended));
    let mut pieces = vec![piece("wait", bar.began, bar.ended, whole)];
    pieces.extend(bar.work.iter().map(|(from, until)| piece("work", *from, *until, whole)));
    format!(
        "<div class=\"{class}\" title=\"{name}: from {began} to {ended}\"><span class=\"name\">{mark}{name}</span>\
         <span class=\"track\">{}</span><span class=\"took\">{}</span></div>\n",
        pieces.concat(),
        duration(bar.took())
    )
}

fn piece(class: &str, from: Duration, until: Duration, whole: Duration) -> String {
    let percent = |part: Duration| 100.0 * part.as_secs_f64() / whole.as_secs_f64().max(0.001);
    let (left, width) = (percent(from), percent(until.saturating_sub(from)));
    format!("<i class=\"{class}\" style=\"left:{left:.3}%;width:{width:.3}%\"></i>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::timeline::tests::simulated;

    #[test]
    fn the_page_holds_every_resource_by_region_and_loads_nothing() {
        let page = page(&simulated(), "pay & <dev>");
        assert!(page.contains("<h1>pay &amp; &lt;dev&gt;</h1>"));
        assert_eq!(page.matches("<div class=\"row").count(), 46);
        assert_eq!(page.matches("<div class=\"row critical\"").count(), 2);
        assert!(page.contains("<h3>primary · us-east-1</h3>") && page.contains("prefers-color-scheme:dark"));
        for loads in ["http:", "https:", "src=", "url(", "<script", "@import"] {
            assert!(!page.contains(loads), "{loads}");
        }
    }

    #[test]
    fn an_axis_has_round_labels() {
        let minutes = Duration::from_mins;
        let ticks = [(minutes(5), 30), (minutes(25), 300), (minutes(60), 600)];
        assert_eq!(ticks.map(|(whole, _)| tick(whole).as_secs()), ticks.map(|(_, seconds)| seconds));
        let axis = axis(minutes(25));
        assert!(axis.contains("<i class=\"tick\" style=\"left:20.000%\">5m 00s</i>"), "{axis}");
        assert_eq!(axis.matches("<i ").count(), 5, "{axis}");
    }

    #[test]
    fn pieces_are_placed_by_time() {
        let seconds = Duration::from_secs;
        assert_eq!(
            piece("work", seconds(50), seconds(75), seconds(200)),
            "<i class=\"work\" style=\"left:25.000%;width:12.500%\"></i>"
        );
    }
}
