//! Reading Route 53's configuration, and the states of alarms, from the emulator, and publishing metrics there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drctl_failover_dns::check::{AlarmState, Check, InsufficientData, Kind};
use drctl_failover_dns::record::{Failover, Record, Records, Target};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, StatusCode};

use super::zones::{Alarm, Configuration, Endpoint, HealthCheck, Measured, Protocol, ReadError, Source, Zone, Zones};
use crate::rules::rule::Origin;
use crate::wire::call::Call;
use crate::wire::form::Form;
use crate::wire::xml::Element;
use crate::world::regions::{GLOBAL, Place, Regions};

/// The prefix of the ids in Route 53's answers.
const ZONE: &str = "/hostedzone/";

const FORM: &str = "application/x-www-form-urlencoded";

/// The emulator as the source of zones, checks, and alarms.
///
/// It asks AWS as callers see it who get there, but not on their way: the checkers and the name servers are Route 53's data
/// plane, which goes on when the Region of its control plane is gone, and their questions are nobody's calls. Only CloudWatch
/// is asked by its Region's condition.
pub(crate) struct Emulator {
    origin: Arc<dyn Origin>,
    regions: Regions,
}

impl Emulator {
    pub(crate) fn new(origin: Arc<dyn Origin>, regions: Regions) -> Self {
        Self { origin, regions }
    }

    fn hears_cloudwatch(&self, account: &str, region: &str) -> bool {
        self.regions.is_heard(account, Place { region, service: "monitoring" })
    }

    /// Asks Route 53. `None` if it answers that something does not exist.
    async fn get(&self, account: &str, operation: &'static str, path: &str) -> Result<Option<Element>, ReadError> {
        let fail = failure("route53", operation, account);
        let path = format!("/2013-04-01/{path}");
        let call = Call::signed_by(account, GLOBAL, "route53", (Method::GET, &path), "text/xml", Bytes::new());
        self.ask(call.ok_or_else(|| fail("the call cannot be written".to_owned()))?, fail).await
    }

    async fn ask(&self, call: Call, fail: impl Fn(String) -> ReadError) -> Result<Option<Element>, ReadError> {
        let answer = self.origin.answer(&call).await;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.is_success() {
            return Err(fail(format!("{}: {}", answer.status, String::from_utf8_lossy(answer.body()))));
        }
        Element::parse(answer.body()).map(Some).map_err(|error| fail(format!("its answer cannot be read: {error}")))
    }

    /// Reads all pages of a list.
    async fn pages(
        &self,
        account: &str,
        operation: &'static str,
        path: &str,
        next: fn(&Element) -> Form,
    ) -> Result<Vec<Element>, ReadError> {
        let mut pages = Vec::new();
        let mut query = String::new();
        while let Some(page) = self.get(account, operation, &format!("{path}{query}")).await? {
            let more = page.text_of("IsTruncated") == Some("true");
            query = format!("?{}", next(&page).encode());
            pages.push(page);
            if !more {
                break;
            }
        }
        Ok(pages)
    }

    async fn configuration(&self, account: &str) -> Result<Configuration, ReadError> {
        let checks = self.pages(account, "ListHealthChecks", "healthcheck", by_marker).await?;
        let checks = checks.iter().flat_map(|page| page.at(&["HealthChecks", "HealthCheck"])).filter_map(check_of);
        let listed = self.pages(account, "ListHostedZones", "hostedzone", by_marker).await?;
        let mut zones = Vec::new();
        for zone in listed.iter().flat_map(|page| page.at(&["HostedZones", "HostedZone"])) {
            let is_private = zone.child("Config").and_then(|config| config.text_of("PrivateZone")) == Some("true");
            if is_private {
                continue;
            }
            let id = zone.text_of("Id").unwrap_or_default().trim_start_matches(ZONE);
            let path = format!("hostedzone/{id}/rrset");
            let sets = self.pages(account, "ListResourceRecordSets", &path, by_record).await?;
            // It was deleted after it was listed.
            if sets.is_empty() {
                continue;
            }
            let sets = sets.iter().flat_map(|page| page.at(&["ResourceRecordSets", "ResourceRecordSet"]));
            zones.push(Zone {
                id: id.to_owned(),
                name: zone.text_of("Name").unwrap_or_default().to_owned(),
                records: Records::new(sets.map(|set| record_of(id, set)).collect()),
            });
        }
        Ok(Configuration { checks: checks.collect(), zones })
    }

