//! `[database]`: the Aurora global database.

use std::fmt::{self, Display, Formatter};

use serde::{Serialize, Serializer};

use super::error::Problem;
use super::section::{Section, as_text};
use super::window::{DailyWindow, WeeklyWindow};

/// The global database: the same settings apply in both Regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Database {
    /// Version of Aurora's `PostgreSQL` engine. Default 17.7, in standard support until 2030-02.
    pub engine_version: EngineVersion,
    /// Class of the instance in each Region. Default `db.r6g.large`.
    pub instance_class: InstanceClass,
    /// Minimum capacity of `db.serverless`, in Aurora capacity units of 2 GiB; has no effect on other classes.
    /// Default 8, the minimum that AWS recommends for the primary of a global database.
    pub min_acu: u32,
    /// Maximum capacity of `db.serverless`, in the same units. Default 32.
    pub max_acu: u32,
    /// The database inside the cluster. Default `payments`.
    pub database_name: String,
    /// The owner of the cluster; the password is generated and never leaves AWS. Default `payments_admin`.
    pub master_username: String,
    /// How many days automatic backups are kept, and with them the snapshot of the writes that a failover lost. Default 7.
    pub backup_retention_days: u32,
    /// When the daily backup is taken, in UTC. Default `03:00-04:00`.
    pub backup_window: DailyWindow,
    /// When AWS may do maintenance on the cluster, in UTC. Default `sun:05:00-sun:06:00`.
    pub maintenance_window: WeeklyWindow,
}

/// A version of the engine, such as 17.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EngineVersion {
    /// The major version of `PostgreSQL`.
    pub major: u16,
    /// The minor version.
    pub minor: u16,
}

impl Display for EngineVersion {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

impl Serialize for EngineVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text(self, serializer)
    }
}

/// What an instance of the cluster runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceClass {
    /// `db.serverless`: scales between `min_acu` and `max_acu`.
    Serverless,
    /// A memory-optimised class, such as `db.r6g.large`.
    Provisioned(String),
}

impl InstanceClass {
    /// The class as AWS writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Serverless => "db.serverless",
            Self::Provisioned(class) => class,
        }
    }
}

impl Display for InstanceClass {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for InstanceClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text(self, serializer)
    }
}

impl Database {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let engine_version = section.text("engine_version", ENGINE, "17.7", engine_version).value;
        let default_class = InstanceClass::Provisioned("db.r6g.large".to_owned());
        let instance_class = section.text("instance_class", default_class, "db.r6g.large", instance_class).value;

        let acu = "Aurora Serverless scales between 1 and 256 capacity units";
        let min_acu = section.integer("min_acu", 8, 1..=256, acu);
        let max_acu = section.integer("max_acu", 32, 1..=256, acu);
        if min_acu.is_sound() && max_acu.is_sound() && min_acu.value > max_acu.value {
            let problem = Problem::new(
                format!("min_acu ({}) is greater than max_acu ({})", min_acu.value, max_acu.value),
                format!("Write a max_acu of at least {}, or a smaller min_acu.", min_acu.value),
            );
            section.refuse(max_acu.blame(problem, &min_acu, "min_acu is here"));
        }

        let database_name = section
            .text("database_name", "payments".to_owned(), "payments", |text| {
                identifier("database_name", text, "payments", RESERVED_DATABASES)
            })
            .value;
        let master_username = section
            .text("master_username", "payments_admin".to_owned(), "payments_admin", |text| {
                identifier("master_username", text, "payments_admin", RESERVED_USERS)
            })
            .value;

        let backup_retention_days = section
            .integer("backup_retention_days", 7, 1..=35, "Aurora keeps automatic backups for 1 to 35 days")
            .value;
        let backup_window = section.text("backup_window", BACKUP, "03:00-04:00", backup_window);
        let maintenance_window =
            section.text("maintenance_window", MAINTENANCE, "sun:05:00-sun:06:00", maintenance_window);
        if backup_window.is_sound()
            && maintenance_window.is_sound()
            && backup_window.value.overlaps(maintenance_window.value)
        {
            let problem = Problem::new(
                format!(
                    "the maintenance window {} overlaps the daily backup window {}, which AWS does not allow",
                    maintenance_window.value, backup_window.value
                ),
                "Move one of them, for example `maintenance_window = \"sun:05:00-sun:06:00\"` with \
                 `backup_window = \"03:00-04:00\"`.",
            );
            section.refuse(maintenance_window.blame(problem, &backup_window, "the backup window is here"));
        }

        Self {
            engine_version,
            instance_class,
            min_acu: min_acu.value,
            max_acu: max_acu.value,
            database_name,
            master_username,
            backup_retention_days,
            backup_window: backup_window.value,
            maintenance_window: maintenance_window.value,
        }
    }
}

const ENGINE: EngineVersion = EngineVersion { major: 17, minor: 7 };
const BACKUP: DailyWindow = DailyWindow::of_hours(3, 1);
const MAINTENANCE: WeeklyWindow = WeeklyWindow::of_sunday(5, 1);

