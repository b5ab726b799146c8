"""The policy documents in calls: their form, their size, their actions, and the resources of those."""

from __future__ import annotations

import collections
import json
import re
from dataclasses import dataclass

from actions import is_condition_key, matching, meet
from wire import brief, join, masked


@dataclass(frozen=True)
class Kind:
    """A kind of policy."""

    name: str
    # In bytes, or for IAM in characters without white space; None if several calls add up, see `Policies.size`.
    limit: int | None
    # The services whose actions are allowed in it; empty for all.
    services: tuple = ()
    principal: bool = True
    resource: bool = True


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: 2,048 unless raised to 4,096.
TRUST = Kind("trust policy", 2_048, ("sts",), resource=False)
# The same page: of all inline policies of a role together.
ROLE_LIMIT = 10_240
IDENTITY = Kind("role policy", None, principal=False)
# https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html: 32 KB
KEY = Kind("key policy", 32_768, ("kms",))
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/add-bucket-policy.html: 20 KB
BUCKET = Kind("bucket policy", 20_480, ("s3",))
# https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html: 30 kB
TOPIC = Kind("topic policy", 30_720, ("sns",))
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html: 20,480 characters
SECRET = Kind("secret's policy", 20_480, ("secretsmanager",))
# https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-limits-endpoints.html: 20,480 characters, with white space
ENDPOINT = Kind("endpoint policy", 20_480)
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html: 5,120 characters
LOGS = Kind("logs resource policy", 5_120, ("logs", "xray"))

PLACES = {
    ("iam", "CreateRole", "AssumeRolePolicyDocument"): TRUST,
    ("iam", "UpdateAssumeRolePolicy", "PolicyDocument"): TRUST,
    ("iam", "PutRolePolicy", "PolicyDocument"): IDENTITY,
    ("iam", "CreatePolicy", "PolicyDocument"): Kind("managed policy", 6_144, principal=False),
    ("kms", "CreateKey", "Policy"): KEY,
    ("kms", "PutKeyPolicy", "Policy"): KEY,
    ("kms", "ReplicateKey", "Policy"): KEY,
    ("s3", "PutBucketPolicy", "Policy"): BUCKET,
    ("sns", "CreateTopic", "Attributes.Policy"): TOPIC,
    ("sns", "SetTopicAttributes", "AttributeValue"): TOPIC,
    ("secretsmanager", "PutResourcePolicy", "ResourcePolicy"): SECRET,
    ("ec2", "CreateVpcEndpoint", "PolicyDocument"): ENDPOINT,
    ("ec2", "ModifyVpcEndpoint", "PolicyDocument"): ENDPOINT,
    ("logs", "PutResourcePolicy", "policyDocument"): LOGS,
    ("dynamodb", "CreateTable", "ResourcePolicy"): Kind("table policy", 20_480, ("dynamodb",)),
    ("dynamodb", "PutResourcePolicy", "Policy"): Kind("table policy", 20_480, ("dynamodb",)),
}
IAM_KINDS = {"trust policy", "role policy", "managed policy"}

ELEMENTS = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
}  # fmt: skip
OPERATORS = re.compile(
    r"(For(All|Any)(Values?):)?"
    r"(String(Not)?Equals(IgnoreCase)?|String(Not)?Like|Numeric(Not)?Equals|Numeric(Less|Greater)Than(Equals)?"
    r"|Date(Not)?Equals|Date(Less|Greater)Than(Equals)?|Bool|BinaryEquals|(Not)?IpAddress|Arn(Not)?(Equals|Like))"
    r"(IfExists)?|Null"
)
PRINCIPALS = {"AWS", "Service", "Federated", "CanonicalUser"}
ARN = re.compile(r"arn:[^:]+:[^:]+:[^:]*:[^:]*:.+|\*", re.DOTALL)
ACCOUNT = re.compile(r"\*|[0-9]{12}|arn:aws[\w-]*:(iam|sts)::[0-9]{12}:.+")
SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?")


def documents(call):
    """Yields the policies in a call, each with its path, kind and text."""
    for (service, operation, path), kind in PLACES.items():
        if (call.service, call.operation) == (service, operation):
            value = call.params
            for step in path.split("."):
                value = value.get(step) if isinstance(value, dict) else None
            if operation == "SetTopicAttributes" and call.params.get("AttributeName") != "Policy":
                continue
            if isinstance(value, str):
                yield path, kind, value


def listed(value):
    return value if isinstance(value, list) else [value]