    /// AWS reads the data of an alarm and not its state, which makes a difference only for `SetAlarmState`.
    /// See docs/aws-behaviour.md#health-check-of-an-alarm.
    async fn alarm_state(&self, account: &str, alarm: &Alarm) -> Result<AlarmState, ReadError> {
        if !self.hears_cloudwatch(account, &alarm.region) {
            return Ok(AlarmState::InsufficientData);
        }
        let fail = failure("cloudwatch", "DescribeAlarms", account);
        let form: Form = [
            ("Action", "DescribeAlarms"),
            ("Version", "2010-08-01"),
            ("AlarmNames.member.1", &alarm.name),
            ("AlarmTypes.member.1", "MetricAlarm"),
        ]
        .into_iter()
        .collect();
        let body = Bytes::from(form.encode());
        let call = Call::signed_by(account, &alarm.region, "monitoring", (Method::POST, "/"), FORM, body);
        let answer = self.ask(call.ok_or_else(|| fail("the call cannot be written".to_owned()))?, fail).await?;
        let path = ["DescribeAlarmsResult", "MetricAlarms", "member", "StateValue"];
        let states = answer.iter().flat_map(|answer| answer.at(&path)).map(Element::text).collect::<Vec<_>>();
        Ok(match states.first() {
            Some(&"OK") => AlarmState::Ok,
            Some(&"ALARM") => AlarmState::Alarm,
            _ => AlarmState::InsufficientData,
        })
    }

    /// The metrics are in this one Region, wherever the endpoints are. See docs/aws-behaviour.md#global-control-planes.
    async fn put_metrics(&self, account: &str, values: &[Measured]) -> Result<(), ReadError> {
        if !self.hears_cloudwatch(account, GLOBAL) {
            return Ok(());
        }
        let fail = failure("cloudwatch", "PutMetricData", account);
        let mut form: Form = [("Action", "PutMetricData"), ("Version", "2010-08-01"), ("Namespace", "AWS/Route53")]
            .into_iter()
            .collect();
        for (number, measured) in (1..).zip(values) {
            let mut set = |member: &str, value: &str| form.set(&format!("MetricData.member.{number}.{member}"), value);
            set("MetricName", measured.metric);
            set("Unit", measured.unit);
            set("Value", &measured.value.to_string());
            set("Dimensions.member.1.Name", "HealthCheckId");
            set("Dimensions.member.1.Value", &measured.check);
        }
        let call =
            Call::signed_by(account, GLOBAL, "monitoring", (Method::POST, "/"), FORM, Bytes::from(form.encode()));
        self.ask(call.ok_or_else(|| fail("the call cannot be written".to_owned()))?, fail).await.map(|_| ())
    }
}

impl Zones for Emulator {
    fn read<'a>(&'a self, account: &'a str) -> BoxFuture<'a, Result<Configuration, ReadError>> {
        self.configuration(account).boxed()
    }

    fn alarm<'a>(&'a self, account: &'a str, alarm: &'a Alarm) -> BoxFuture<'a, Result<AlarmState, ReadError>> {
        self.alarm_state(account, alarm).boxed()
    }

    fn publish<'a>(&'a self, account: &'a str, values: Vec<Measured>) -> BoxFuture<'a, Result<(), ReadError>> {
        async move { self.put_metrics(account, &values).await }.boxed()
    }
}

fn failure(service: &'static str, operation: &'static str, account: &str) -> impl Fn(String) -> ReadError {
    move |reason| ReadError { service, operation, account: account.to_owned(), reason }
}

fn by_marker(page: &Element) -> Form {
    [("marker", page.text_of("NextMarker").unwrap_or_default())].into_iter().collect()
}

fn by_record(page: &Element) -> Form {
    let next = [("name", "NextRecordName"), ("type", "NextRecordType"), ("identifier", "NextRecordIdentifier")];
    next.iter().filter_map(|(parameter, element)| Some((*parameter, page.text_of(element)?))).collect()
}

