//! Whether the configured Regions exist: a code of the right form may not be a Region.

use std::sync::Arc;

use aws_sdk_ec2::types::Region as Described;
use futures::future::select_ok;
use futures::{FutureExt as _, TryFutureExt as _};

use super::listed;
use crate::Aws;
use drctl_engine::Region;

/// Regions that the account cannot use, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRegions {
    /// The Regions and the reasons, in a sentence without a full stop.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Lists all Regions, with the first answer from any of them, and reports those of `wanted` that do not exist or are not enabled
/// for the account. `None` if there are none, or if no Region answers: the calls that follow then say why.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRegions.html>.
/// See docs/aws-behaviour.md#region-not-enabled.
pub async fn unknown_regions(aws: &Arc<Aws>, wanted: [&str; 2]) -> Option<UnknownRegions> {
    let questions = wanted.map(|region| {
        let at = Region::from(region);
        async move {
            let ec2 = &aws.at(&at).ec2;
            aws.read(&at, "ec2", "DescribeRegions", || ec2.describe_regions().all_regions(true).send()).await
        }
        .map_ok(|answer| answer.regions.unwrap_or_default())
        .boxed()
    });
    let (all, _) = select_ok(questions).await.ok()?;
    judge(&all, &wanted)
}

fn judge(all: &[Described], wanted: &[&str]) -> Option<UnknownRegions> {
    if all.is_empty() {
        return None;
    }
    let name = |region: &Described| region.region_name().unwrap_or_default().to_owned();
    let mut faults = Vec::new();
    let mut helps = Vec::new();
    for &code in wanted {
        match all.iter().find(|region| region.region_name() == Some(code)) {
            None => {
                faults.push(format!("{code} is not an AWS Region (or not enabled for this account)"));
                // Those that differ only in the number, or else only in the part of the area.
                let beginning = code.trim_end_matches(|last: char| last.is_ascii_digit());
                let area = code.split_inclusive('-').next().unwrap_or_default();
                let like = |with: &str| -> Vec<String> {
                    let mut like: Vec<String> = all.iter().map(name).filter(|name| name.starts_with(with)).collect();
                    like.sort();
                    like
                };
                let near = Some(like(beginning)).filter(|near| !near.is_empty()).unwrap_or_else(|| like(area));
                helps.push(if near.is_empty() {
                    "Write a Region that AWS has in [regions].".to_owned()
                } else {
                    format!("Write a Region that AWS has in [regions], such as {}.", listed(&near))
                });
            }
            Some(found) if found.opt_in_status() == Some("not-opted-in") => {
                faults.push(format!("{code} is not enabled for this account"));
                helps.push(format!(
                    "Enable it (`aws account enable-region --region-name {code}`, which takes some minutes), or write another in \
                     [regions]."
                ));
            }
            Some(_) => {}
        }
    }
    helps.dedup();
    (!faults.is_empty()).then(|| UnknownRegions { message: faults.join("; "), help: helps.join(" ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Described> {
        let region = |name: &str, opt_in: &str| Described::builder().region_name(name).opt_in_status(opt_in).build();
        vec![
            region("us-west-2", "opt-in-not-required"),
            region("us-west-1", "opt-in-not-required"),
            region("us-east-1", "opt-in-not-required"),
            region("ap-east-1", "not-opted-in"),
            region("eu-south-1", "opted-in"),
        ]
    }

    #[test]
    fn a_region_that_does_not_exist_is_reported_with_similar_ones() {
        let found = judge(&all(), &["us-west-9", "us-east-1"]).expect("a fault");
        assert_eq!(found.message, "us-west-9 is not an AWS Region (or not enabled for this account)");
        assert!(found.help.contains("such as us-west-1 and us-west-2."), "{}", found.help);
        let found = judge(&all(), &["us-north-1", "sa-west-1"]).expect("a fault");
        assert!(found.message.contains("us-north-1") && found.message.contains("sa-west-1"), "{}", found.message);
        assert!(found.help.contains("us-east-1, us-west-1 and us-west-2"), "{}", found.help);
    }

    #[test]
    fn an_opt_in_region_has_to_be_enabled() {
        let found = judge(&all(), &["us-east-1", "ap-east-1"]).expect("a fault");
        assert_eq!(found.message, "ap-east-1 is not enabled for this account");
        assert_eq!(judge(&all(), &["us-east-1", "eu-south-1"]), None);
        // Nothing is known.
        assert_eq!(judge(&[], &["us-west-9", "us-east-1"]), None);
    }
}
