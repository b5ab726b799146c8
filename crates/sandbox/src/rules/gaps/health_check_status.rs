//! What Route 53's checkers have found, which MiniStack does not know: `GetHealthCheckStatus`,
//! `GetHealthCheckLastFailureReason`, and the metrics of health checks. A calculated check has no checkers, and Route 53 refuses
//! both calls. <https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHealthCheckStatus.html>,
//! <https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHealthCheckLastFailureReason.html>.
//! See docs/aws-behaviour.md#new-health-check-has-no-data.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, StatusCode};

use super::route53::{answer_with, call_as};
use crate::rules::rule::{Next, Rule};
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;
use crate::world::World;
use crate::world::regions::GLOBAL;
use crate::world::route53::Report;

/// The namespace of the metrics, as it stands in a call: as it is in CBOR and JSON, and encoded in a form.
const NAMESPACES: [&[u8]; 2] = [b"AWS/Route53", b"AWS%2FRoute53"];

/// Answers with what the checkers observe.
pub(super) struct HealthCheckStatus {
    world: World,
}

impl HealthCheckStatus {
    pub(super) fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }

    /// The last looks of the checkers, or their last looks that were failures.
    async fn observations(&self, call: &Call, next: Next<'_>) -> Answer {
        let (path, _) = call.uri.path().rsplit_once('/').unwrap_or_default();
        let Ok(uri) = path.parse() else {
            return Answer::client_error(call, "InvalidInput", "the id is not valid");
        };
        let mut answer = next.run(&mut call_as(call, Method::GET, uri, Bytes::new())).await;
        if !answer.is_success() {
            return answer;
        }
        let mut calculated = false;
        answer.edit_xml(|root| {
            let config = root.child("HealthCheck").and_then(|check| check.child("HealthCheckConfig"));
            calculated = config.and_then(|config| config.text_of("Type")) == Some("CALCULATED");
            false
        });
        if calculated {
            return Answer::client_error(call, "InvalidInput", "a calculated health check has no status");
        }
        let Some(route53) = self.world.route53() else { return unavailable(call, "the checkers have not started") };
        match route53.verdict(&call.account, path.rsplit('/').next().unwrap_or_default()).await {
            Ok(verdict) => {
                let looks = verdict.map(|verdict| match call.operation.as_str() {
                    "GetHealthCheckStatus" => verdict.reports,
                    _ => verdict.failures,
                });
                let looks = looks.unwrap_or_default().iter().map(observation).collect();
                let name = format!("{}Response", call.operation);
                answer_with(&name, vec![Element::with_children("HealthCheckObservations", looks)])
            }
            Err(error) => unavailable(call, &error.to_string()),
        }
    }

    /// A value for this moment, in a sandbox in which nothing takes time. Otherwise there is one for each minute.
    async fn measure(&self, call: &Call) {
        if let Some(route53) = self.world.route53()
            && call.region == GLOBAL
            && NAMESPACES.iter().any(|name| call.body().windows(name.len()).any(|part| part == *name))
            && let Err(error) = route53.measure(&call.account).await
        {
            tracing::warn!(%error, "the metrics of the health checks lack a value");
        }
    }
}

impl Rule for HealthCheckStatus {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            match (call.service.as_str(), call.operation.as_str()) {
                ("route53", "GetHealthCheckStatus" | "GetHealthCheckLastFailureReason") => {
                    return self.observations(call, next).await;
                }
                ("monitoring", "GetMetricData" | "GetMetricStatistics") => self.measure(call).await,
                _ => {}
            }
            next.run(call).await
        }
        .boxed()
    }

    fn reset(&self) {}
}

