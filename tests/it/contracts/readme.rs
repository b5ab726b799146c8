//! The documentation is tested: the commands in the `console` blocks of the README and of the pages in `docs` are run in their
//! order, and their output is what the page shows. Every command and option is documented, and every relative link resolves.
//!
//! Each page is run against a stack of its own. In a `console` block, a line `…` stands for any number of lines. What
//! differs from run to run is compared by its shape: a long word with a digit in it matches any other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use drctl_testkit::harness::{Ran, Stack};

/// One test per page, so that they run at the same time.
macro_rules! pages {
    ($($test:ident: $page:literal,)+) => {
        /// The pages whose commands are run.
        const PAGES: &[&str] = &[$($page),+];

        $(
            #[test]
            fn $test() {
                run_page($page);
            }
        )+
    };
}

pages! {
    the_readme_shows_what_its_commands_do: "README.md",
    the_page_on_check_shows_what_its_commands_do: "docs/commands/check.md",
    the_page_on_down_shows_what_its_commands_do: "docs/commands/down.md",
    the_page_on_init_and_completions_shows_what_its_commands_do: "docs/commands/init-and-completions.md",
    the_page_on_plan_and_up_shows_what_its_commands_do: "docs/commands/plan-and-up.md",
    the_page_on_recover_orphans_and_state_shows_what_its_commands_do: "docs/commands/recover-orphans-state.md",
    the_page_on_simulate_shows_what_its_commands_do: "docs/commands/simulate.md",
    the_page_on_status_and_outputs_shows_what_its_commands_do: "docs/commands/status-and-outputs.md",
}

const CONSOLE: &str = "```console";

/// A command on a page, and the output that the page shows.
struct Step {
    /// The page and the line, for messages.
    place: String,
    command: String,
    output: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (number, line) in read(page).lines().enumerate() {
        if line == CONSOLE || line == "```" {
            inside = line == CONSOLE;
            continue;
        }
        if !inside {
            continue;
        }
        let place = format!("{page}:{}", number + 1);
        if let Some(command) = line.strip_prefix("$ ") {
            let Some(command) = command.strip_prefix("drctl ") else {
                panic!("{place}: only drctl is run in a `console` block");
            };
            steps.push(Step { place, command: command.to_owned(), output: Vec::new() });
        } else {
            let Some(step) = steps.last_mut() else { panic!("{place}: no command before this output") };
            step.output.push(line.to_owned());
        }
    }
    steps
}

/// Ids, addresses, ports and times are replaced by `#`, and runs of spaces by one space.
fn shape(line: &str) -> String {
    // Hints repeat the options of their command, and the commands in the tests do not have this one.
    let line = line.replace(" --sandbox", "");
    let word = |word: &str| {
        let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if core.chars().any(|c| c.is_ascii_digit()) && core.len() > 4 {
            word.replace(core, "#")
        } else {
            word.to_owned()
        }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn assert_shows(step: &Step, ran: &Ran) {
    let Step { place, command, output } = step;
    let found: Vec<String> = ran.stdout.lines().map(shape).collect();
    let mut at = 0;
    let mut skipping = false;
    for expected in output {
        if expected == "…" {
            skipping = true;
            continue;
        }
        let expected = shape(expected);
        let next = found[at..].iter().position(|line| *line == expected);
        match next {
            Some(offset) if skipping || offset == 0 => at += offset + 1,
            _ => panic!("{place}: drctl {command}: `{expected}` is not in its place, line {at}:\n{}", ran.stdout),
        }
        skipping = false;
    }
    assert!(skipping || at == found.len(), "{place}: drctl {command} prints more than the page shows:\n{}", ran.stdout);
}

fn run_page(page: &str) {
    let steps = steps(page);
    assert!(!steps.is_empty(), "{page} has no command in a `console` block");
    let stack = Stack::new();
    for step in &steps {
        // The tests' own sandbox stands in for the one that `--sandbox` would start.
        let args: Vec<&str> = step.command.split(' ').filter(|arg| *arg != "--sandbox").collect();
        let ran = stack.run(&args).exits(0);
        assert_shows(step, &ran);
    }
}

/// Every Markdown file of the repository, by its path from the root. Hidden folders, build folders and states are left out.
fn markdown() -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            if path.is_dir() {
                let is_left_out = name.starts_with('.') || name == "target" || path == root().join("state");
                if !is_left_out && !path.join("CACHEDIR.TAG").exists() {
                    walk(&path, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.clone());
            }
        }
    }
    let mut found = Vec::new();
    walk(root(), &mut found);
    found.sort();
    found.iter().map(|path| path.strip_prefix(root()).expect("below the root").display().to_string()).collect()
}