/// `None` for a check without a configuration.
fn check_of(check: &Element) -> Option<HealthCheck> {
    let config = check.child("HealthCheckConfig")?;
    let text = |name: &str| config.text_of(name).unwrap_or_default();
    // MiniStack writes booleans as Python does.
    let is = |name: &str| text(name).eq_ignore_ascii_case("true");
    let number = |name: &str| text(name).parse::<usize>().ok();
    let (kind, source) = match text("Type") {
        kind @ ("HTTP" | "HTTPS" | "HTTP_STR_MATCH" | "HTTPS_STR_MATCH" | "TCP") => {
            let endpoint = endpoint_of(kind, config);
            let host = if endpoint.host.is_empty() { text("IPAddress").to_owned() } else { endpoint.host.clone() };
            let failure_threshold = number("FailureThreshold").unwrap_or(3);
            let kind = Kind::Endpoint { host, path: endpoint.path.clone(), failure_threshold };
            (kind, Source::Endpoint(endpoint))
        }
        "CALCULATED" => {
            let children = config.at(&["ChildHealthChecks", "ChildHealthCheck"]);
            let children = children.into_iter().map(|child| child.text().to_owned()).collect();
            let threshold = number("HealthThreshold").unwrap_or_default();
            (Kind::Calculated { children, threshold }, Source::Nothing)
        }
        "CLOUDWATCH_METRIC" => {
            let alarm = config.child("AlarmIdentifier");
            let part = |name| alarm.and_then(|alarm| alarm.text_of(name)).unwrap_or_default().to_owned();
            let insufficient_data = match text("InsufficientDataHealthStatus") {
                "Healthy" => InsufficientData::Healthy,
                "Unhealthy" => InsufficientData::Unhealthy,
                // The default of the API.
                _ => InsufficientData::LastKnownStatus,
            };
            (Kind::Alarm { insufficient_data }, Source::Alarm(Alarm { region: part("Region"), name: part("Name") }))
        }
        other => (Kind::Other(other.to_owned()), Source::Nothing),
    };
    let id = check.text_of("Id").unwrap_or_default().to_owned();
    Some(HealthCheck { check: Check { id, kind, inverted: is("Inverted"), disabled: is("Disabled") }, source })
}

/// The defaults are documented:
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html>.
fn endpoint_of(kind: &str, config: &Element) -> Endpoint {
    let text = |name: &str| config.text_of(name).filter(|text| !text.is_empty());
    let protocol = match kind {
        "TCP" => Protocol::Tcp,
        kind if kind.starts_with("HTTPS") => Protocol::Https,
        _ => Protocol::Http,
    };
    let default_port = if protocol == Protocol::Https { 443 } else { 80 };
    let regions = config.at(&["Regions", "Region"]);
    Endpoint {
        protocol,
        host: text("FullyQualifiedDomainName").unwrap_or_default().trim_end_matches('.').to_owned(),
        address: text("IPAddress").and_then(|address| address.parse().ok()),
        port: text("Port").and_then(|port| port.parse().ok()).unwrap_or(default_port),
        path: text("ResourcePath").unwrap_or("/").to_owned(),
        search: text("SearchString").filter(|_| kind.ends_with("_STR_MATCH")).map(str::to_owned),
        // The default is AWS's: true for HTTPS (hashicorp/terraform-provider-aws, docs of `enable_sni`).
        sni: protocol == Protocol::Https && text("EnableSNI").is_none_or(|sni| sni.eq_ignore_ascii_case("true")),
        interval: Duration::from_secs(text("RequestInterval").and_then(|seconds| seconds.parse().ok()).unwrap_or(30)),
        regions: regions.into_iter().map(|region| region.text().to_owned()).collect(),
    }
}

