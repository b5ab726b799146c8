//! The pace of Lambda: a function is not ready for a while after its creation and after every update, and its network
//! interfaces remain long after it is deleted. See docs/aws-behaviour.md#function-update-in-progress and
//! docs/aws-behaviour.md#lambda-interfaces-linger.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::latencies::seconds_of;
use super::{Moment, ServicePace};
use crate::rules::Scope;
use crate::rules::ec2::{filters, refusals};
use crate::sync::lock;
use crate::wire::answer::Answer;
use crate::wire::call::Call;
use crate::wire::xml::Element;

/// "Lambda fn (VPC, new SG + subnet combo)": 45 typical.
const CREATING: f64 = 45.0;
/// "Lambda config update (SG swap)": 30 typical.
const CONFIGURING: f64 = 30.0;
/// New code only has to be copied.
const COPYING: f64 = 5.0;
/// "ENI reclaim": 1100 typical.
const RECLAIMING: f64 = 1100.0;

/// Seconds until the answer. An invocation takes as long as the function.
const SECONDS: [(&str, f64); 5] = [
    ("CreateFunction", 2.0),
    ("UpdateFunctionConfiguration", 1.0),
    ("UpdateFunctionCode", 1.0),
    ("DeleteFunction", 2.0),
    ("Invoke", 0.0),
];

/// The pace of Lambda.
pub(super) struct Lambda {
    functions: Mutex<HashMap<(Scope, String), Function>>,
    interfaces: Arc<Interfaces>,
}

#[derive(Debug, Clone, Copy)]
struct Function {
    /// When it becomes active.
    active: Instant,
    /// When its last update is finished.
    updated: Instant,
}

impl Lambda {
    /// EC2's pace shows the interfaces.
    pub(super) fn new(interfaces: Arc<Interfaces>) -> Self {
        Self { functions: Mutex::default(), interfaces }
    }

    fn function(&self, call: &Call, name: &str) -> Option<Function> {
        lock(&self.functions).get(&(Scope::of(call), name.to_owned())).copied()
    }

    /// Notes what has begun, and puts its state into the configuration that the answer shows.
    fn record(&self, call: &Call, name: &str, function: Option<Function>, configuration: &mut Value, at: Moment) {
        if let Some(function) = function {
            lock(&self.functions).insert((Scope::of(call), name.to_owned()), function);
        }
        self.interfaces.set_vpc(Scope::of(call), name, &configuration["VpcConfig"], at);
        if let Some(function) = self.function(call, name) {
            function.show(configuration, at.now);
        }
    }
}

impl ServicePace for Lambda {
    fn service(&self) -> &'static str {
        "lambda"
    }

    fn seconds(&self, operation: &str) -> Option<f64> {
        seconds_of(&SECONDS, operation)
    }

    fn before(&self, call: &mut Call, at: Moment) -> Option<Answer> {
        if !call.operation.starts_with("UpdateFunction") {
            return None;
        }
        let name = function_of(call);
        let function = self.function(call, name)?;
        let why = if at.now < function.active {
            "The function is currently in the following state: Pending".to_owned()
        } else if at.now < function.updated {
            format!(
                "An update is in progress for resource: arn:aws:lambda:{}:{}:function:{name}",
                call.region, call.account
            )
        } else {
            return None;
        };
        let message = format!("The operation cannot be performed at this time. {why}");
        Some(Answer::refusal(call, StatusCode::CONFLICT, "ResourceConflictException", &message))
    }

    fn after(&self, call: &Call, answer: &mut Answer, at: Moment) {
        let operation = call.operation.as_str();
        if !SHOWN_BY.contains(&operation) || !answer.is_success() {
            return;
        }
        let updating = |seconds| Some(Function { active: at.now, updated: at.later(seconds) });
        let function = match operation {
            "CreateFunction" => Some(Function { active: at.later(CREATING), updated: at.now }),
            "UpdateFunctionConfiguration" => updating(CONFIGURING),
            "UpdateFunctionCode" => updating(COPYING),
            "DeleteFunction" => {
                let name = function_of(call);
                lock(&self.functions).remove(&(Scope::of(call), name.to_owned()));
                return self.interfaces.set_vpc(Scope::of(call), name, &Value::Null, at);
            }
            _ => None,
        };
        answer.edit_json(|root| {
            let shown = if operation == "GetFunction" { root.get_mut("Configuration") } else { Some(root) };
            let Some(configuration) = shown else { return false };
            let Some(name) = configuration["FunctionName"].as_str().map(str::to_owned) else { return false };
            self.record(call, &name, function, configuration, at);
            true
        });
    }

    fn reset(&self) {
        lock(&self.functions).clear();
        lock(&self.interfaces.held).clear();
    }
}