#[test]
fn every_page_with_commands_is_run() {
    let is_run = |page: &String| page == "README.md" || page.starts_with("docs/");
    let has_commands = |page: &String| read(page).lines().any(|line| line.trim_start().starts_with(CONSOLE));
    let shown: BTreeSet<String> = markdown().into_iter().filter(is_run).filter(has_commands).collect();
    let run: BTreeSet<String> = PAGES.iter().map(|page| (*page).to_owned()).collect();
    assert_eq!(shown, run, "left: pages with `console` blocks; right: pages in `pages!`");
}

/// The commands that a help text lists.
fn commands(help: &str) -> impl Iterator<Item = &str> {
    let (_, listed) = help.split_once("Commands:\n").unwrap_or_default();
    listed
        .lines()
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
}

/// The long options that a help text lists, except for those that every program has.
fn options(help: &str) -> impl Iterator<Item = &str> {
    help.lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| line.split([' ', ',', '.']).find(|word| word.starts_with("--")))
        .filter(|option| !["--help", "--version"].contains(option))
}

#[test]
fn every_command_and_option_is_documented() {
    let is_reference = |page: &String| page == "README.md" || page.starts_with("docs/commands/");
    let documented: String = markdown().iter().filter(|page| is_reference(page)).map(|page| read(page)).collect();
    let stack = Stack::new();
    let mut missing = BTreeSet::new();
    let mut waiting = vec!["drctl".to_owned()];
    while let Some(command) = waiting.pop() {
        let args: Vec<&str> = command.split(' ').skip(1).chain(["--help"]).collect();
        let help = stack.run(&args).exits(0).stdout;
        for option in options(&help).filter(|option| !documented.contains(option)) {
            missing.insert(format!("{option} of `{command}`"));
        }
        waiting.extend(commands(&help).map(|name| format!("{command} {name}")));
        if !documented.contains(&command) {
            missing.insert(format!("`{command}`"));
        }
    }
    assert!(missing.is_empty(), "not in README.md or docs/commands: {missing:#?}");
}

/// The lines of a page that are not in a fenced block, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    let outside = move |(_, line): &(usize, &str)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    };
    text.lines().enumerate().filter(outside).map(|(number, line)| (number + 1, line))
}

/// The targets of the links on a page, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        found.extend(targets.map(|(target, _)| (number, target)));
    }
    found
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    let mut anchor = |heading: &str| {
        let kept = heading.trim().to_lowercase();
        let kept: String = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c)).collect();
        let anchor = kept.replace(' ', "-");
        let times = times.entry(anchor.clone()).or_default();
        *times += 1;
        if *times == 1 { anchor } else { format!("{anchor}-{}", *times - 1) }
    };
    let headings = prose(text).filter(|(_, line)| line.starts_with('#'));
    headings.map(|(_, line)| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn every_relative_link_resolves() {
    let mut broken = Vec::new();
    for page in markdown() {
        let path = root().join(&page);
        let folder = path.parent().expect("a folder");
        let text = read(&page);
        let is_relative = |target: &str| !target.contains("://") && !target.starts_with("mailto:");
        for (line, target) in links(&text).into_iter().filter(|(_, target)| is_relative(target)) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { folder.join(file) };
            if !file.exists() {
                broken.push(format!("{page}:{line}: there is no file {target}"));
            } else if !anchor.is_empty() && !anchors(&fs::read_to_string(file).unwrap_or_default()).contains(anchor) {
                broken.push(format!("{page}:{line}: there is no heading {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn links_and_anchors_are_found() {
    let text = "# `drctl up`: build it\n[a](b.md#c), [`d`](e)\n```sh\n# no heading, [no](link)\n```\n## What's kept\n## What's kept\n";
    assert_eq!(links(text), [(2, "b.md#c"), (2, "e")]);
    assert!(anchors(text).iter().eq(["drctl-up-build-it", "whats-kept", "whats-kept-1"]));
}
