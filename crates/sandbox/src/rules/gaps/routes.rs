//! Routes and associations: MiniStack adds a second one next to the first, and replaces the target of a route by
//! `local` if the new target is a peering connection.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::ec2::list;
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// Refuses a second route or association, and replaces routes.
pub(super) struct Routes;

impl Rule for Routes {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            if call.service != "ec2" {
                return next.run(call).await;
            }
            let refusal = match call.operation.as_str() {
                "CreateRoute" | "ReplaceRoute" | "DeleteRoute" => check_destination(call, next).await.err(),
                "AssociateRouteTable" => check_association(call, next).await.err(),
                _ => None,
            };
            match refusal {
                Some(refusal) => refusal,
                None if call.operation == "ReplaceRoute" && call.form().get("DestinationCidrBlock").is_some() => {
                    replace(call, next).await
                }
                None => next.run(call).await,
            }
        }
        .boxed()
    }

    fn reset(&self) {}
}

/// `Err` is the refusal of a call whose destination exists and should not, or does not exist and should.
async fn check_destination(call: &Call, next: Next<'_>) -> Result<(), Answer> {
    let form = call.form();
    let (Some(table), Some(destination)) = (form.get("RouteTableId"), form.get("DestinationCidrBlock")) else {
        return Ok(());
    };
    let tables = list(call, next, "DescribeRouteTables", "routeTableSet").await?;
    // MiniStack itself refuses a table that does not exist.
    let Some(found) = tables.iter().find(|item| item.text_of("routeTableId") == Some(table)) else { return Ok(()) };
    let destinations = found.at(&["routeSet", "item", "destinationCidrBlock"]);
    let exists = destinations.iter().any(|known| known.text() == destination);
    match (call.operation.as_str(), exists) {
        ("CreateRoute", true) => {
            let message = format!("The route identified by {destination} already exists.");
            Err(Answer::client_error(call, "RouteAlreadyExists", &message))
        }
        ("ReplaceRoute", false) => {
            let message =
                format!("There is no route defined for '{destination}' in the route table. Use CreateRoute instead.");
            Err(Answer::client_error(call, "InvalidParameterValue", &message))
        }
        ("DeleteRoute", false) => {
            let message = format!("no route with destination-cidr-block {destination} in route table {table}");
            Err(Answer::client_error(call, "InvalidRoute.NotFound", &message))
        }
        _ => Ok(()),
    }
}

/// `Err` is the refusal, if the subnet already has an association.
async fn check_association(call: &Call, next: Next<'_>) -> Result<(), Answer> {
    let form = call.form();
    let Some(subnet) = form.get("SubnetId") else { return Ok(()) };
    let tables = list(call, next, "DescribeRouteTables", "routeTableSet").await?;
    let uses_one = |table: &Element| {
        table.at(&["associationSet", "item", "subnetId"]).iter().any(|associated| associated.text() == subnet)
    };
    if !tables.iter().any(uses_one) {
        return Ok(());
    }
    let message = format!(
        "the specified association for route table {} conflicts with an existing association",
        form.get("RouteTableId").unwrap_or_default()
    );
    Err(Answer::client_error(call, "Resource.AlreadyAssociated", &message))
}

/// Deletes the route and creates it with its new target. MiniStack's own replacement knows three types of target, and
/// leaves one of another type in place next to the new one.
async fn replace(call: &Call, next: Next<'_>) -> Answer {
    let pairs = call.form().pairs().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let parameters: Vec<(&str, &str)> = pairs.filter(|(name, _)| !matches!(*name, "Action" | "Version")).collect();
    for operation in ["DeleteRoute", "CreateRoute"] {
        let mut part = call.ask_query(operation, &parameters);
        let answer = next.run(&mut part).await;
        if !answer.is_success() {
            return answer;
        }
    }
    Answer::ec2(&call.operation, vec![Element::with_text("return", "true")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::tests::ec2;

    const TABLES: &str = "<r><routeTableSet><item><routeTableId>rtb-1</routeTableId>\
        <routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock></item></routeSet>\
        <associationSet><item><subnetId>subnet-1</subnetId></item></associationSet></item>\
        <item><routeTableId>rtb-2</routeTableId><routeSet/><associationSet/></item></routeTableSet></r>";

    fn emulator() -> Scripted {
        Scripted::new(|call| ok(if call.reads() { TABLES } else { "<r><return>true</return></r>" }))
    }

    async fn ask(origin: &Scripted, body: &str) -> String {
        text(&Routes.apply(&mut ec2("111122223333", "us-east-1", body), Next::new(&[], origin)).await)
    }

    #[tokio::test]
    async fn a_route_is_replaced() {
        let origin = emulator();
        let target =
            "Version=2016-11-15&RouteTableId=rtb-1&DestinationCidrBlock=0.0.0.0%2F0&VpcPeeringConnectionId=pcx-1";
        let replaced = ask(&origin, &format!("Action=ReplaceRoute&{target}")).await;
        assert!(replaced.contains("<ReplaceRouteResponse") && replaced.contains("<return>true</return>"), "{replaced}");
        let asked = origin.asked();
        assert_eq!(asked[1..], [format!("Action=DeleteRoute&{target}"), format!("Action=CreateRoute&{target}")]);
    }

    #[tokio::test]
    async fn a_failed_replacement_is_answered_with_the_failure() {
        let origin = Scripted::new(|call| match call.operation.as_str() {
            "CreateRoute" => Answer::client_error(call, "InvalidParameterValue", "no such target"),
            _ => ok(TABLES),
        });
        let failed = ask(&origin, "Action=ReplaceRoute&RouteTableId=rtb-1&DestinationCidrBlock=0.0.0.0%2F0").await;
        assert!(failed.contains("no such target"), "{failed}");
    }

    #[tokio::test]
    async fn a_table_has_one_route_per_destination() {
        let origin = emulator();
        for (operation, table, code) in [
            ("CreateRoute", "rtb-1", "RouteAlreadyExists"),
            ("ReplaceRoute", "rtb-2", "InvalidParameterValue"),
            ("DeleteRoute", "rtb-2", "InvalidRoute.NotFound"),
            ("CreateRoute", "rtb-2", ""),
            ("DeleteRoute", "rtb-1", ""),
            // Passed on to MiniStack, which refuses it.
            ("ReplaceRoute", "rtb-3", ""),
        ] {
            let body = format!("Action={operation}&RouteTableId={table}&DestinationCidrBlock=0.0.0.0%2F0");
            let answer = ask(&origin, &body).await;
            let expected =
                if code.is_empty() { "<return>true</return>".to_owned() } else { format!("<Code>{code}</Code>") };
            assert!(answer.contains(&expected), "{operation} in {table}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_subnet_has_one_association() {
        let origin = emulator();
        for (subnet, expected) in [("subnet-1", "Resource.AlreadyAssociated"), ("subnet-2", "<return>true")] {
            let body = format!("Action=AssociateRouteTable&RouteTableId=rtb-2&SubnetId={subnet}");
            let answer = ask(&origin, &body).await;
            assert!(answer.contains(expected), "{answer}");
        }
    }

    #[tokio::test]
    async fn other_calls_pass() {
        let origin = emulator();
        ask(&origin, "Action=CreateRouteTable&VpcId=vpc-1").await;
        assert_eq!(origin.asked(), ["Action=CreateRouteTable&VpcId=vpc-1"]);
    }
}
