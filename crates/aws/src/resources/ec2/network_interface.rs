//! Network interfaces that Lambda leaves behind.
//!
//! A function in a VPC holds interfaces in its subnets and security groups. After it is gone, Lambda takes them back
//! when it gets to it, as a rule within 45 minutes, and until then EC2 refuses to delete what they are in.
//! See docs/aws-behaviour.md#lambda-interfaces-linger.

use aws_sdk_ec2::types::{NetworkInterface, NetworkInterfaceStatus};

use super::filter;
use super::foreign::{self, Held};
use crate::resources::{Class, Context, Failure, Live, Removal};

/// What Lambda calls all of its interfaces.
const LAMBDA: &str = "AWS Lambda VPC ENI";

/// How a deletion went that interfaces of Lambda may have kept from happening.
///
/// Those that Lambda has let go of and nobody has deleted are deleted. Those that it holds are left alone: nobody else
/// may detach them (docs/aws-behaviour.md#service-interface-cannot-be-detached), and they are waited for. What others have
/// put there is not: it is named.
///
/// # Errors
/// A refusal that has nothing to do with Lambda, and what the calls about the interfaces came to.
pub(super) async fn unless_held<T>(
    cx: &Context,
    answer: Result<T, Failure>,
    live: &Live,
    held: Held<'_>,
) -> Result<Removal, Failure> {
    let refusal = match answer {
        Err(refusal) if refusal.code.as_deref() == Some("DependencyViolation") => refusal,
        answer => return answer.map(|_| Removal::Ordered),
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
    Ok(Removal::Later(waits_for(held)))
}

/// Whether it is gone; Lambda may take it up again at any time.
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
        0 => "EC2 to see that what Lambda left in it is deleted".to_owned(),
        1 => "Lambda to let go of a network interface in it".to_owned(),
        _ => format!("Lambda to let go of {held} network interfaces in it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lambdas_own_are_touched() {
        let named = |text: &str| NetworkInterface::builder().description(text).build();
        assert!(is_of_lambda(&named("AWS Lambda VPC ENI-pay-prod-processor-0b8a4d5e")));
        assert!(!is_of_lambda(&named("Interface for NAT Gateway nat-1")));
        assert!(!is_of_lambda(&NetworkInterface::builder().build()));
    }

    #[test]
    fn the_wait_says_what_is_in_the_way() {
        assert_eq!(waits_for(3), "Lambda to let go of 3 network interfaces in it");
        assert!(waits_for(0).contains("is deleted"));
    }
}