pub(super) fn unavailable(call: &Call, why: &str) -> Answer {
    Answer::refusal(call, StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", why)
}

fn observation(report: &Report) -> Element {
    let status =
        vec![Element::with_text("Status", &report.status), Element::with_text("CheckedTime", &report.at.to_string())];
    let observation = vec![
        Element::with_text("Region", report.region),
        Element::with_text("IPAddress", &report.address.to_string()),
        Element::with_children("StatusReport", status),
    ];
    Element::with_children("HealthCheckObservation", observation)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::rules::rule::tests::{Scripted, text};
    use crate::wire::call::tests::{json, rest};
    use crate::world::route53::tests::{Attached, world_with_check};

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    const ACCOUNT: &str = "111122223333";

    fn check(kind: &str) -> Scripted {
        Scripted::xml(&format!(
            "<r><HealthCheck><Id>c1</Id><HealthCheckConfig><Type>{kind}</Type></HealthCheckConfig></HealthCheck></r>"
        ))
    }

    /// A rule whose check `c1` looks at a port at which nothing listens.
    async fn of_dead_endpoint() -> Result<(HealthCheckStatus, Attached), std::io::Error> {
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let attached = world_with_check(ACCOUNT, "c1", port).await;
        Ok((HealthCheckStatus::new(&attached.world), attached))
    }

    async fn ask(rule: &HealthCheckStatus, what: &str, origin: &Scripted) -> Answer {
        let mut call = rest("route53", "GET", &format!("/2013-04-01/healthcheck/c1/{what}"), "");
        rule.apply(&mut call, Next::new(&[], origin)).await
    }

    #[tokio::test]
    async fn sixteen_checkers_report_what_they_saw() -> TestResult {
        let (rule, _attached) = of_dead_endpoint().await?;
        for (what, operation) in
            [("status", "GetHealthCheckStatus"), ("lastfailurereason", "GetHealthCheckLastFailureReason")]
        {
            let answer = text(&ask(&rule, what, &check("HTTP")).await);
            let root = Element::parse(answer.as_bytes())?;
            assert!(root.is_named(&format!("{operation}Response")), "{answer}");
            let observations = root.at(&["HealthCheckObservations", "HealthCheckObservation"]);
            assert_eq!(observations.len(), 16, "{answer}");
            assert_eq!(observations[15].text_of("IPAddress"), Some("177.71.207.129"));
            let report = observations[15].child("StatusReport").ok_or("no report")?;
            let status = report.text_of("Status").unwrap_or_default();
            assert!(status.starts_with("Failure: The health checker could not establish a connection"), "{answer}");
            assert!(report.text_of("CheckedTime").is_some_and(|time| time.ends_with('Z')), "{answer}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_calculated_check_has_no_checkers_and_a_check_that_is_gone_no_status() -> TestResult {
        let (rule, _attached) = of_dead_endpoint().await?;
        let answer = ask(&rule, "status", &check("CALCULATED")).await;
        assert!(!answer.is_success() && text(&answer).contains("InvalidInput"));
        let gone = Scripted::new(|call| Answer::refusal(call, StatusCode::NOT_FOUND, "NoSuchHealthCheck", "gone"));
        assert!(text(&ask(&rule, "status", &gone).await).contains("NoSuchHealthCheck"));
        Ok(())
    }

    #[tokio::test]
    async fn a_question_about_the_metrics_in_us_east_1_gives_them_a_value() -> TestResult {
        let (rule, attached) = of_dead_endpoint().await?;
        let origin = Scripted::xml("{}");
        let query = r#"{"Namespace":"AWS/Route53","MetricName":"HealthCheckStatus"}"#;
        for (region, body, expected) in
            [("us-east-2", query, 0), ("us-east-1", r#"{"Namespace":"AWS/RDS"}"#, 0), ("us-east-1", query, 3)]
        {
            let mut call =
                json("monitoring", "GraniteServiceVersion20100801.GetMetricStatistics", body).in_region(region);
            rule.apply(&mut call, Next::new(&[], &origin)).await;
            assert_eq!(attached.zones.published().len(), expected, "{region} {body}");
        }
        Ok(())
    }
}
