//! The README's commands are run in its order, and their output is what it shows.
//!
//! In a `console` block a line `…` stands for any lines. What differs from run to run is compared by its shape: a word with a
//! digit in it matches any other.

use drctl_testkit::harness::{Ran, Stack};

struct Step {
    command: String,
    output: Vec<String>,
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("$ drctl ") {
                Some(command) => steps.push(Step { command: command.to_owned(), output: Vec::new() }),
                None => steps.last_mut().expect("a command before its output").output.push(line.to_owned()),
            },
        }
    }
    steps
}

/// Ids, addresses, ports and times give way to `#`; spaces count only as such.
fn shape(line: &str) -> String {
    // Hints repeat the options of their command, and the tests' commands are without this one.
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
    let found: Vec<String> = ran.stdout.lines().map(shape).collect();
    let mut at = 0;
    let mut skipping = false;
    for expected in &step.output {
        if expected == "…" {
            skipping = true;
            continue;
        }
        let expected = shape(expected);
        let next = found[at..].iter().position(|line| *line == expected);
        match next {
            Some(offset) if skipping || offset == 0 => at += offset + 1,
            _ => panic!("drctl {}: `{expected}` is not in its place, line {at}:\n{}", step.command, ran.stdout),
        }
        skipping = false;
    }
    assert!(skipping || at == found.len(), "drctl {} says more than the README:\n{}", step.command, ran.stdout);
}

#[test]
fn every_command_in_the_readme_does_what_it_shows() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let steps = steps(&readme);
    assert!(steps.len() >= 10, "{} commands", steps.len());
    let stack = Stack::new();
    for step in &steps {
        // The tests' own sandbox stands in for the one that `--sandbox` would start.
        let args: Vec<&str> = step.command.split(' ').filter(|arg| *arg != "--sandbox").collect();
        let ran = stack.run(&args).exits(0);
        assert_shows(step, &ran);
    }
}

#[test]
fn every_command_is_in_the_readme() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let help = Stack::new().run(&["--help"]).exits(0).stdout;
    let commands = help.split("Commands:").nth(1).expect("commands").lines();
    for line in commands.take_while(|line| !line.starts_with("Options")).filter(|line| line.starts_with("  ")) {
        let name = line.split_whitespace().next().unwrap_or_default();
        if name != "help" && line.starts_with("  ") && !line.starts_with("   ") {
            assert!(readme.contains(&format!("drctl {name}")), "`drctl {name}` is not in the README");
        }
    }
}
