//! The options of a sandbox.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use serde::{Deserialize, Serialize};

use super::error::SandboxError;
use super::rules::faults::FaultFile;

/// Receives a line about what the sandbox is doing while the user waits.
pub type Progress<'a> = &'a (dyn Fn(&str) + Sync);

/// How long things take in the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// As fast as the emulator answers.
    #[default]
    Instant,
    /// AWS's typical durations divided by the time scale, and AWS's intermediate states.
    Aws,
}

impl Pace {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Instant, Self::Aws];

    /// Its name on the command line and in the record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Aws => "aws",
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Pace {
    type Err = SandboxError;

    fn from_str(name: &str) -> Result<Self, SandboxError> {
        Self::ALL.into_iter().find(|pace| pace.name() == name).ok_or_else(|| SandboxError::BadOption {
            option: "--pace",
            value: name.to_owned(),
            reason: "there is no such pace".to_owned(),
            help: "Write instant, the default, or aws.",
        })
    }
}

/// How long an emulator may take to accept a connection.
const UPSTREAM_WITHIN: Duration = Duration::from_secs(5);

/// The options of [`serve`](super::serve).
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The folder of the record, the locks, and the logs: `state/sandbox`.
    pub dir: PathBuf,
    /// The proxy's port; 0 takes a free one.
    pub port: u16,
    /// The name server's port, for UDP and TCP; 0 takes a free one.
    pub dns_port: u16,
    /// How long things take.
    pub pace: Pace,
    /// How many times faster than AWS the [`Pace::Aws`] pace is.
    pub time_scale: f64,
    /// The URL of the emulator to use instead of the sandbox's own MiniStack.
    pub upstream: Option<String>,
    /// The fault file that is in force from the start, for every account.
    pub faults: Option<PathBuf>,
    /// End when standard input ends: for test harnesses, so that no sandbox outlives a test run that is killed.
    pub exit_with_stdin: bool,
}

/// The options of [`Control::start`](super::Control::start).
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// How long things take.
    pub pace: Pace,
    /// How many times faster than AWS the [`Pace::Aws`] pace is.
    pub time_scale: f64,
    /// The proxy's port; 0 takes a free one.
    pub port: u16,
    /// The name server's port, for UDP and TCP; 0 takes a free one.
    pub dns_port: u16,
    /// The URL of the emulator to use instead of the sandbox's own MiniStack.
    pub upstream: Option<String>,
    /// The fault file that is in force from the start, for every account.
    pub faults: Option<PathBuf>,
}

/// An hour of AWS in a minute: slow enough to watch a NAT gateway being created, fast enough to keep watching.
const DEFAULT_TIME_SCALE: f64 = 60.0;

impl Default for StartOptions {
    fn default() -> Self {
        Self { pace: Pace::Instant, time_scale: DEFAULT_TIME_SCALE, port: 0, dns_port: 0, upstream: None, faults: None }
    }
}

impl fmt::Display for StartOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "pace {}", self.pace)?;
        if self.pace == Pace::Aws {
            write!(formatter, ", time scale {}", self.time_scale)?;
        }
        if self.port != 0 {
            write!(formatter, ", port {}", self.port)?;
        }
        if self.dns_port != 0 {
            write!(formatter, ", DNS port {}", self.dns_port)?;
        }
        if let Some(upstream) = &self.upstream {
            write!(formatter, ", upstream {upstream}")?;
        }
        if let Some(faults) = &self.faults {
            write!(formatter, ", faults {}", faults.display())?;
        }
        Ok(())
    }
}

/// Refuses a time scale that would make a duration endless, negative, or longer than a clock can hold.
pub(super) fn check_time_scale(time_scale: f64) -> Result<(), SandboxError> {
    if time_scale.is_finite() && (0.01..=1_000_000.0).contains(&time_scale) {
        return Ok(());
    }
    Err(SandboxError::BadOption {
        option: "--time-scale",
        value: time_scale.to_string(),
        reason: "it must be a number from 0.01 to 1000000".to_owned(),
        help: "Write 60, the default, to let a minute of AWS pass in a second; 1 is AWS's own speed.",
    })
}

