//! What a configuration says, where it is read from, and what a refusal looks like.

mod fuzz;
mod refusals;
mod values;

use std::fs;

use miette::{GraphicalReportHandler, GraphicalTheme};

use super::{Config, ConfigError, Location, Nat, Package, TEMPLATE};

/// The report as an operator sees it, without colours.
fn rendered(error: &ConfigError) -> String {
    let mut report = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(160)
        .render_report(&mut report, error)
        .expect("a report can be written into a String");
    report
}

/// Parses `marked`, in which `§` marks the place of the only problem, and checks the place, the message and the advice.
fn refuses(marked: &str, message: &str, advice: &str) {
    let (before, _) = marked.split_once('§').expect("the test marks a place");
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let wanted = Location { line: before.matches('\n').count() + 1, column: before.len() - line_start + 1 };

    let error = Config::parse("drctl.toml", &marked.replace('§', ""), None).expect_err("this must be refused");
    let [problem] = error.problems() else { panic!("one problem expected:\n{}", rendered(&error)) };
    assert_eq!(problem.location(), Some(wanted), "{}", rendered(&error));
    assert!(problem.message().contains(message), "message of:\n{}", rendered(&error));
    assert!(problem.advice().contains(advice), "advice of:\n{}", rendered(&error));

    let place = format!("drctl.toml:{}:{}", wanted.line, wanted.column);
    assert!(rendered(&error).contains(&place), "{place} in:\n{}", rendered(&error));
}

fn accepts(text: &str) -> Config {
    Config::parse("drctl.toml", text, None).unwrap_or_else(|error| panic!("{text}\n{}", rendered(&error)))
}

/// The template with every `# key = value` uncommented.
fn template_in_use() -> String {
    let is_setting = |line: &str| {
        line.split_once(" = ").is_some_and(|(key, _)| {
            !key.is_empty()
                && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        })
    };
    let lines: Vec<&str> =
        TEMPLATE.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line)).collect();
    lines.join("\n")
}

#[test]
fn an_empty_file_means_the_defaults() {
    let config = accepts("");
    assert_eq!(config.name(), "payment-dr-dev");
    assert_eq!(config.regions.primary.as_str(), "us-east-1");
    assert_eq!(config.regions.secondary.as_str(), "us-east-2");
    assert_eq!(config.network.primary_cidr.to_string(), "10.0.0.0/16");
    assert_eq!(config.network.secondary_cidr.to_string(), "10.1.0.0/16");
    assert_eq!(config.network.nat, Nat::PerAz);
    assert_eq!(config.database.engine_version.to_string(), "17.7");
    assert_eq!(config.database.instance_class.as_str(), "db.r6g.large");
    assert_eq!(config.lambda.package, Package::BuiltIn);
    assert_eq!(config.lambda.reserved_concurrency, None);
    assert_eq!(config.dns.domain, "payment-dr-dev.example.com");
    assert_eq!(config.dns.public_name(), "api.payment-dr-dev.example.com");
    assert!(config.dns.is_placeholder());
    assert_eq!(config.alerts.log_retention_days, 30);
    assert!(!config.protection.deletion);
}

#[test]
fn the_template_changes_nothing() {
    assert_eq!(accepts(TEMPLATE), accepts(""));
}

#[test]
fn the_template_shows_the_defaults() {
    let text = template_in_use();
    assert!(text.contains("\nname = \"payment-dr\"\n"), "{text}");
    assert!(text.contains("\ndeletion = false"), "{text}");
    assert_eq!(accepts(&text), accepts(""));
}

#[test]
fn the_template_shows_every_key() {
    let in_use = template_in_use();
    let sections: Vec<&str> =
        in_use.lines().filter_map(|line| line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))).collect();
    assert_eq!(sections.len(), 13);
    // The operator chooses the keys of [tags].
    for section in sections.into_iter().filter(|section| *section != "tags") {
        let shown: Vec<String> = in_use
            .lines()
            .skip_while(|line| *line != format!("[{section}]"))
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(" = ").map(|(key, _)| format!("`{key}`")))
            .collect();
        // A name that resembles no key makes the refusal list all keys of the section.
        let error = Config::parse("drctl.toml", &format!("[{section}]\nqqqqqqqqqqqq = 1"), None)
            .expect_err("no section knows this key");
        let wanted = format!("The keys of [{section}] are {}.", shown.join(", "));
        assert_eq!(error.problems().iter().map(super::Problem::advice).collect::<Vec<_>>(), [wanted]);
    }
}

#[test]
fn the_environment_of_the_command_line_takes_precedence() {
    let text = "[stack]\nenvironment = \"staging\"";
    for (given, name) in
        [(None, "payment-dr-staging"), (Some("prod"), "payment-dr-prod"), (Some("pr-123"), "payment-dr-pr-123")]
    {
        let config = Config::parse("drctl.toml", text, given).expect("the environment is valid");
        assert_eq!(config.name(), name);
        assert_eq!(config.dns.domain, format!("{name}.example.com"));
    }
}

