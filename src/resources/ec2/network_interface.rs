//! Network interfaces that Lambda leaves behind.
//!
//! A function in a VPC holds interfaces in its subnets and security groups. After it is gone, Lambda takes them back
//! when it gets to it, as a rule within 45 minutes, and until then EC2 refuses to delete what they are in (aws-behaviour
//! row 1).

use aws_sdk_ec2::types::{Filter, NetworkInterface, NetworkInterfaceStatus};

use crate::resources::{Class, Context, Failure, Removal};

/// What Lambda calls all of its interfaces.
const LAMBDA: &str = "AWS Lambda VPC ENI";

/// How a deletion went that interfaces of Lambda may have kept from happening.
///
/// Those that Lambda has let go of and nobody has deleted are deleted. Those that it holds are left alone: nobody else
/// may detach them (aws-behaviour row 2). The refusal then says how many there are.
///
/// # Errors
/// The refusal, and what the calls about the interfaces came to.
pub(super) async fn unless_held<T>(
    cx: &Context,
    answer: Result<T, Failure>,
    within: Filter,
) -> Result<Removal, Failure> {
    let refusal = match answer {
        Err(refusal) if refusal.code.as_deref() == Some("DependencyViolation") => refusal,
        answer => return answer.map(|_| Removal::Ordered),
    };
    let ec2 = &cx.clients().ec2;
    let mut interfaces = cx
        .read("ec2", "DescribeNetworkInterfaces", || {
            let call = ec2.describe_network_interfaces().filters(within.clone());
            call.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    interfaces.retain(is_of_lambda);
    let mut held = 0;
    for interface in &interfaces {
        if interface.status() != Some(&NetworkInterfaceStatus::Available) || !delete(cx, interface).await? {
            held += 1;
        }
    }
    Err(explained(refusal, interfaces.len(), held))
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

fn is_of_lambda(interface: &NetworkInterface) -> bool {
    interface.description().is_some_and(|description| description.starts_with(LAMBDA))
}

fn explained(refusal: Failure, found: usize, held: usize) -> Failure {
    let message = match (found, held) {
        (0, _) => refusal.message.clone(),
        (_, 0) => format!("{}; what Lambda left in it has been deleted", refusal.message),
        (_, 1) => {
            format!("{}; Lambda still holds a network interface in it, and lets go of it by itself", refusal.message)
        }
        _ => format!(
            "{}; Lambda still holds {held} network interfaces in it, and lets go of them by itself",
            refusal.message
        ),
    };
    Failure { class: Class::Transient, message, ..refusal }
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
    fn the_refusal_passes_by_itself_and_says_what_is_in_the_way() {
        let refusal = Failure {
            code: Some("DependencyViolation".into()),
            request_id: Some("r-1".into()),
            ..Failure::new(Class::Transient, "resource sg-1 has a dependent object")
        };
        assert_eq!(explained(refusal.clone(), 0, 0), refusal);
        let held = explained(refusal.clone(), 4, 3);
        assert!(held.message.contains("holds 3 network interfaces"), "{held}");
        assert_eq!((held.class, held.request_id.as_deref()), (Class::Transient, Some("r-1")));
        assert!(explained(refusal, 1, 0).message.ends_with("has been deleted"));
    }
}
