//! What RDS records of a global database: AWS's events, with their ids and texts.
//!
//! The texts and categories are those of
//! <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Events.Messages.html>; `global failover` is written
//! `global-failover` in the API (keycloak/keycloak-benchmark, `provision/aws/rds`). See
//! docs/aws-behaviour.md#global-database-events.

use std::sync::Mutex;

use jiff::Timestamp;

use super::operation::Member;
use crate::sync::lock;

const GLOBAL: &[&str] = &["global-failover"];
const NOTIFICATION: &[&str] = &["notification"];
const FENCE: &[&str] = &["notification", "global database"];

/// Something that happened to a global database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A switchover has started.
    SwitchoverStarted,
    /// A switchover waits for the members that are behind: which, and how far.
    Waiting(String),
    /// The old primary takes no more writes, and everything has arrived.
    OldPrimaryShutDown,
    /// The new primary takes writes.
    Promoted,
    /// A switchover is over.
    SwitchoverFinished,
    /// A switchover was given up, and nothing has changed.
    SwitchoverCancelled,
    /// A switchover failed, and nothing has changed.
    SwitchoverFailed,
    /// A failover is over.
    FailedOver,
    /// A failover failed, and nothing has changed.
    FailoverFailed,
    /// A cluster that a failover left behind is being rebuilt.
    ResyncStarted,
    /// It follows the new primary.
    ResyncFinished,
    /// Its volume is being replaced.
    VolumeReplacementStarted,
    /// Its volume has been replaced.
    VolumeReplaced,
    /// The old primary's storage takes no more writes.
    WritesBlocked,
    /// Whether the old primary's storage takes writes is not known.
    WritesNotBlocked,
    /// The global writer endpoint leads to the new primary.
    WriterEndpointMoved,
}

impl Happening {
    /// AWS's number of the event, as in `RDS-EVENT-0181`. `DescribeEvents` does not show it.
    pub(crate) fn id(&self) -> &'static str {
        match self {
            Self::SwitchoverStarted => "RDS-EVENT-0181",
            Self::OldPrimaryShutDown => "RDS-EVENT-0182",
            Self::Waiting(_) => "RDS-EVENT-0183",
            Self::Promoted => "RDS-EVENT-0184",
            Self::SwitchoverFinished => "RDS-EVENT-0185",
            Self::SwitchoverCancelled => "RDS-EVENT-0186",
            Self::SwitchoverFailed => "RDS-EVENT-0187",
            Self::FailedOver => "RDS-EVENT-0238",
            Self::FailoverFailed => "RDS-EVENT-0239",
            Self::ResyncStarted => "RDS-EVENT-0240",
            Self::ResyncFinished => "RDS-EVENT-0241",
            Self::WritesBlocked => "RDS-EVENT-0390",
            Self::WritesNotBlocked => "RDS-EVENT-0391",
            Self::WriterEndpointMoved => "RDS-EVENT-0397",
            Self::VolumeReplacementStarted => "RDS-EVENT-0512",
            Self::VolumeReplaced => "RDS-EVENT-0513",
        }
    }

    /// AWS's text about the cluster `name` in `region`.
    fn message(&self, Member { name, region, .. }: &Member) -> String {
        let switchover = format!("Global switchover to DB cluster {name} in Region {region}");
        let failover = format!("Global failover to DB cluster {name} in Region {region}");
        let members = format!("members of DB cluster {name} in Region {region} after global failover.");
        let fence = format!("Attempt to block writes for DB cluster {name} in Region {region}");
        match self {
            Self::SwitchoverStarted => format!("{switchover} started."),
            Self::Waiting(lags) => format!(
                "Waiting for data synchronization across global cluster members. Current lags behind primary DB cluster: \
                 {lags}."
            ),
            Self::OldPrimaryShutDown => {
                format!("Old primary DB cluster {name} in Region {region} successfully shut down.")
            }
            Self::Promoted => format!("New primary DB cluster {name} in Region {region} was successfully promoted."),
            Self::SwitchoverFinished => format!("{switchover} finished."),
            Self::SwitchoverCancelled => format!("{switchover} is cancelled."),
            Self::SwitchoverFailed => format!("{switchover} failed."),
            Self::FailedOver => format!("{failover} completed."),
            Self::FailoverFailed => format!("{failover} failed."),
            Self::ResyncStarted => format!("Started resynchronizing {members}"),
            Self::ResyncFinished => format!("Finished resynchronizing {members}"),
            Self::VolumeReplacementStarted => format!("Volume replacement for DB cluster {name} started."),
            Self::VolumeReplaced => format!("Volume replacement for DB cluster {name} completed."),
            Self::WritesBlocked => format!("{fence} succeeded."),
            Self::WritesNotBlocked => format!("{fence} timed out."),
            Self::WriterEndpointMoved => {
                "Aurora finished changing the DNS name that the global writer endpoint resolves to.".to_owned()
            }
        }
    }

    fn categories(&self) -> &'static [&'static str] {
        match self {
            Self::WritesBlocked | Self::WritesNotBlocked => FENCE,
            Self::VolumeReplacementStarted | Self::VolumeReplaced => NOTIFICATION,
            _ => GLOBAL,
        }
    }

    fn is_of_an_instance(&self) -> bool {
        matches!(self, Self::WritesBlocked | Self::WritesNotBlocked)
    }
}

/// An event, as `DescribeEvents` shows it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// AWS's number of it.
    pub(crate) id: &'static str,
    pub(crate) at: Timestamp,
    pub(crate) message: String,
    pub(crate) categories: &'static [&'static str],
    /// `db-cluster` or `db-instance`.
    pub(crate) source_type: &'static str,
    /// The name of the cluster or instance, and its ARN.
    pub(crate) source: String,
    pub(crate) source_arn: String,
    account: String,
    region: String,
}

/// The events of all accounts, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Events {
    recorded: Mutex<Vec<Event>>,
}

impl Events {
    /// Records what happened to the cluster `about` in the Region of the member `place`, whose event it is.
    pub(super) fn record(&self, account: &str, place: &Member, happening: &Happening, about: &Member) {
        // A cluster without instances has none that the event could be of.
        let instance = place.instances.first().filter(|_| happening.is_of_an_instance());
        let (source_type, source, source_arn) = match instance {
            Some(instance) => {
                let arn = format!("arn:aws:rds:{}:{account}:db:{instance}", place.region);
                ("db-instance", instance.clone(), arn)
            }
            None => ("db-cluster", place.name.clone(), place.arn.clone()),
        };
        let event = Event {
            id: happening.id(),
            at: Timestamp::now(),
            message: happening.message(about),
            categories: happening.categories(),
            source_type,
            source,
            source_arn,
            account: account.to_owned(),
            region: place.region.clone(),
        };
        tracing::debug!(account, region = place.region, id = event.id, message = event.message, "event of RDS");
        lock(&self.recorded).push(event);
    }

    /// Those of an account in a Region, the oldest first.
    pub(super) fn of(&self, account: &str, region: &str) -> Vec<Event> {
        let recorded = lock(&self.recorded);
        recorded.iter().filter(|event| event.account == account && event.region == region).cloned().collect()
    }

    pub(super) fn reset(&self) {
        lock(&self.recorded).clear();
    }
}