#[test]
fn an_invalid_environment_of_the_command_line_is_reported_with_its_origin() {
    for (given, message, advice) in [
        ("Prod_EU", "`Prod_EU`, given by --environment or ENVIRONMENT_SUFFIX", "`--environment prod-eu`"),
        ("", "given by --environment or ENVIRONMENT_SUFFIX is empty", "`--environment prod`"),
        ("\u{7}", "given by --environment or ENVIRONMENT_SUFFIX", "unset ENVIRONMENT_SUFFIX"),
    ] {
        let error = Config::parse("drctl.toml", "", Some(given)).expect_err("this must be refused");
        let [problem] = error.problems() else { panic!("one problem expected:\n{}", rendered(&error)) };
        assert_eq!(problem.location(), None);
        assert!(problem.message().contains(message), "{}", problem.message());
        assert!(problem.advice().contains(advice), "{}", problem.advice());
    }
}

#[test]
fn all_problems_are_shown_at_once_in_the_order_of_the_file() {
    let text =
        "[network]\nnat = \"double\"\nprimary_cidr = 10\n\n[stak]\n\n[database]\ninstance_class = \"db.t3.medium\"\n";
    let error = Config::parse("conf/drctl.toml", text, Some("NO")).expect_err("five things are wrong");
    let lines: Vec<Option<usize>> =
        error.problems().iter().map(|problem| problem.location().map(|location| location.line)).collect();
    assert_eq!(lines, [None, Some(2), Some(3), Some(5), Some(8)]);
    assert_eq!(error.to_string(), "conf/drctl.toml has 5 problems");
    let report = rendered(&error);
    for place in ["conf/drctl.toml:2:7", "conf/drctl.toml:3:16", "conf/drctl.toml:5:2", "conf/drctl.toml:8:18"] {
        assert!(report.contains(place), "{place} in:\n{report}");
    }
    for problem in error.problems() {
        assert!(!problem.advice().is_empty());
    }
}

#[test]
fn a_single_problem_is_its_own_headline() {
    let error = Config::parse("drctl.toml", "[network]\nnat = 1", None).expect_err("a number is not a kind of NAT");
    assert_eq!(error.to_string(), "`nat` in [network] must be a string, not a whole number");
    assert!(rendered(&error).contains("help: Write `nat = \"per-az\"` or `nat = \"single\"`."));
}

#[test]
fn the_file_that_is_named_is_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("drctl.toml");
    fs::write(&file, "[stack]\nname = \"ledger\"\n").expect("the file can be written");
    let config = Config::load(Some(&file), Some("prod")).expect("the file is valid");
    assert_eq!(config.name(), "ledger-prod");
}

#[test]
fn a_missing_file_means_the_defaults_unless_it_was_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("drctl.toml");
    let config = Config::load_file(&file, false, None).expect("no file is needed");
    assert_eq!(config, accepts(""));

    let error = Config::load(Some(&file), None).expect_err("a named file must exist");
    assert_eq!(error.to_string(), format!("there is no configuration file `{}`", file.display()));
    assert!(rendered(&error).contains("drctl init"));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_not_treated_as_a_missing_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("drctl.toml");
    std::os::unix::fs::symlink(folder.path().join("gone.toml"), &file).expect("a link can be made");
    let error = Config::load_file(&file, false, None).expect_err("the settings behind the link are missing");
    assert!(error.to_string().contains("there is no configuration file"), "{error}");
}

#[test]
fn a_folder_is_not_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let error = Config::load(Some(folder.path()), None).expect_err("a folder cannot be read");
    assert_eq!(error.to_string(), format!("`{}` is a folder, not a configuration file", folder.path().display()));
}

#[test]
fn nothing_of_a_binary_file_is_shown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("drctl.toml");
    let program: Vec<u8> = b"\x7fELF\x02\x01\x01\0"
        .iter()
        .copied()
        .chain((0..6000_u32).map(|n| u8::try_from(n * 7 % 256).expect("a byte")))
        .collect();
    let cases: [(&[u8], &str); 3] = [
        (&program, "is not a text file"),
        (b"a = \"\0\"\n", "is not a text file"),
        (b"\xff\xfe[\0s\0", "is UTF-16 text"),
    ];
    for (bytes, said) in cases {
        fs::write(&file, bytes).expect("the file can be written");
        let error = Config::load(Some(&file), None).expect_err("the file is not text");
        let shown = rendered(&error);
        assert!(error.to_string().contains(said) && shown.len() < 600, "{shown}");
    }
}

#[test]
fn text_in_another_encoding_is_refused_at_its_place() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("drctl.toml");
    fs::write(&file, b"[stack]\n# stra\xdfe\n").expect("the file can be written");
    let error = Config::load(Some(&file), None).expect_err("Latin-1 is not UTF-8");
    let [problem] = error.problems() else { panic!("one problem expected:\n{}", rendered(&error)) };
    assert_eq!(problem.location(), Some(Location { line: 2, column: 7 }));
    assert!(problem.message().ends_with("is not UTF-8 text, which TOML requires"), "{problem}");
    assert!(rendered(&error).contains("drctl.toml:2:7"), "{}", rendered(&error));
}
