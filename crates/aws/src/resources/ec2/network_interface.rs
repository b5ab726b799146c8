//! Network interfaces that Lambda leaves behind.
//!
//! A function in a VPC has interfaces in its subnets and security groups. After the function is deleted, Lambda removes them in
//! its own time, usually within 45 minutes. Until then, EC2 refuses to delete the subnets and groups.
//! See docs/aws-behaviour.md#lambda-interfaces-linger.

use aws_sdk_ec2::types::{NetworkInterface, NetworkInterfaceStatus};

use super::filter;
use super::foreign::{self, Held};
use crate::resources::{Class, Context, Deletion, Failure, Live};

/// The beginning of the description of every interface of Lambda.
const LAMBDA: &str = "AWS Lambda VPC ENI";

/// The result of a deletion that interfaces of Lambda may have prevented.
///
/// Interfaces that Lambda has released and not deleted are deleted here. Those that it still holds are left alone and waited for:
/// only Lambda may detach them (docs/aws-behaviour.md#service-interface-cannot-be-detached). Anything that others have created
/// there is named instead of waited for.
///
/// # Errors
/// A refusal that has nothing to do with Lambda, or the failure of a call about the interfaces.
pub(super) async fn unless_held<T>(
    cx: &Context,
    answer: Result<T, Failure>,
    live: &Live,
    held: Held<'_>,
) -> Result<Deletion, Failure> {
    let refusal = match answer {
        Err(refusal) if refusal.code.as_deref() == Some("DependencyViolation") => refusal,
        answer => return answer.map(|_| Deletion::Requested),
    };
    let within = match held {
        Held::Group(id) => filter("group-id", id),
        _ => filter("subnet-id", &live.id),
    };
    let ec2 = &cx.clients().ec2;
    let mut interfaces = cx
        .pages("ec2", "DescribeNetworkInterfaces", || {
            let call = ec2.describe_network_interfaces().filters(within.clone());
            call.into_paginator().items().send()
        })
        .await?;
    let refusal = if foreign::are_kept(cx, &interfaces).await? {
        refusal
    } else {
        foreign::named(cx, refusal, live, held).await?
    };
    interfaces.retain(is_of_lambda);
    if interfaces.is_empty() || refusal.class == Class::Refused {
        return Err(refusal);
    }
    let mut held = 0;
    for interface in &interfaces {
        if interface.status() != Some(&NetworkInterfaceStatus::Available) || !delete(cx, interface).await? {
            held += 1;
        }
    }
    Ok(Deletion::NotYet(waits_for(held)))
}

/// Returns whether the interface is deleted. Lambda may start to use it again at any time.
async fn delete(cx: &Context, interface: &NetworkInterface) -> Result<bool, Failure> {
    let id = interface.network_interface_id().unwrap_or_default();
    let call = cx.clients().ec2.delete_network_interface().network_interface_id(id).send();
    match cx.mutate("ec2", "DeleteNetworkInterface", call).await {
        Ok(_) => Ok(true),
        Err(failure) if failure.class == Class::NotFound => Ok(true),
        Err(failure) if matches!(failure.code.as_deref(), Some("OperationNotPermitted" | "InvalidParameterValue")) => {
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}

pub(super) fn is_of_lambda(interface: &NetworkInterface) -> bool {
    interface.description().is_some_and(|description| description.starts_with(LAMBDA))
}

fn waits_for(held: usize) -> String {
    match held {
        0 => "EC2 to see that the network interfaces of Lambda in it are deleted".to_owned(),
        1 => "Lambda to release a network interface in it".to_owned(),
        _ => format!("Lambda to release {held} network interfaces in it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interfaces_of_lambda_are_deleted() {
        let named = |text: &str| NetworkInterface::builder().description(text).build();
        assert!(is_of_lambda(&named("AWS Lambda VPC ENI-pay-prod-processor-0b8a4d5e")));
        assert!(!is_of_lambda(&named("Interface for NAT Gateway nat-1")));
        assert!(!is_of_lambda(&NetworkInterface::builder().build()));
    }

    #[test]
    fn the_wait_names_what_it_is_for() {
        assert_eq!(waits_for(3), "Lambda to release 3 network interfaces in it");
        assert!(waits_for(0).contains("are deleted"));
    }
}