/// Reads a fault file.
pub(super) fn read_faults(path: &Path) -> Result<FaultFile, SandboxError> {
    let refused = |reason: String| SandboxError::BadFaults { path: path.to_owned(), reason };
    let text =
        std::fs::read_to_string(path).map_err(|error| refused(format!("cannot be read as a fault file: {error}")))?;
    FaultFile::parse(&text).map_err(|reason| refused(format!("is not a valid fault file: {reason}")))
}

/// Refuses an emulator that cannot be reached: a sandbox in front of it would answer every call with that error.
pub(super) async fn reach_upstream(url: &str) -> Result<(), SandboxError> {
    let unreachable = |why: String| SandboxError::UpstreamSilent { url: url.to_owned(), why };
    let uri: Uri = url.parse().map_err(|error| unreachable(format!("{error}")))?;
    let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80));
    let connected = tokio::net::TcpStream::connect((host.trim_matches(['[', ']']), port));
    match tokio::time::timeout(UPSTREAM_WITHIN, connected).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(unreachable(error.to_string())),
        Err(_) => Err(unreachable(format!("no connection within {} s", UPSTREAM_WITHIN.as_secs()))),
    }
}

/// The URL as scheme and authority, without a trailing slash.
pub(super) fn check_upstream(url: &str) -> Result<String, SandboxError> {
    let refuse = |reason: &str| SandboxError::BadOption {
        option: "--upstream",
        value: url.to_owned(),
        reason: reason.to_owned(),
        help: "Write where the emulator listens, as in --upstream http://127.0.0.1:4566.",
    };
    let uri: Uri = url.parse().map_err(|error| refuse(&format!("it is not a URL ({error})")))?;
    if uri.scheme_str() != Some("http") {
        return Err(refuse("an emulator is reached over http:// only"));
    }
    let authority = uri.authority().ok_or_else(|| refuse("it has no host"))?;
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(refuse("it must end with the port, since the SDK adds the path"));
    }
    Ok(format!("http://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_reduced_to_scheme_and_authority() {
        assert_eq!(check_upstream("http://127.0.0.1:4566/").ok().as_deref(), Some("http://127.0.0.1:4566"));
        assert_eq!(check_upstream("http://localhost:4566").ok().as_deref(), Some("http://localhost:4566"));
        for bad in ["https://127.0.0.1:4566", "127.0.0.1:4566", "http://127.0.0.1:4566/path", "", "http://a b"] {
            assert!(check_upstream(bad).is_err(), "{bad} was accepted");
        }
    }

    #[tokio::test]
    async fn an_emulator_that_cannot_be_reached_is_named() -> Result<(), Box<dyn std::error::Error>> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        assert!(reach_upstream(&url).await.is_ok());
        drop(listener);
        let error = reach_upstream(&url).await.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(&format!("nothing answers at {url}")), "{error}");
        Ok(())
    }

    #[test]
    fn a_missing_fault_file_is_not_reported_as_a_full_disk() {
        use miette::Diagnostic as _;
        let error = read_faults(Path::new("no/such/faults.toml")).expect_err("the file does not exist");
        let help = error.help().map(|help| help.to_string()).unwrap_or_default();
        assert!(matches!(error, SandboxError::BadFaults { .. }) && !help.contains("disk"), "{error}: {help}");
        assert!(error.to_string().starts_with("no/such/faults.toml cannot be read"), "{error}");
    }

    #[test]
    fn an_unusable_time_scale_is_refused() {
        assert!(check_time_scale(60.0).is_ok());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-9] {
            assert!(check_time_scale(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn a_pace_is_written_in_lower_case() {
        assert_eq!(serde_json::to_string(&Pace::Aws).ok().as_deref(), Some("\"aws\""));
        assert_eq!(Pace::Instant.to_string(), "instant");
    }

    #[test]
    fn every_pace_is_read_back_by_its_name() {
        for pace in Pace::ALL {
            assert_eq!(pace.to_string().parse::<Pace>().ok(), Some(pace));
            assert_eq!(serde_json::to_value(pace).ok(), Some(pace.name().into()));
        }
        let error = "Instant".parse::<Pace>().expect_err("names are in lower case");
        assert_eq!(error.to_string(), "--pace = Instant cannot be used: there is no such pace");
    }
}