class Policies:
    def __init__(self):
        self.unchecked = collections.Counter()
        # The sizes of a role's policies by account and role, then by policy.
        self.sizes = collections.defaultdict(dict)

    def check(self, call):
        self.wrong = []
        for path, kind, text in documents(call):
            if masked(text):
                self.unchecked["masked policy"] += 1
                continue
            self.document(path, kind, text)
            self.size(call, path, kind, text)
        if (call.service, call.operation) == ("iam", "DeleteRolePolicy"):
            self.sizes[call.account, call.params.get("RoleName")].pop(call.params.get("PolicyName"), None)
        if (call.service, call.operation) == ("lambda", "AddPermission"):
            self.actions("Action", Kind("function's policy", None, ("lambda",)), [call.params.get("Action")], None)
            principal = call.params.get("Principal")
            if isinstance(principal, str) and not (ACCOUNT.fullmatch(principal) or SERVICE.fullmatch(principal)):
                self.say("Principal", f"is {principal!r}, which is neither an account nor a service")
        return self.wrong

    def say(self, path, what):
        self.wrong.append((path, what))

    def size(self, call, path, kind, text):
        if kind.name in IAM_KINDS:
            size, unit = len(re.sub(r"\s", "", text)), "characters without white space"
        else:
            size, unit = len(text.encode()), "bytes"
        limit = kind.limit
        if kind is IDENTITY:
            sizes = self.sizes[call.account, call.params.get("RoleName")]
            sizes[call.params.get("PolicyName")] = size
            size, limit, unit = sum(sizes.values()), ROLE_LIMIT, unit + " with the role's other policies"
        if limit and size > limit:
            self.say(path, f"has {size} {unit}, and a {kind.name} may have at most {limit}")

    def document(self, path, kind, text):
        try:
            document = json.loads(text)
        except ValueError as error:
            self.say(path, f"is not JSON: {error}")
            return
        if not isinstance(document, dict):
            self.say(path, f"is {brief(document)} instead of a policy")
            return
        for name in document.keys() - {"Version", "Id", "Statement"}:
            self.say(join(path, name), "is not an element of a policy")
        if document.get("Version") != "2012-10-17":
            self.say(join(path, "Version"), f"is {document.get('Version')!r} instead of '2012-10-17'")
        statements = listed(document.get("Statement", []))
        if not statements:
            self.say(join(path, "Statement"), "is empty")
        for index, statement in enumerate(statements):
            where = f"{path}.Statement[{index}]"
            if isinstance(statement, dict):
                self.statement(where, kind, statement)
            else:
                self.say(where, f"is {brief(statement)} instead of a statement")
        sids = [s["Sid"] for s in statements if isinstance(s, dict) and s.get("Sid")]
        for sid in {sid for sid in sids if sids.count(sid) > 1}:
            self.say(join(path, "Statement"), f"has the Sid {sid!r} more than once")

    def statement(self, path, kind, statement):
        for name in statement.keys() - ELEMENTS:
            self.say(join(path, name), "is not an element of a statement")
        if statement.get("Effect") not in ("Allow", "Deny"):
            self.say(join(path, "Effect"), f"is {statement.get('Effect')!r} instead of 'Allow' or 'Deny'")
        sid = statement.get("Sid", "")
        if kind.name in IAM_KINDS and not re.fullmatch(r"[A-Za-z0-9]*", sid):
            self.say(join(path, "Sid"), f"is {sid!r}, and IAM accepts only letters and digits")
        self.one_of(path, statement, "Action", "NotAction", True)
        self.one_of(path, statement, "Principal", "NotPrincipal", kind.principal)
        self.one_of(path, statement, "Resource", "NotResource", kind.resource)
        self.principal(join(path, "Principal"), statement.get("Principal"))
        resources = None if "Resource" not in statement else listed(statement["Resource"])
        for resource in resources or ():
            if not (isinstance(resource, str) and ARN.fullmatch(resource)):
                self.say(join(path, "Resource"), f"has {brief(resource)}, which is neither an ARN nor '*'")
                resources = None
        if "Action" in statement:
            self.actions(join(path, "Action"), kind, listed(statement["Action"]), resources)
        self.condition(join(path, "Condition"), kind, statement.get("Condition", {}))

    def one_of(self, path, statement, name, opposite, wanted):
        given = [element for element in (name, opposite) if element in statement]
        if wanted and len(given) != 1:
            self.say(path, f"has {' and '.join(given) or 'neither'} of {name} and {opposite} instead of exactly one")
        if not wanted and given:
            self.say(join(path, given[0]), "is not allowed in this kind of policy")
        if name in statement and statement[name] in ([], {}, ""):
            self.say(join(path, name), "is empty")

    def principal(self, path, principal):
        if principal is None or principal == "*":
            return
        if not isinstance(principal, dict):
            self.say(path, f"is {brief(principal)} instead of '*' or a map")
            return
        for kind, who in principal.items():
            if kind not in PRINCIPALS:
                self.say(join(path, kind), f"is not one of {', '.join(sorted(PRINCIPALS))}")
            form = {"AWS": ACCOUNT, "Service": SERVICE}.get(kind)
            for name in listed(who):
                if form and not (isinstance(name, str) and form.fullmatch(name)):
                    self.say(join(path, kind), f"is {brief(name)}, which is not a principal of this kind")

    def condition(self, path, kind, condition):
        if not isinstance(condition, dict):
            self.say(path, f"is {brief(condition)} instead of a map")
            return
        for operator, keys in condition.items():
            if not OPERATORS.fullmatch(operator):
                self.say(join(path, operator), "is not a condition operator")
            for key in keys if isinstance(keys, dict) else ():
                if not is_condition_key(key, kind.services[0] if kind.services else ""):
                    self.say(join(path, operator), f"has {key!r}, which is not a condition key")

    def actions(self, path, kind, patterns, resources):
        """Checks that every action exists. With `resources`, also that each action fits one of them, and vice versa."""
        useful = set()
        for pattern in patterns:
            if pattern == "*" and not kind.services:
                useful.update(resources or ())
                continue
            found = matching(pattern) if isinstance(pattern, str) and pattern.count(":") == 1 else ()
            if kind.services and pattern.lower().partition(":")[0] not in kind.services and pattern != "*":
                self.say(path, f"has {pattern!r}, and a {kind.name} may have only actions of {', '.join(kind.services)}")
            elif not found and pattern != "*":
                self.say(path, f"has {pattern!r}, and there is no such action")
            if resources is None or not found:
                useful.update(resources or ())
                continue
            # In the policy of a resource, `*` is that resource.
            met = [r for r in resources if r == "*" or any(meet(r, arn) for one in found for arn in one.resources)]
            useful.update(met)
            if not met:
                types = sorted({arn for one in found for arn in one.resources}) or ["*"]
                self.say(path, f"has {pattern!r}, but none of the resources that it applies to: {', '.join(types)}")
        for resource in resources or ():
            if resource not in useful:
                self.say(path, f"has no action for the resource {resource!r}")
