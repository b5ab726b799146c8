//! Amazon Route 53.

use super::{Answers, NOTHING, compared, found, read};
use crate::resources::route53::{Alias, HealthCheck, HostedZone, Record};
use crate::resources::{Live, Owner, Phase, Ref};

const TAGS: &str = "<ListTagsForResourceResponse><ResourceTagSet><ResourceType>of-tomorrow</ResourceType><ResourceId>i</ResourceId>\
    <Tags><Tag><Key>drctl:stack</Key><Value>pay</Value></Tag><Tag><Key>drctl:environment</Key><Value>prod</Value></Tag>\
    <Tag><Key>empty</Key></Tag></Tags></ResourceTagSet></ListTagsForResourceResponse>";

async fn read_zone(zone: &str) -> Live {
    let body = format!(
        "<GetHostedZoneResponse><HostedZone><Id>/hostedzone/Z1</Id>{zone}</HostedZone><DelegationSet><NameServers>\
         <NameServer>ns-0.awsdns-00.com</NameServer><NameServer>ns-512.awsdns-00.net</NameServer></NameServers></DelegationSet>\
         </GetHostedZoneResponse>"
    );
    let answers =
        Answers::default().to("GET /2013-04-01/hostedzone/Z1", body).to("GET /2013-04-01/tags/hostedzone/Z1", TAGS);
    read::<HostedZone>(answers, "Z1").await
}

/// From LocalStack's snapshots of Route 53 and cloud-custodian's recordings of route53.ListHostedZones: the id with a path before
/// it, the name with a trailing dot.
#[tokio::test]
async fn a_zone_as_recorded_reads_as_it_was_made() {
    let desired =
        HostedZone { name: "example.com".to_owned(), comment: "pay-prod".to_owned(), accelerated_recovery: false };
    let live = read_zone(
        "<Name>example.com.</Name><CallerReference>r</CallerReference><Config><Comment>pay-prod</Comment>\
         <PrivateZone>false</PrivateZone></Config><ResourceRecordSetCount>2</ResourceRecordSetCount><OfTomorrow/>",
    )
    .await;
    assert_eq!((compared(&desired, &live), live.id.as_str()), (vec![], "Z1"));
    assert_eq!(live.outputs["name_servers"], "ns-0.awsdns-00.com,ns-512.awsdns-00.net");
    assert!(matches!(live.owner, Owner::Ours { .. }));
    let bare = read_zone("<Name>example.com.</Name><CallerReference>r</CallerReference>").await;
    let desired = HostedZone { comment: String::new(), ..desired };
    assert_eq!(compared(&desired, &bare), NOTHING);
    assert_eq!(compared(&desired, &read_zone("<CallerReference>r</CallerReference>").await), NOTHING);
}

fn check() -> HealthCheck {
    HealthCheck {
        kind: "HTTPS".to_owned(),
        host: Ref::known("a1b2.execute-api.us-east-1.amazonaws.com"),
        path: "/health".to_owned(),
        port: 443,
        request_interval: 30,
        failure_threshold: 3,
        sni: true,
        inverted: false,
        disabled: false,
        children: Vec::new(),
        health_threshold: 0,
    }
}

async fn read_check(configuration: &str, seen: &str) -> Live {
    let body = format!(
        "<GetHealthCheckResponse><HealthCheck><Id>c1</Id><CallerReference>r</CallerReference>\
         <HealthCheckConfig>{configuration}</HealthCheckConfig><HealthCheckVersion>1</HealthCheckVersion></HealthCheck>\
         </GetHealthCheckResponse>"
    );
    let status = format!(
        "<GetHealthCheckStatusResponse><HealthCheckObservations><HealthCheckObservation><Region>of-tomorrow</Region>\
         <IPAddress>192.0.2.1</IPAddress><StatusReport><Status>{seen}</Status></StatusReport></HealthCheckObservation>\
         </HealthCheckObservations></GetHealthCheckStatusResponse>"
    );
    let answers = Answers::default()
        .to("GET /2013-04-01/healthcheck/c1", body)
        .to("GET /2013-04-01/healthcheck/c1/status", status)
        .to("GET /2013-04-01/tags/healthcheck/c1", TAGS);
    read::<HealthCheck>(answers, "c1").await
}

/// From cloud-custodian's recording of route53.ListHealthChecks (`test_route53_healthcheck_markop`), which names all Regions.
#[tokio::test]
async fn a_health_check_as_recorded_reads_as_it_was_made() {
    let recorded = "<Port>443</Port><Type>HTTPS</Type><ResourcePath>/health</ResourcePath>\
        <FullyQualifiedDomainName>a1b2.execute-api.us-east-1.amazonaws.com</FullyQualifiedDomainName>\
        <RequestInterval>30</RequestInterval><FailureThreshold>3</FailureThreshold><MeasureLatency>false</MeasureLatency>\
        <Inverted>false</Inverted><EnableSNI>true</EnableSNI><Regions><Region>us-east-1</Region><Region>of-tomorrow</Region></Regions>";
    let live = read_check(recorded, "Success: HTTP Status Code 200, OK").await;
    assert_eq!((compared(&check(), &live), live.phase), (vec![], Phase::Ready));
    let unseen = read_check(recorded, "Of tomorrow").await;
    assert_eq!(compared(&check(), &unseen), NOTHING);
    assert!(matches!(unseen.phase, Phase::Pending(_)));
    // Port, interval and threshold have their defaults if they are left out.
    let least = "<Type>HTTPS</Type><ResourcePath>/health</ResourcePath><EnableSNI>true</EnableSNI>\
        <FullyQualifiedDomainName>a1b2.execute-api.us-east-1.amazonaws.com</FullyQualifiedDomainName>";
    let live = read_check(least, "Failure: x").await;
    assert_eq!(compared(&check(), &live), NOTHING);
    assert_eq!(compared(&HealthCheck { request_interval: 10, ..check() }, &live), NOTHING, "it would be replaced");
    let untyped = read_check(&recorded.replace("<Type>HTTPS</Type>", ""), "Failure: x").await;
    assert_eq!(compared(&check(), &untyped), NOTHING, "it would be replaced");
}

