//! `drctl.toml` → typed [`Config`].
//!
//! Every value has a default, so an empty file and a missing one are valid. Invalid settings are refused before the first
//! call to AWS, all of them at once, each with its line, its column, and what to write instead ([`ConfigError`]).
//!
//! A file is read section by section: `document` parses the TOML and reports unknown names, `section` reads typed values
//! and remembers their places, and each type below reads and checks its own section. Only rules that concern several
//! sections are checked separately (`naming`: the names that AWS will see).

mod alerts;
mod api;
mod application;
mod database;
mod dns;
mod document;
mod error;
mod function;
mod iam;
mod naming;
mod network;
mod protection;
mod regions;
mod section;
mod stack;
mod suggest;
mod tags;
mod window;

#[cfg(test)]
mod tests;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;

pub use alerts::Alerts;
pub use api::{Api, Auth};
pub use application::{Sessions, Storage};
pub use database::{Database, EngineVersion, InstanceClass};
pub use dns::Dns;
pub use error::{ConfigError, Location, Problem};
pub use function::{Lambda, Ledger, Package};
pub use iam::Iam;
pub use network::{Nat, Network};
pub use protection::Protection;
pub use regions::{RegionName, Regions};
pub use stack::Stack;
pub use suggest::nearest;
pub use tags::Tags;
pub use window::{DailyWindow, WeeklyWindow};

use document::Document;
use stack::Identity;

/// The file that is read from the working folder when `--config` names no other.
pub const DEFAULT_FILE: &str = "drctl.toml";

/// What `drctl init` writes: every key, commented out, with its default and an explanation.
pub const TEMPLATE: &str = include_str!("template.toml");

/// A validated configuration: everything an operator can decide about a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Config {
    /// `[stack]`: the name of the stack.
    pub stack: Stack,
    /// `[regions]`: where it runs.
    pub regions: Regions,
    /// `[network]`: the two VPCs.
    pub network: Network,
    /// `[database]`: the Aurora global database.
    pub database: Database,
    /// `[sessions]`: the global DynamoDB table.
    pub sessions: Sessions,
    /// `[storage]`: the two buckets.
    pub storage: Storage,
    /// `[lambda]`: the function behind the API.
    pub lambda: Lambda,
    /// `[api]`: who may pay, and the HTTP API's throttling.
    pub api: Api,
    /// `[dns]`: the public name.
    pub dns: Dns,
    /// `[alerts]`: who receives alarms, at which thresholds, and how long logs are kept.
    pub alerts: Alerts,
    /// `[iam]`: the settings that all roles have in common.
    pub iam: Iam,
    /// `[tags]`: the tags of everything, in addition to drctl's own.
    pub tags: Tags,
    /// `[protection]`: whether the stack may be deleted.
    pub protection: Protection,
}

impl Config {
    /// Reads the configuration in `text`. `source_name` is its name in errors, usually its path. `environment` is the value
    /// of `--environment` or `ENVIRONMENT_SUFFIX`, which takes precedence over the file.
    ///
    /// # Errors
    /// If the text has problems: all of them, each with its place.
    pub fn parse(source_name: &str, text: &str, environment: Option<&str>) -> Result<Self, ConfigError> {
        let mut document = Document::parse(text).map_err(|problems| ConfigError::new(source_name, text, problems))?;

        let identity = document.section("stack", |section| Identity::read(section, environment));
        let regions = document.section("regions", Regions::read);
        let network = document.section("network", Network::read);
        let database = document.section("database", Database::read);
        let sessions = document.section("sessions", Sessions::read);
        let storage = document.section("storage", Storage::read);
        let lambda = document.section("lambda", Lambda::read);
        let api = document.section("api", Api::read);
        let dns = document.section("dns", |section| Dns::read(section, &identity.name()));
        let alerts = document.section("alerts", Alerts::read);
        let iam = document.section("iam", Iam::read);
        let tags = document.section("tags", tags::read);
        let protection = document.section("protection", Protection::read);
        document.refuse(naming::check(&identity, &regions));

        let problems = document.finish();
        if !problems.is_empty() {
            return Err(ConfigError::new(source_name, text, problems));
        }
        Ok(Self {
            stack: identity.into(),
            regions,
            network,
            database,
            sessions,
            storage,
            lambda,
            api,
            dns,
            alerts,
            iam,
            tags,
            protection,
        })
    }

    /// Reads the configuration at `path`. Without a path, reads `drctl.toml` in the working folder, or uses the defaults if
    /// there is no such file. `environment` is as for [`Config::parse`].
    ///
    /// # Errors
    /// As for [`Config::parse`]; also if the file cannot be read, is not UTF-8, or was named and does not exist.
    pub fn load(path: Option<&Path>, environment: Option<&str>) -> Result<Self, ConfigError> {
        Self::load_file(path.unwrap_or(Path::new(DEFAULT_FILE)), path.is_some(), environment)
    }

    /// A problem with a setting that shows only when it is used, such as a file that does not exist, at its place in the file at
    /// `path` (as for [`Config::load`]).
    #[must_use]
    pub fn unusable(
        path: Option<&Path>,
        section: &'static str,
        key: &'static str,
        message: &str,
        advice: &str,
    ) -> ConfigError {
        let file = path.unwrap_or(Path::new(DEFAULT_FILE));
        let problem = || Problem::new(message, advice);
        // It was read before. If it cannot be read any more, the problem has no place.
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut problems = match Document::parse(&text) {
            Ok(mut document) => {
                document.section(section, |section| section.text(key, (), "", |_| Err(problem())));
                document.finish()
            }
            Err(_) => Vec::new(),
        };
        // The rest of the file has been checked.
        problems.retain(|found| found.message() == problem().message());
        if problems.is_empty() {
            problems.push(problem());
        }
        ConfigError::new(&file.display().to_string(), &text, problems)
    }

    fn load_file(file: &Path, required: bool, environment: Option<&str>) -> Result<Self, ConfigError> {
        let name = file.display().to_string();
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            // The user made the link for the settings behind it, so the defaults would be wrong.
            Err(error) if error.kind() == ErrorKind::NotFound && !required && !file.is_symlink() => Vec::new(),
            Err(error) => return Err(ConfigError::unreadable(&name, &error)),
        };
        match String::from_utf8(bytes) {
            // NUL is valid UTF-8, but does not occur in text.
            Ok(text) if text.contains('\0') => Err(ConfigError::binary(&name, text.as_bytes())),
            Ok(text) => Self::parse(&name, &text, environment),
            Err(error) => Err(ConfigError::not_text(&name, &error)),
        }
    }

    /// What every name in AWS begins with: `{stack}-{environment}`, for example `payment-dr-prod`.
    #[must_use]
    pub fn name(&self) -> String {
        stack::joined(&self.stack.name, &self.stack.environment)
    }
}