fn record_of(zone: &str, set: &Element) -> Record {
    let text = |name: &str| set.text_of(name);
    let values = set.at(&["ResourceRecords", "ResourceRecord", "Value"]);
    Record {
        name: text("Name").unwrap_or_default().to_owned(),
        record_type: text("Type").unwrap_or_default().to_owned(),
        set_identifier: text("SetIdentifier").unwrap_or_default().to_owned(),
        failover: match text("Failover") {
            Some("PRIMARY") => Some(Failover::Primary),
            Some("SECONDARY") => Some(Failover::Secondary),
            _ => None,
        },
        health_check: text("HealthCheckId").map(str::to_owned),
        ttl: text("TTL").and_then(|ttl| ttl.parse().ok()),
        target: match set.child("AliasTarget") {
            Some(alias) => Target::Alias {
                name: alias.text_of("DNSName").unwrap_or_default().to_owned(),
                in_zone: alias.text_of("HostedZoneId").is_some_and(|id| id.trim_start_matches(ZONE) == zone),
                evaluate_target_health: alias.text_of("EvaluateTargetHealth") == Some("true"),
            },
            None => Target::Values(values.into_iter().map(|value| value.text().to_owned()).collect()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok};
    use crate::wire::answer::Answer;

    const ACCOUNT: &str = "111122223333";

    fn emulator(script: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Emulator {
        let origin = Scripted::new(move |call| {
            assert_eq!(call.account, ACCOUNT);
            let path = call.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let asked = if path == "/" { call.form().encode() } else { path };
            match script(&asked) {
                Some(document) => ok(&document),
                None => Answer::refusal(call, StatusCode::NOT_FOUND, "NoSuchHostedZone", "gone"),
            }
        });
        Emulator::new(Arc::new(origin), Regions::default())
    }

    fn configured(config: &str) -> HealthCheck {
        let check = format!("<HealthCheck><Id>c1</Id><HealthCheckConfig>{config}</HealthCheckConfig></HealthCheck>");
        check_of(&Element::parse(check.as_bytes()).expect("a document")).expect("it has a configuration")
    }

    fn endpoint(config: &str) -> Endpoint {
        match configured(config).source {
            Source::Endpoint(endpoint) => endpoint,
            other => panic!("{other:?}"),
        }
    }

    /// As MiniStack writes it.
    #[test]
    fn an_endpoint_is_read_as_it_is() {
        let config = "<Type>HTTPS</Type><Port>443</Port><FullyQualifiedDomainName>a1.execute-api.us-east-1.amazonaws.com\
                      </FullyQualifiedDomainName><ResourcePath>/health</ResourcePath><RequestInterval>10</RequestInterval>\
                      <FailureThreshold>2</FailureThreshold><EnableSNI>True</EnableSNI><Inverted>True</Inverted>\
                      <Disabled>False</Disabled>";
        let read = configured(config);
        assert!(read.check.inverted && !read.check.disabled);
        let host = "a1.execute-api.us-east-1.amazonaws.com".to_owned();
        let path = "/health".to_owned();
        let expected = Kind::Endpoint { host: host.clone(), path: path.clone(), failure_threshold: 2 };
        assert_eq!(read.check.kind, expected);
        let expected = Endpoint {
            protocol: Protocol::Https,
            host,
            address: None,
            port: 443,
            path,
            search: None,
            sni: true,
            interval: Duration::from_secs(10),
            regions: Vec::new(),
        };
        assert_eq!(endpoint(config), expected);
    }

    #[test]
    fn what_an_endpoint_does_not_set_has_its_default() {
        let read = endpoint("<Type>HTTP</Type><IPAddress>192.0.2.1</IPAddress>");
        assert_eq!((read.port, read.path.as_str(), read.sni), (80, "/", false));
        assert_eq!((read.interval, read.address), (Duration::from_secs(30), Some([192, 0, 2, 1].into())));
        let read = endpoint(
            "<Type>HTTPS_STR_MATCH</Type><SearchString>ok</SearchString>\
             <Regions><Region>eu-west-1</Region><Region>us-west-1</Region></Regions>",
        );
        assert_eq!((read.port, read.search.as_deref(), read.sni), (443, Some("ok"), true));
        assert_eq!(read.regions, ["eu-west-1", "us-west-1"]);
        assert_eq!(endpoint("<Type>HTTP</Type><SearchString>ok</SearchString>").search, None);
        assert_eq!(endpoint("<Type>TCP</Type><Port>5432</Port>").protocol, Protocol::Tcp);
    }

    #[test]
    fn checks_of_checks_and_of_alarms_are_read() {
        let children = "<ChildHealthCheck>a</ChildHealthCheck><ChildHealthCheck>b</ChildHealthCheck>";
        let read = configured(&format!(
            "<Type>CALCULATED</Type><HealthThreshold>2</HealthThreshold><ChildHealthChecks>{children}</ChildHealthChecks>"
        ));
        let children = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(read.check.kind, Kind::Calculated { children, threshold: 2 });
        let alarm = "<AlarmIdentifier><Name>n</Name><Region>us-east-2</Region></AlarmIdentifier>";
        for (status, expected) in [
            ("<InsufficientDataHealthStatus>Unhealthy</InsufficientDataHealthStatus>", InsufficientData::Unhealthy),
            ("", InsufficientData::LastKnownStatus),
        ] {
            let read = configured(&format!("<Type>CLOUDWATCH_METRIC</Type>{alarm}{status}"));
            assert_eq!(read.check.kind, Kind::Alarm { insufficient_data: expected });
            let expected = Alarm { region: "us-east-2".to_owned(), name: "n".to_owned() };
            assert_eq!(read.source, Source::Alarm(expected));
        }
        assert_eq!(configured("<Type>RECOVERY_CONTROL</Type>").check.kind, Kind::Other("RECOVERY_CONTROL".to_owned()));
    }

    #[tokio::test]
    async fn every_page_is_read_and_private_and_deleted_zones_are_left_out() -> Result<(), ReadError> {
        let zone = |id: &str, name: &str, private: &str| {
            format!(
                "<HostedZone><Id>/hostedzone/{id}</Id><Name>{name}</Name><Config><PrivateZone>{private}</PrivateZone>\
                 </Config></HostedZone>"
            )
        };
        let check = |id: &str| {
            let config = "<HealthCheckConfig><Type>TCP</Type></HealthCheckConfig>";
            format!("<HealthChecks><HealthCheck><Id>{id}</Id>{config}</HealthCheck></HealthChecks>")
        };
        let set = |name: &str, rest: &str| {
            format!(
                "<ResourceRecordSets><ResourceRecordSet><Name>{name}</Name>{rest}</ResourceRecordSet></ResourceRecordSets>"
            )
        };
        let more = "<IsTruncated>true</IsTruncated>";
        let emulator = emulator(move |path| {
            let content = match path {
                "/2013-04-01/healthcheck" => format!("{}{more}<NextMarker>c 1</NextMarker>", check("c1")),
                "/2013-04-01/healthcheck?marker=c%201" => check("c2"),
                "/2013-04-01/hostedzone" => format!(
                    "<HostedZones>{}{}{}</HostedZones><IsTruncated>false</IsTruncated>",
                    zone("Z1", "example.com.", "false"),
                    zone("Z2", "inside.example.com.", "true"),
                    zone("Z3", "gone.example.com.", "false")
                ),
                "/2013-04-01/hostedzone/Z1/rrset" => {
                    let next = "<NextRecordName>b.</NextRecordName><NextRecordType>A</NextRecordType>\
                                <NextRecordIdentifier>i</NextRecordIdentifier>";
                    let rest = "<Type>CNAME</Type><SetIdentifier>p</SetIdentifier><Failover>PRIMARY</Failover><TTL>60</TTL>\
                                <ResourceRecords><ResourceRecord><Value>h</Value></ResourceRecord></ResourceRecords>\
                                <HealthCheckId>c1</HealthCheckId>";
                    format!("{}{more}{next}", set("a.", rest))
                }
                "/2013-04-01/hostedzone/Z1/rrset?name=b.&type=A&identifier=i" => set(
                    "b.",
                    "<Type>A</Type><AliasTarget><HostedZoneId>Z1</HostedZoneId><DNSName>a.</DNSName>\
                     <EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget>",
                ),
                _ => return None,
            };
            Some(format!("<r>{content}</r>"))
        });
        let read = emulator.read(ACCOUNT).await?;
        assert_eq!(read.checks.iter().map(|check| check.check.id.as_str()).collect::<Vec<_>>(), ["c1", "c2"]);
        let zones: Vec<_> = read.zones.iter().map(|zone| (zone.id.as_str(), zone.records.all().count())).collect();
        assert_eq!(zones, [("Z1", 2)]);
        let records: Vec<&Record> = read.zones[0].records.all().collect();
        assert_eq!((records[0].failover, records[0].ttl), (Some(Failover::Primary), Some(60)));
        assert_eq!((records[0].health_check.as_deref(), records[0].leads_to()), (Some("c1"), vec!["h"]));
        let alias = Target::Alias { name: "a.".to_owned(), in_zone: true, evaluate_target_health: true };
        assert_eq!((&records[1].target, records[1].ttl), (&alias, None));
        Ok(())
    }

    #[tokio::test]
    async fn alarms_are_read_in_their_region() -> Result<(), ReadError> {
        let emulator = emulator(|asked| {
            let state = match asked.split("AlarmNames.member.1=").nth(1)?.split('&').next()? {
                "fine" => "OK",
                "bad" => "ALARM",
                "new" => "INSUFFICIENT_DATA",
                _ => return Some("<r><DescribeAlarmsResult><MetricAlarms/></DescribeAlarmsResult></r>".to_owned()),
            };
            let member = format!("<member><StateValue>{state}</StateValue></member>");
            Some(format!("<r><DescribeAlarmsResult><MetricAlarms>{member}</MetricAlarms></DescribeAlarmsResult></r>"))
        });
        for (name, expected) in [
            ("fine", AlarmState::Ok),
            ("bad", AlarmState::Alarm),
            ("new", AlarmState::InsufficientData),
            ("gone", AlarmState::InsufficientData),
        ] {
            let alarm = Alarm { region: "us-east-2".to_owned(), name: name.to_owned() };
            assert_eq!(emulator.alarm(ACCOUNT, &alarm).await?, expected, "{name}");
        }
        Ok(())
    }

    fn out(regions: &Regions, region: &str) {
        let orders = serde_json::from_value(serde_json::json!({ region: {"is": "out"} })).expect("orders");
        regions.order(Some(ACCOUNT), &orders).expect("an order that makes sense");
    }

    #[tokio::test]
    async fn an_alarm_in_a_region_that_is_out_has_no_data() -> Result<(), ReadError> {
        let emulator = emulator(|_| {
            let member = "<member><StateValue>OK</StateValue></member>";
            Some(format!("<r><DescribeAlarmsResult><MetricAlarms>{member}</MetricAlarms></DescribeAlarmsResult></r>"))
        });
        out(&emulator.regions, "us-east-2");
        for (region, expected) in [("us-east-1", AlarmState::Ok), ("us-east-2", AlarmState::InsufficientData)] {
            let alarm = Alarm { region: region.to_owned(), name: "a".to_owned() };
            assert_eq!(emulator.alarm(ACCOUNT, &alarm).await?, expected, "{region}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn metrics_are_published_in_us_east_1_while_it_is_there() -> Result<(), ReadError> {
        let origin = Arc::new(Scripted::new(|call| {
            assert_eq!((call.region.as_str(), call.operation.as_str()), ("us-east-1", "PutMetricData"));
            ok("<PutMetricDataResponse/>")
        }));
        let emulator = Emulator::new(origin.clone(), Regions::default());
        let values = || {
            let measured = |metric, unit, value| Measured { check: "c1".to_owned(), metric, unit, value };
            vec![measured("HealthCheckStatus", "None", 1.0), measured("HealthCheckPercentageHealthy", "Percent", 87.0)]
        };
        emulator.publish(ACCOUNT, values()).await?;
        let sent = Form::parse(origin.asked()[0].as_bytes());
        for (parameter, value) in [
            ("Namespace", "AWS/Route53"),
            ("MetricData.member.1.MetricName", "HealthCheckStatus"),
            ("MetricData.member.1.Value", "1"),
            ("MetricData.member.2.Value", "87"),
            ("MetricData.member.2.Unit", "Percent"),
            ("MetricData.member.2.Dimensions.member.1.Name", "HealthCheckId"),
            ("MetricData.member.2.Dimensions.member.1.Value", "c1"),
        ] {
            assert_eq!(sent.get(parameter), Some(value), "{parameter}");
        }
        out(&emulator.regions, "us-east-1");
        emulator.publish(ACCOUNT, values()).await?;
        assert_eq!(origin.asked().len(), 1);
        Ok(())
    }

    #[tokio::test]
    async fn a_failure_names_the_call_and_the_reason() {
        let emulator = emulator(|_| Some("not XML".to_owned()));
        let error = emulator.read(ACCOUNT).await.map(|_| ()).expect_err("it cannot be read").to_string();
        assert!(
            error.starts_with("route53:ListHealthChecks of account 111122223333 failed in the emulator"),
            "{error}"
        );
        let origin = Scripted::new(|call| Answer::refusal(call, StatusCode::SERVICE_UNAVAILABLE, "Busy", "later"));
        let emulator = Emulator::new(Arc::new(origin), Regions::default());
        let error = emulator.read(ACCOUNT).await.map(|_| ()).expect_err("refused").to_string();
        assert!(error.contains("503") && error.contains("later"), "{error}");
    }
}
