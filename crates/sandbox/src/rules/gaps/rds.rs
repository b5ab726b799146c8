//! The clusters and instances of Aurora: MiniStack does not keep which logs a cluster exports, renames its endpoints
//! when it gets its first instance, does not show the key of Performance Insights, and ignores changes of an instance's
//! promotion tier, Performance Insights, and minor upgrades.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::rules::Scope;
use crate::rules::rule::{Next, Rule};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::form::Form;
use crate::wire::xml::Element;

const CLUSTER: &str = "DBCluster";
const INSTANCE: &str = "DBInstance";
const INSIGHTS: &str = "PerformanceInsightsEnabled";
const KEY: &str = "PerformanceInsightsKMSKeyId";

/// The parameters of an instance, with the elements that show them.
const SETTINGS: [(&str, &str); 4] = [
    ("PromotionTier", "PromotionTier"),
    ("AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade"),
    ("EnablePerformanceInsights", INSIGHTS),
    (KEY, KEY),
];

/// The elements with the host names of a cluster, which never change.
const HOSTS: [&str; 2] = ["Endpoint", "ReaderEndpoint"];

/// What a cluster or instance was given, and what is shown of it.
#[derive(Debug, Default)]
struct Settings {
    logs: BTreeSet<String>,
    texts: BTreeMap<&'static str, String>,
}

/// The settings by type and name.
type ByName = HashMap<(&'static str, String), Settings>;

/// The settings of clusters and instances. Those created before are shown as the emulator shows them.
#[derive(Default)]
pub(super) struct Rds {
    settings: Mutex<HashMap<Scope, ByName>>,
}

impl Rule for Rds {
    fn apply<'a>(&'a self, call: &'a mut Call, next: Next<'a>) -> BoxFuture<'a, Answer> {
        async move {
            let mut answer = next.run(call).await;
            if let Some((verb, kind)) = subject(call)
                && answer.is_success()
            {
                self.after(call, verb, kind, &mut answer);
            }
            answer
        }
        .boxed()
    }

    fn reset(&self) {
        lock(&self.settings).clear();
    }
}

impl Rds {
    fn after(&self, call: &Call, verb: &str, kind: &'static str, answer: &mut Answer) {
        let mut settings = lock(&self.settings);
        let settings = settings.entry(Scope::of(call)).or_default();
        let name = call.form().get(&identifier(kind)).map(|name| (kind, name.to_owned()));
        match (verb, name) {
            ("Create" | "Modify", Some(name)) => settings.entry(name).or_default().learn(call.form()),
            ("Delete", Some(name)) => drop(settings.remove(&name)),
            _ => {}
        }
        if settings.is_empty() {
            return;
        }
        answer.edit_xml(|root| {
            let Some(result) = root.child_mut(&format!("{}Result", call.operation)) else { return false };
            let items = match result.child_mut(&format!("{kind}s")) {
                Some(set) => set.children_mut(),
                None => result.children_mut(),
            };
            for item in items.iter_mut().filter(|item| item.is_named(kind)) {
                let name = item.text_of(&identifier(kind)).unwrap_or_default().to_owned();
                if let Some(settings) = settings.get_mut(&(kind, name)) {
                    if verb == "Create" && kind == CLUSTER {
                        settings.keep_hosts(item);
                    }
                    settings.show(kind, item);
                }
            }
            true
        });
    }
}

impl Settings {
    fn learn(&mut self, form: &Form) {
        for name in ["EnableCloudwatchLogsExports", "CloudwatchLogsExportConfiguration.EnableLogTypes"] {
            self.logs.extend(form.list(&format!("{name}.member")).into_iter().map(str::to_owned));
        }
        for name in form.list("CloudwatchLogsExportConfiguration.DisableLogTypes.member") {
            self.logs.remove(name);
        }
        for (parameter, element) in SETTINGS {
            if let Some(value) = form.get(parameter) {
                self.texts.insert(element, value.to_owned());
            }
        }
        if self.texts.get(INSIGHTS).is_some_and(|on| on == "false") {
            self.texts.remove(KEY);
        }
    }

    fn keep_hosts(&mut self, item: &Element) {
        for element in HOSTS {
            if let Some(host) = item.text_of(element) {
                self.texts.insert(element, host.to_owned());
            }
        }
    }

    fn show(&self, kind: &str, item: &mut Element) {
        if kind == CLUSTER {
            let logs = self.logs.iter().map(|name| Element::with_text("member", name)).collect();
            item.replace(Element::with_children("EnabledCloudwatchLogsExports", logs));
        }
        for (element, text) in &self.texts {
            item.set_text_of(element, text);
        }
    }
}

