//! The pipes between Regions, and the doors for clients, as the conditions of the Regions have them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::account::{Account, Role, State};
use super::{Shared, life};
use crate::sync::lock;
use crate::world::postgres::Stop;
use crate::world::regions::{Condition, Place};

/// The signing name by which the conditions of Regions know the databases.
const SERVICE: &str = "rds";

/// How late changes are on AWS: "typically under a second",
/// <https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.html>.
const LAG_MILLIS: std::ops::RangeInclusive<u64> = 100..=800;

/// Whether changes get from one Region to another.
pub(super) fn connects(shared: &Shared, account: &str, from: &str, to: &str) -> bool {
    let at = |region| Place { region, service: SERVICE };
    shared.regions.connects(account, at(from), at(to))
}

/// Whether a Region's databases answer at all.
pub(super) fn answers(shared: &Shared, account: &str, region: &str) -> bool {
    !matches!(shared.regions.condition(account, Place { region, service: SERVICE }), Condition::Out(_))
}

/// The lag that was ordered for an account, or for all of them.
pub(super) fn ordered_lag(shared: &Shared, account: Option<&str>) -> Option<Duration> {
    let lags = lock(&shared.lags);
    lags.get(&account.map(str::to_owned)).or_else(|| lags.get(&None)).copied()
}

/// How late changes are in a secondary cluster. Unless it was ordered, each cluster has a lag of its own, and none at all if
/// nothing takes AWS's time.
fn lag(shared: &Shared, account: &str, arn: &str) -> Duration {
    if let Some(ordered) = ordered_lag(shared, Some(account)) {
        return ordered;
    }
    let Some(scale) = shared.scale else { return Duration::ZERO };
    let span = LAG_MILLIS.end() - LAG_MILLIS.start() + 1;
    // FNV-1a, so that the same cluster is always as late.
    let hash = arn
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let lag = Duration::from_millis(LAG_MILLIS.start() + hash % span);
    Duration::try_from_secs_f64(lag.as_secs_f64() / scale).unwrap_or_default()
}

/// Makes the pipes and doors of an account what they have to be at the moment.
pub(super) fn apply(shared: &Arc<Shared>, account: &Arc<Account>) {
    let returned: Vec<u64> = account.read(|catalogue| {
        let mut returned = Vec::new();
        for (number, cluster) in catalogue.live() {
            if let Some(door) = &cluster.door {
                if answers(shared, &account.id, &cluster.region) { door.restore() } else { door.cut() }
            }
            let Some((_, writer)) = cluster.global.as_deref().and_then(|global| catalogue.writer(global)) else {
                continue;
            };
            let connects = connects(shared, &account.id, &writer.region, &cluster.region);
            if let Some(stream) = cluster.stream.as_ref().filter(|_| cluster.role == Role::Secondary) {
                if let Some(port) = writer.server.as_ref().and_then(|server| server.port()) {
                    stream.set_target(port);
                }
                stream.set_lag(lag(shared, &account.id, &cluster.arn));
                if connects { stream.restore() } else { stream.cut() }
            }
            let is_back = matches!(cluster.role, Role::Replaced { .. }) && cluster.state == State::Serving;
            if is_back && connects {
                returned.push(number);
            }
        }
        returned
    });
    for number in returned {
        fence_replaced(account, number);
    }
}

/// Ends the server of a cluster that was replaced as the writer and does not know it yet: on AWS, its storage takes no
/// writes from the moment on at which it hears of it.
fn fence_replaced(account: &Arc<Account>, number: u64) {
    account.change_one(number, |cluster| cluster.state = State::Unavailable(super::switch::REPLACED));
    let of = Arc::clone(account);
    drop(account.enqueue(async move {
        // It may have rejoined before its turn.
        let replaced = of.read(|catalogue| {
            let cluster = catalogue.clusters.get(&number)?;
            cluster.server.clone().filter(|_| matches!(cluster.role, Role::Replaced { .. }))
        });
        let Some(server) = replaced else { return };
        if let Err(error) = server.stop(Stop::Immediate).await {
            tracing::error!(why = life::explained(&error), "cannot stop a cluster that was replaced as the writer");
        }
    }));
}

/// Follows the conditions of the Regions from now on, if it has not done so before.
pub(super) fn follow(shared: &Arc<Shared>) {
    if shared.follows.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut changed = shared.regions.changed();
    let shared = Arc::downgrade(shared);
    tokio::spawn(async move {
        while changed.changed().await.is_ok() {
            let Some(shared) = shared.upgrade() else { return };
            let accounts: Vec<Arc<Account>> = lock(&shared.accounts).values().cloned().collect();
            for account in accounts {
                apply(&shared, &account);
                life::waiting(&shared, &account);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::Aurora;
    use super::*;
    use crate::world::regions::Regions;

    #[test]
    fn the_lag_is_realistic_at_the_pace_of_aws_and_can_be_set() {
        let of = |aurora: &Aurora, arn: &str| lag(&aurora.shared, "111122223333", arn);
        let instant = Aurora::new(None, &Regions::default(), None);
        assert_eq!(of(&instant, "arn:b"), Duration::ZERO);
        let aws = Aurora::new(None, &Regions::default(), Some(10.0));
        for arn in ["arn:a", "arn:b", "arn:c"] {
            let lag = of(&aws, arn);
            assert!(lag >= Duration::from_millis(10) && lag <= Duration::from_millis(80), "{lag:?}");
        }
        for aurora in [instant, aws] {
            let usual = of(&aurora, "arn:b");
            aurora.set_lag(None, Some(Duration::from_secs(3)));
            aurora.set_lag(Some("111122223333"), Some(Duration::from_secs(5)));
            assert_eq!(of(&aurora, "arn:b"), Duration::from_secs(5));
            assert_eq!(lag(&aurora.shared, "444455556666", "arn:b"), Duration::from_secs(3));
            aurora.set_lag(Some("111122223333"), None);
            aurora.set_lag(None, None);
            assert_eq!(of(&aurora, "arn:b"), usual);
        }
    }
}