/// AWS's reference of `HealthCheckConfig`: a calculated check has neither host nor interval, and its children are in any order.
#[tokio::test]
async fn a_calculated_check_is_compared_by_what_it_has() {
    let desired = HealthCheck {
        kind: "CALCULATED".to_owned(),
        children: vec![Ref::known("c2"), Ref::known("c3")],
        health_threshold: 1,
        ..check()
    };
    let live = read_check(
        "<Type>CALCULATED</Type><Inverted>false</Inverted><HealthThreshold>1</HealthThreshold>\
         <ChildHealthChecks><ChildHealthCheck>c3</ChildHealthCheck><ChildHealthCheck>c2</ChildHealthCheck></ChildHealthChecks>",
        "",
    )
    .await;
    assert_eq!(compared(&desired, &live), NOTHING);
}

fn records(record: &str) -> Answers {
    let body = format!(
        "<ListResourceRecordSetsResponse><ResourceRecordSets>{record}</ResourceRecordSets><IsTruncated>false</IsTruncated>\
         <MaxItems>100</MaxItems></ListResourceRecordSetsResponse>"
    );
    Answers::default().to("GET /2013-04-01/hostedzone/Z1/rrset", body)
}

/// From cloud-custodian's recording of route53.ListResourceRecordSets (`test_r53_resourcerecordset_remove`): names with a
/// trailing dot, an alias without a time to live.
#[tokio::test]
async fn a_failover_alias_as_recorded_reads_as_it_was_made() {
    let record = |name: &str| {
        format!(
            "<ResourceRecordSet><Name>{name}</Name><Type>A</Type><SetIdentifier>pay-prod-primary</SetIdentifier>\
             <Failover>PRIMARY</Failover><AliasTarget><HostedZoneId>Z1YSA3EXCYUU9Z</HostedZoneId>\
             <DNSName>D-1234.execute-api.us-east-1.amazonaws.com.</DNSName><EvaluateTargetHealth>true</EvaluateTargetHealth>\
             </AliasTarget><HealthCheckId>c1</HealthCheckId><OfTomorrow/></ResourceRecordSet>"
        )
    };
    let desired = Record {
        zone: Ref::known("Z1"),
        name: Ref::known("api.example.com"),
        record_type: "A".to_owned(),
        set_identifier: "pay-prod-primary".to_owned(),
        failover: "PRIMARY".to_owned(),
        ttl: 0,
        values: Vec::new(),
        alias: Some(Alias {
            dns_name: Ref::known("d-1234.execute-api.us-east-1.amazonaws.com"),
            zone_id: Ref::known("Z1YSA3EXCYUU9Z"),
            evaluate_target_health: true,
        }),
        health_check: Some(Ref::known("c1")),
    };
    let live = read::<Record>(records(&record("api.example.com.")), "Z1/api.example.com/A/pay-prod-primary").await;
    assert_eq!(compared(&desired, &live), NOTHING);
    assert!(matches!(live.owner, Owner::Ours { .. }));
    let others = records(&record("www.example.com."));
    assert!(found::<Record>(others, "Z1/api.example.com/A/pay-prod-primary").await.is_none());
}

/// From the same recording: the record of a name server, with its values in another order and with trailing dots.
#[tokio::test]
async fn values_that_are_names_are_compared_without_their_dots_and_in_any_order() {
    let record = "<ResourceRecordSet><Name>sub.example.com.</Name><Type>CNAME</Type><SetIdentifier>pay-prod-secondary</SetIdentifier>\
        <Weight>1</Weight><TTL>300</TTL><ResourceRecords><ResourceRecord><Value>NS-1.example.net.</Value></ResourceRecord>\
        <ResourceRecord><Value>ns-0.example.net.</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>";
    let desired = Record {
        zone: Ref::known("Z1"),
        name: Ref::known("sub.example.com"),
        record_type: "CNAME".to_owned(),
        set_identifier: "pay-prod-secondary".to_owned(),
        failover: String::new(),
        ttl: 300,
        values: vec!["ns-0.example.net".into(), "ns-1.example.net".into()],
        alias: None,
        health_check: None,
    };
    let read = |record: &str| read::<Record>(records(record), "Z1/sub.example.com/CNAME/pay-prod-secondary");
    assert_eq!(compared(&desired, &read(record).await), NOTHING);
    assert_eq!(compared(&desired, &read(&record.replace("<TTL>300</TTL>", "")).await), NOTHING);
}