/// What an RDS call does, and to which type: cluster or instance.
fn subject(call: &Call) -> Option<(&'static str, &'static str)> {
    if call.service != "rds" {
        return None;
    }
    let (verb, rest) = ["Create", "Modify", "Delete", "Describe"]
        .iter()
        .find_map(|verb| Some((*verb, call.operation.strip_prefix(verb)?)))?;
    let name = if verb == "Describe" { rest.strip_suffix('s')? } else { rest };
    let kind = [CLUSTER, INSTANCE].into_iter().find(|kind| *kind == name)?;
    Some((verb, kind))
}

fn identifier(kind: &str) -> String {
    format!("{kind}Identifier")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::tests::{Scripted, ok, text};
    use crate::wire::call::Protocol;
    use crate::wire::call::tests::ec2;

    async fn ask(rule: &Rds, body: &str) -> String {
        let origin = Scripted::new(|call| {
            let kind = if call.operation.contains(CLUSTER) { CLUSTER } else { INSTANCE };
            let texts = format!("<Endpoint>{}</Endpoint><PromotionTier>3</PromotionTier>", call.operation);
            let item = format!("<{kind}><{kind}Identifier>a</{kind}Identifier>{texts}</{kind}>");
            let items =
                if call.operation.starts_with("Describe") { format!("<{kind}s>{item}</{kind}s>") } else { item };
            ok(&format!("<{0}Response><{0}Result>{items}</{0}Result></{0}Response>", call.operation))
        });
        let mut call = ec2("111122223333", "us-east-1", body);
        "rds".clone_into(&mut call.service);
        call.protocol = Protocol::Query;
        text(&rule.apply(&mut call, Next::new(&[], &origin)).await)
    }

    #[tokio::test]
    async fn exported_logs_are_kept() {
        let rule = Rds::default();
        assert!(!ask(&rule, "Action=DescribeDBClusters").await.contains("Exports"), "a cluster created before");
        let create = "Action=CreateDBCluster&DBClusterIdentifier=a&EnableCloudwatchLogsExports.member.1=postgresql";
        assert!(ask(&rule, create).await.contains("<member>postgresql</member>"));
        let switch = "Action=ModifyDBCluster&DBClusterIdentifier=a\
                      &CloudwatchLogsExportConfiguration.EnableLogTypes.member.1=iam-db-auth-error\
                      &CloudwatchLogsExportConfiguration.DisableLogTypes.member.1=postgresql";
        ask(&rule, switch).await;
        let shown = ask(&rule, "Action=DescribeDBClusters").await;
        assert!(shown.contains("<member>iam-db-auth-error</member>") && !shown.contains("postgresql"), "{shown}");
        ask(&rule, "Action=DeleteDBCluster&DBClusterIdentifier=a").await;
        assert!(!ask(&rule, "Action=DescribeDBClusters").await.contains("Exports"));
    }

    #[tokio::test]
    async fn the_endpoints_of_a_cluster_do_not_change() {
        let rule = Rds::default();
        let create = "Action=CreateDBCluster&DBClusterIdentifier=a";
        assert!(ask(&rule, create).await.contains("<Endpoint>CreateDBCluster</Endpoint>"));
        assert!(ask(&rule, "Action=DescribeDBClusters").await.contains("<Endpoint>CreateDBCluster</Endpoint>"));
    }

    #[tokio::test]
    async fn the_settings_of_an_instance_can_be_changed() {
        let rule = Rds::default();
        let create = "Action=CreateDBInstance&DBInstanceIdentifier=a&EnablePerformanceInsights=true\
                      &PerformanceInsightsKMSKeyId=arn%3Ak&PromotionTier=3";
        assert!(ask(&rule, create).await.contains("<PerformanceInsightsKMSKeyId>arn:k</PerformanceInsightsKMSKeyId>"));
        ask(&rule, "Action=ModifyDBInstance&DBInstanceIdentifier=a&PromotionTier=1&EnablePerformanceInsights=false")
            .await;
        let shown = ask(&rule, "Action=DescribeDBInstances").await;
        assert!(shown.contains("<PromotionTier>1</PromotionTier>"), "{shown}");
        assert!(shown.contains("<PerformanceInsightsEnabled>false</PerformanceInsightsEnabled>"), "{shown}");
        assert!(!shown.contains(KEY), "{shown}");
    }

    #[tokio::test]
    async fn other_instances_are_not_changed() {
        let rule = Rds::default();
        ask(&rule, "Action=CreateDBInstance&DBInstanceIdentifier=b&PromotionTier=1").await;
        assert!(ask(&rule, "Action=DescribeDBInstances").await.contains("<PromotionTier>3</PromotionTier>"));
        assert!(subject(&ec2("111122223333", "us-east-1", "Action=CreateDBInstance")).is_none());
    }
}
