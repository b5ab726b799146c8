"""Whether the policies in a recording allow what its resources will do. This needs all calls.

Conditions are not evaluated: a statement with a condition counts as one that allows, unless it requires something that the
service does not send when it assumes a role. Key policies are checked together, per account and Region, because a request
that creates a key does not have the key's id.
"""

from __future__ import annotations

import ast
import collections
import functools
import json
import re
from pathlib import Path

from botocore import xform_name

from actions import compiled
from model import loader
from policies import KEY, TRUST, documents, listed

FUNCTION = Path(__file__).resolve().parents[2] / "lambda" / "payment_processor.py"

# Operations of the function whose permission has another name, or that need an additional one.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/data-api.access.html
NEEDS = {
    "s3:HeadBucket": ["s3:ListBucket"],
    "rds-data:ExecuteStatement": ["rds-data:ExecuteStatement", "secretsmanager:GetSecretValue"],
}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
FROM_BUCKET = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
FROM_OBJECTS = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"]
TO_OBJECTS = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html: "must include at least". `logs:CreateLogGroup`
# is left out, because the group already exists: so a deleted group is not recreated, without encryption, by the service.
FLOW_LOG = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
FLOW_LOG_ANY = ["logs:DescribeLogGroups"]
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
IN_VPC = [
    "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
]  # fmt: skip
LOGGING = ["logs:CreateLogStream", "logs:PutLogEvents"]
TRACING = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
LOGS_KEY = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:GenerateDataKey", "kms:DescribeKey"]
# https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
ALARMS_KEY = ["kms:Decrypt", "kms:GenerateDataKey"]

# What a service sends when it assumes a role, according to its documentation. A statement that requires anything else is
# never met, and nothing reports it: a replication, for example, is accepted, and then fails for every object.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html: no condition at all.
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
SENDS = {
    "s3.amazonaws.com": set(),
    "vpc-flow-logs.amazonaws.com": {"aws:sourceaccount", "aws:sourcearn"},
}


def unmet(statement, service):
    """The condition keys that a statement requires and `service` does not send."""
    condition = statement.get("Condition")
    if service not in SENDS or not isinstance(condition, dict):
        return []
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html: these are met
    # by a missing key.
    lenient = re.compile(r"ForAllValues:.*|.*Not.*|.*IfExists|Null")
    asked = [key for operator, keys in condition.items() if not lenient.fullmatch(operator) for key in keys]
    return [key for key in asked if key.lower() not in SENDS[service]]


def allows(statements, action, resource, principal=None):
    """Whether statements allow `action` on `resource`, for the service `principal` if the policy names principals."""
    allowed = False
    for statement in statements:
        if not match(statement.get("Action", ()), action.lower(), lower=True):
            continue
        if resource is not None and not match(statement.get("Resource", "*"), resource):
            continue
        who = statement.get("Principal", {})
        if principal and not (isinstance(who, dict) and principal in listed(who.get("Service", ()))):
            continue
        if statement.get("Effect") == "Deny" and not statement.get("Condition"):
            return False
        allowed = allowed or statement.get("Effect") == "Allow"
    return allowed


def match(patterns, text, lower=False):
    return any(
        compiled(pattern.lower() if lower else pattern).fullmatch(text)
        for pattern in listed(patterns)
        if isinstance(pattern, str)
    )