impl Function {
    fn show(self, configuration: &mut Value, now: Instant) {
        if now < self.active {
            configuration["State"] = json!("Pending");
            configuration["StateReasonCode"] = json!("Creating");
            configuration["StateReason"] = json!("The function is being created.");
        } else if now < self.updated {
            // MiniStack shows an updating function as not active, while on AWS the previous version goes on serving.
            configuration["State"] = json!("Active");
            configuration["StateReasonCode"] = Value::Null;
            configuration["StateReason"] = Value::Null;
            configuration["LastUpdateStatus"] = json!("InProgress");
            configuration["LastUpdateStatusReasonCode"] = json!("Creating");
            configuration["LastUpdateStatusReason"] = json!("The function is being created.");
        }
    }
}

/// The operations that begin something, or whose answers show the state of a function.
const SHOWN_BY: [&str; 5] =
    ["CreateFunction", "GetFunction", "UpdateFunctionConfiguration", "UpdateFunctionCode", "DeleteFunction"];

/// The name of the function in a call's path; empty for a creation.
fn function_of(call: &Call) -> &str {
    let (_, rest) = call.uri.path().split_once("/functions/").unwrap_or_default();
    rest.split('/').next().unwrap_or_default()
}

/// The network interfaces of all functions, including deleted ones. EC2's pace reads them.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    held: Mutex<HashMap<Scope, Vec<Interface>>>,
}

#[derive(Debug)]
struct Interface {
    function: String,
    id: String,
    subnet: String,
    groups: Vec<String>,
    /// Until when it remains, once its function does not use it any more.
    until: Option<Instant>,
}

impl Interfaces {
    /// Sets a function's VPC configuration; `null` for none.
    fn set_vpc(&self, scope: Scope, function: &str, vpc: &Value, at: Moment) {
        let texts = |name: &str| -> Vec<String> {
            let items = vpc[name].as_array().into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (mut subnets, groups) = (texts("SubnetIds"), texts("SecurityGroupIds"));
        let mut held = lock(&self.held);
        let held = held.entry(scope).or_default();
        held.retain(|interface| interface.exists(at));
        for interface in held.iter_mut().filter(|found| found.function == function && found.until.is_none()) {
            match subnets.iter().position(|subnet| *subnet == interface.subnet) {
                Some(index) if interface.groups == groups => {
                    subnets.swap_remove(index);
                }
                _ => interface.until = Some(at.later(RECLAIMING)),
            }
        }
        held.extend(subnets.into_iter().map(|subnet| Interface {
            function: function.to_owned(),
            id: format!("eni-{:.17}", Uuid::new_v4().simple().to_string()),
            subnet,
            groups: groups.clone(),
            until: None,
        }));
    }

    /// The refusal to delete something that an interface is in.
    pub(super) fn refuse(&self, call: &Call, at: Moment) -> Option<Answer> {
        let (id, refusal) = match call.operation.as_str() {
            "DeleteSubnet" => {
                let subnet = call.form().get("SubnetId")?;
                (subnet, refusals::has_dependencies(call, "subnet", subnet))
            }
            "DeleteSecurityGroup" => {
                let group = call.form().get("GroupId")?;
                (group, refusals::has_dependent_object(call, group))
            }
            _ => return None,
        };
        let held = lock(&self.held);
        let uses = |found: &Interface| found.subnet == id || found.groups.iter().any(|group| group == id);
        held.get(&Scope::of(call))?.iter().any(|found| found.exists(at) && uses(found)).then_some(refusal)
    }

    /// Adds the interfaces to EC2's list.
    pub(super) fn described(&self, call: &Call, answer: &mut Answer, at: Moment) {
        if call.operation != "DescribeNetworkInterfaces" {
            return;
        }
        let held = lock(&self.held);
        let filters = filters::of(call.form());
        let found = held.get(&Scope::of(call)).into_iter().flatten();
        let shown: Vec<Element> =
            found.filter(|interface| interface.exists(at) && interface.passes(&filters)).map(Interface::item).collect();
        if !shown.is_empty() {
            answer.edit_xml(|root| {
                root.child_or_new("networkInterfaceSet").children_mut().extend(shown);
                true
            });
        }
    }
}

impl Interface {
    fn exists(&self, at: Moment) -> bool {
        self.until.is_none_or(|until| at.now < until)
    }

    fn item(&self) -> Element {
        let groups =
            self.groups.iter().map(|id| Element::with_children("item", vec![Element::with_text("groupId", id)]));
        let description = format!("AWS Lambda VPC ENI-{}-{}", self.function, self.id);
        Element::with_children(
            "item",
            vec![
                Element::with_text("networkInterfaceId", &self.id),
                Element::with_text("subnetId", &self.subnet),
                Element::with_text("description", &description),
                Element::with_text("status", "in-use"),
                Element::with_children("groupSet", groups.collect()),
            ],
        )
    }