/// The oldest major version in standard support; source: Aurora `PostgreSQL` release calendar, where 13 ended on
/// 2026-02-28. drctl opts out of extended support, so AWS would refuse older ones.
const OLDEST_MAJOR: u16 = 14;

fn engine_version(text: &str) -> Result<EngineVersion, Problem> {
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
    let version = text
        .split_once('.')
        .and_then(|(major, minor)| Some(EngineVersion { major: number(major)?, minor: number(minor)? }));
    match version {
        Some(version) if version.major >= OLDEST_MAJOR => Ok(version),
        Some(version) => Err(Problem::new(
            format!(
                "Aurora PostgreSQL {version} is out of standard support, and AWS creates such a cluster only with paid \
                 extended support"
            ),
            format!("Write `engine_version = \"{ENGINE}\"`, or any version from {OLDEST_MAJOR} on."),
        )),
        None => Err(Problem::new(
            format!("`{text}` is not a version of Aurora PostgreSQL, which has a major and a minor number"),
            format!("Write `engine_version = \"{ENGINE}\"`."),
        )),
    }
}

fn instance_class(text: &str) -> Result<InstanceClass, Problem> {
    const BETTER: &str = "Write `instance_class = \"db.r6g.large\"`";
    if text == "db.serverless" {
        return Ok(InstanceClass::Serverless);
    }
    let is_part = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let parts = text.strip_prefix("db.").and_then(|rest| rest.split_once('.'));
    let Some((family, _)) = parts.filter(|(family, size)| is_part(family) && is_part(size) && !size.is_empty()) else {
        return Err(Problem::new(
            format!("`{text}` is not the name of an instance class (db, family and size, in lower case)"),
            format!("{BETTER}, or `\"db.serverless\"`."),
        ));
    };
    let series = family.trim_start_matches(|letter: char| letter.is_ascii_lowercase());
    let digits = series.find(|letter: char| !letter.is_ascii_digit()).map_or(series, |end| &series[..end]);
    let generation = digits.parse::<u16>().unwrap_or(0);
    match family.as_bytes() {
        [b't', ..] => Err(Problem::new(
            format!("{text} is a burstable class, and burstable classes are not supported by Aurora Global Database"),
            format!("{BETTER}, or `\"db.serverless\"`, which costs less under a light load."),
        )),
        [b'r', b'0'..=b'9', ..] if generation >= 5 => Ok(InstanceClass::Provisioned(text.to_owned())),
        [b'x', b'0'..=b'9', ..] if generation >= 2 => Ok(InstanceClass::Provisioned(text.to_owned())),
        _ => Err(Problem::new(
            format!(
                "{text} is not supported by Aurora Global Database, which runs on memory-optimised classes from \
                 db.r5 on"
            ),
            format!("{BETTER}, or `\"db.serverless\"`."),
        )),
    }
}

/// Databases that exist in every cluster.
const RESERVED_DATABASES: &[&str] = &["postgres", "rdsadmin", "template0", "template1"];

/// Names that Aurora refuses for the owner, because they are its own or SQL keywords.
const RESERVED_USERS: &[&str] =
    &["admin", "postgres", "rdsadmin", "rds_superuser", "rdsproxyadmin", "public", "user", "none"];

/// Source: `DatabaseName` and `MasterUsername` of `CreateDBCluster` in the RDS API, for Aurora `PostgreSQL`.
fn identifier(key: &str, text: &str, example: &str, reserved: &[&str]) -> Result<String, Problem> {
    let advice = format!("Write `{key} = \"{example}\"`, or another name of this form.");
    let is_form = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_form {
        let message = format!(
            "`{text}` is not a valid {key}: PostgreSQL requires at most 63 lower-case letters, digits and underscores, \
             starting with a letter"
        );
        return Err(Problem::new(message, advice));
    }
    if reserved.contains(&text) || text.starts_with("pg_") {
        return Err(Problem::new(format!("`{text}` is not a valid {key}: Aurora reserves that name"), advice));
    }
    Ok(text.to_owned())
}

fn backup_window(text: &str) -> Result<DailyWindow, Problem> {
    DailyWindow::parse(text).ok_or_else(|| {
        Problem::new(
            format!("`{text}` is not a daily window of half an hour or more (hh:mm-hh:mm, UTC)"),
            format!("Write `backup_window = \"{BACKUP}\"`."),
        )
    })
}

fn maintenance_window(text: &str) -> Result<WeeklyWindow, Problem> {
    WeeklyWindow::parse(text).ok_or_else(|| {
        Problem::new(
            format!(
                "`{text}` is not a weekly window of half an hour or more (ddd:hh:mm-ddd:hh:mm, UTC, days in lower case)"
            ),
            format!("Write `maintenance_window = \"{MAINTENANCE}\"`."),
        )
    })
}