class Grants:
    def __init__(self):
        self.trust = {}
        self.inline = collections.defaultdict(dict)
        self.attached = set()
        self.keys = collections.defaultdict(list)
        self.topics = {}
        self.questions = []

    def note(self, call):
        if not call.succeeded:
            return
        role = (call.account, call.params.get("RoleName"))
        for _, kind, text in documents(call):
            try:
                statements = [s for s in listed(json.loads(text)["Statement"]) if isinstance(s, dict)]
            except (ValueError, KeyError, TypeError):
                continue
            if kind is TRUST:
                self.trust[role] = statements
            elif kind is KEY:
                self.keys[call.account, call.region].append(statements)
            elif call.operation == "PutRolePolicy":
                self.inline[role][call.params.get("PolicyName")] = statements
            elif call.operation in ("CreateTopic", "SetTopicAttributes"):
                name = call.params.get("Name") or call.params.get("TopicArn", "").rpartition(":")[2]
                self.topics[f"arn:aws:sns:{call.region}:{call.account}:{name}"] = statements
        if call.operation == "AttachRolePolicy":
            self.attached.add(role)
        ask = ASK.get((call.service, call.operation))
        if ask:
            self.questions.append((ask, call))

    def gaps(self, unchecked):
        found = []
        for ask, call in self.questions:
            found += [(call, path, what) for path, what in ask(self, call, unchecked)]
        return found

    # -- what is asked ---------------------------------------------------------------------------------------------

    def role(self, call, path, arn, service, wanted, unchecked):
        """`wanted`: pairs of actions and a resource."""
        role = (call.account, (arn or "").rpartition("/")[2])
        if role not in self.trust or role in self.attached:
            unchecked["role whose policies are not all in the recording"] += 1
            return
        asked = sorted({key for statement in self.trust[role] for key in unmet(statement, service)})
        if not allows(self.trust[role], "sts:AssumeRole", None, service):
            yield path, f"is {role[1]}, whose trust policy does not let {service} assume it"
        elif not allows([one for one in self.trust[role] if not unmet(one, service)], "sts:AssumeRole", None, service):
            yield path, f"is {role[1]}, whose trust policy requires {', '.join(asked)}, which {service} does not send"
        statements = [statement for policy in self.inline[role].values() for statement in policy]
        for actions, resource in wanted:
            for action in actions:
                if not allows(statements, action, resource):
                    yield path, f"is {role[1]}, whose policies do not allow {action} on {resource}"

    def key(self, call, path, service, actions, unchecked):
        policies = self.keys.get((call.account, call.region))
        if not policies:
            unchecked["key whose policy is not in the recording"] += 1
            return
        for action in actions:
            if not any(allows(statements, action, None, service) for statements in policies):
                yield path, f"is in {call.region}, where no key policy lets {service} use {action}"

    def function(self, call, unchecked):
        account, region, params = call.account, call.region, call.params
        name = params.get("FunctionName")
        group = params.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}"
        wanted = [(LOGGING, f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:s")]
        if params.get("VpcConfig", {}).get("SubnetIds"):
            wanted.append((IN_VPC, "*"))
        if params.get("TracingConfig", {}).get("Mode") == "Active":
            wanted.append((TRACING, "*"))
        if params.get("KMSKeyArn"):
            wanted.append((["kms:Decrypt"], params["KMSKeyArn"]))
        if params.get("Handler") == f"{FUNCTION.stem}.handler":
            wanted += self.program(call)
        else:
            unchecked["function with other code than drctl's"] += 1
        yield from self.role(call, "Role", params.get("Role"), "lambda.amazonaws.com", wanted, unchecked)

    def program(self, call):
        """Yields what drctl's own function calls, with the resources that its environment names."""
        environment = call.params.get("Environment", {}).get("Variables", {})
        table = f"arn:aws:dynamodb:{call.region}:{call.account}:table/{environment.get('SESSIONS_TABLE')}"
        bucket = f"arn:aws:s3:::{environment.get('RECEIPTS_BUCKET')}"
        for operation in sorted(called_by(FUNCTION)):
            service = operation.partition(":")[0]
            if service == "rds-data" and environment.get("LEDGER") != "aurora":
                continue
            for action in NEEDS.get(operation, [operation]):
                resource = {
                    "dynamodb": table,
                    "s3": bucket if action == "s3:ListBucket" else f"{bucket}/receipts/pay_0.json",
                    "rds-data": environment.get("DATABASE_CLUSTER_ARN"),
                    "secretsmanager": environment.get("DATABASE_SECRET_ARN"),
                }[action.partition(":")[0]]
                yield [action], resource

    def replication(self, call, unchecked):
        configuration = call.params.get("ReplicationConfiguration", {})
        source = f"arn:aws:s3:::{call.params.get('Bucket')}"
        wanted = [(FROM_BUCKET, source), (FROM_OBJECTS, f"{source}/key")]
        for rule in configuration.get("Rules", []):
            destination = rule.get("Destination", {})
            wanted.append((TO_OBJECTS, f"{destination.get('Bucket')}/key"))
            key = destination.get("EncryptionConfiguration", {}).get("ReplicaKmsKeyID")
            if key:
                # https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html
                wanted.append((["kms:Encrypt", "kms:GenerateDataKey"], key))
        path = "ReplicationConfiguration.Role"
        yield from self.role(call, path, configuration.get("Role"), "s3.amazonaws.com", wanted, unchecked)

    def flow_log(self, call, unchecked):
        if call.params.get("LogDestinationType", "cloud-watch-logs") != "cloud-watch-logs":
            return
        group = call.params.get("LogGroupName")
        if not group:
            group = call.params.get("LogDestination", "").partition(":log-group:")[2].removesuffix(":*")
        prefix = f"arn:aws:logs:{call.region}:{call.account}:log-group:"
        wanted = [(FLOW_LOG, f"{prefix}{group}:log-stream:s"), (FLOW_LOG_ANY, f"{prefix}*")]
        arn, path = call.params.get("DeliverLogsPermissionArn"), "DeliverLogsPermissionArn"
        yield from self.role(call, path, arn, "vpc-flow-logs.amazonaws.com", wanted, unchecked)

    def log_group(self, call, unchecked):
        if call.params.get("kmsKeyId"):
            yield from self.key(call, "kmsKeyId", f"logs.{call.region}.amazonaws.com", LOGS_KEY, unchecked)

    def topic(self, call, unchecked):
        if call.params.get("Attributes", {}).get("KmsMasterKeyId"):
            path, service = "Attributes.KmsMasterKeyId", "cloudwatch.amazonaws.com"
            yield from self.key(call, path, service, ALARMS_KEY, unchecked)

    def alarm(self, call, unchecked):
        for path in ("AlarmActions", "OKActions", "InsufficientDataActions"):
            for arn in call.params.get(path, []):
                if not arn.startswith("arn:aws:sns:"):
                    continue
                if arn.split(":")[3] != call.region:
                    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
                    yield path, f"has {arn}, but an alarm in {call.region} reaches only topics in its own Region"
                elif arn not in self.topics:
                    unchecked["topic whose policy is not in the recording"] += 1
                elif not allows(self.topics[arn], "sns:Publish", arn, "cloudwatch.amazonaws.com"):
                    yield path, f"has {arn}, whose policy does not let cloudwatch.amazonaws.com publish"


ASK = {
    ("lambda", "CreateFunction"): Grants.function,
    ("s3", "PutBucketReplication"): Grants.replication,
    ("ec2", "CreateFlowLogs"): Grants.flow_log,
    ("logs", "CreateLogGroup"): Grants.log_group,
    ("sns", "CreateTopic"): Grants.topic,
    ("monitoring", "PutMetricAlarm"): Grants.alarm,
}


@functools.cache
def called_by(path):
    """The SDK operations in the function's source: the methods that its classes call on `self._client`."""
    operations = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ClassDef):
            continue
        client = None
        for inner in ast.walk(node):
            if isinstance(inner, ast.Assign) and ast.unparse(inner.targets[0]) == "self._client":
                client = ast.unparse(inner.value).removeprefix("clients.").replace("_", "-")
        if client:
            model = loader().load_service_model(client, "service-2")
            names = {xform_name(name): name for name in model["operations"]}
            for inner in ast.walk(node):
                if isinstance(inner, ast.Attribute) and ast.unparse(inner.value) == "self._client":
                    operations.add(f"{client}:{names.get(inner.attr, inner.attr)}")
    if not operations:
        raise ValueError(f"no calls found in {path}: it is not written in the form that this expects")
    return frozenset(operations)