    /// The filter `group-id` does not name an element: it is tried with each of the groups in such an element.
    fn passes(&self, filters: &[filters::Filter]) -> bool {
        self.groups.iter().any(|group| {
            let mut item = self.item();
            item.push(Element::with_text("groupId", group));
            filters::pass(filters, &item)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::rules::rule::tests::{ok, text};
    use crate::wire::call::tests::ec2;

    const IN_VPC: &str = r#"{"SubnetIds":["subnet-1","subnet-2"],"SecurityGroupIds":["sg-1"]}"#;
    const OUTSIDE: &str = r#"{"SubnetIds":[],"SecurityGroupIds":[]}"#;
    const FUNCTION: &str = "/2015-03-31/functions/f";
    const CONFIGURATION: &str = "/2015-03-31/functions/f/configuration";

    struct Bench {
        lambda: Lambda,
        start: Instant,
    }

    impl Bench {
        /// A function in a VPC, created at second 0, on a scale of 1.
        fn new() -> Self {
            let bench = Self { lambda: Lambda::new(Arc::default()), start: Instant::now() };
            assert!(bench.ask(0.0, "POST", "/2015-03-31/functions", IN_VPC).contains("Pending"));
            bench
        }

        fn at(&self, seconds: f64) -> Moment {
            Moment { now: self.start + Duration::from_secs_f64(seconds), scale: 1.0 }
        }

        fn ask(&self, seconds: f64, method: &str, path: &str, vpc: &str) -> String {
            let scope = "Credential=111122223333/20261123/us-east-1/lambda/aws4_request";
            let request = http::Request::builder().method(method).uri(path).header("authorization", scope);
            let (parts, ()) = request.body(()).unwrap_or_default().into_parts();
            let mut call = Call::parse(parts, Bytes::new());
            if let Some(refusal) = self.lambda.before(&mut call, self.at(seconds)) {
                return text(&refusal);
            }
            let configuration =
                format!(r#"{{"FunctionName":"f","State":"Active","LastUpdateStatus":"Successful","VpcConfig":{vpc}}}"#);
            let mut answer =
                ok(&if method == "GET" { format!(r#"{{"Configuration":{configuration}}}"#) } else { configuration });
            self.lambda.after(&call, &mut answer, self.at(seconds));
            text(&answer)
        }

        fn network(&self, seconds: f64, body: &str) -> String {
            let call = ec2("111122223333", "us-east-1", body);
            let interfaces = &self.lambda.interfaces;
            if let Some(refusal) = interfaces.refuse(&call, self.at(seconds)) {
                return text(&refusal);
            }
            let mut answer = ok("<r><networkInterfaceSet/></r>");
            interfaces.described(&call, &mut answer, self.at(seconds));
            text(&answer)
        }
    }

    #[test]
    fn a_function_takes_one_change_at_a_time() {
        let bench = Bench::new();
        assert!(bench.ask(44.0, "PUT", CONFIGURATION, IN_VPC).contains("state: Pending"));
        assert!(bench.ask(44.0, "GET", FUNCTION, IN_VPC).contains(r#""State":"Pending""#));
        assert!(bench.ask(46.0, "GET", FUNCTION, IN_VPC).contains(r#""State":"Active""#));
        assert!(bench.ask(50.0, "PUT", CONFIGURATION, IN_VPC).contains(r#""LastUpdateStatus":"InProgress""#));
        let refused = bench.ask(51.0, "PUT", "/2015-03-31/functions/f/code", IN_VPC);
        assert!(refused.contains("An update is in progress"), "{refused}");
        assert!(bench.ask(79.0, "GET", FUNCTION, IN_VPC).contains("InProgress"));
        assert!(bench.ask(81.0, "PUT", "/2015-03-31/functions/f/code", IN_VPC).contains("InProgress"));
        assert!(bench.ask(87.0, "GET", FUNCTION, IN_VPC).contains("Successful"));
    }

    #[test]
    fn its_interfaces_remain_long_after_it() {
        let bench = Bench::new();
        let by_group = "Action=DescribeNetworkInterfaces&Filter.1.Name=group-id&Filter.1.Value.1=";
        assert!(bench.network(1.0, "Action=DeleteSubnet&SubnetId=subnet-1").contains("DependencyViolation"));
        bench.ask(50.0, "PUT", CONFIGURATION, OUTSIDE);
        bench.ask(90.0, "DELETE", FUNCTION, "null");
        let group = "Action=DeleteSecurityGroup&GroupId=sg-1";
        assert!(bench.network(1100.0, group).contains("sg-1 has a dependent object"));
        let listed = bench.network(1100.0, &format!("{by_group}sg-1"));
        assert_eq!(listed.matches("AWS Lambda VPC ENI-f").count(), 2, "{listed}");
        assert!(!bench.network(1100.0, &format!("{by_group}sg-2")).contains("ENI"));
        let by_subnet = "Action=DescribeNetworkInterfaces&Filter.1.Name=subnet-id&Filter.1.Value.1=subnet-2";
        assert_eq!(bench.network(1100.0, by_subnet).matches("ENI-f").count(), 1);
        assert!(!bench.network(1151.0, group).contains("DependencyViolation"), "counted from when it left the VPC");
        assert!(!bench.network(1.0, "Action=DeleteSubnet&SubnetId=subnet-3").contains("DependencyViolation"));
    }

    #[test]
    fn operations_that_do_not_change_a_function_have_no_row() {
        let lambda = Lambda::new(Arc::default());
        assert_eq!(lambda.seconds("UpdateFunctionCode"), Some(1.0));
        assert_eq!(lambda.seconds("TagResource"), None);
    }
}
