"""Wrong policies are found, and correct ones pass."""

from __future__ import annotations

import unittest

from actions import is_condition_key, matching, meet
from samples import ACCOUNT, ALARM, FUNCTION, KEY, REGION, document, findings, recorded, statement, trust


class PolicyDocuments(unittest.TestCase):
    def inline(self, *statements, **more):
        params = {"RoleName": "r", "PolicyName": "p", "PolicyDocument": document(*statements, **more)}
        return findings(recorded("iam", "PutRolePolicy", params))

    def found(self, found, words):
        self.assertTrue(any(words in finding for finding in found), f"{words!r} not in {found}")

    def test_correct_policies_pass(self):
        bucket = "arn:aws:s3:::b"
        self.assertEqual(self.inline(
            statement(["s3:GetObject", "s3:Put*"], f"{bucket}/*"), statement("s3:ListBucket", bucket),
            statement("ec2:DescribeVpcs", "*", Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
            statement("logs:PutLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:g:*"),
        ), [])  # fmt: skip
        context = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:*"}}
        policy = document(
            statement("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
            statement("kms:Decrypt*", Principal={"Service": "logs.us-east-1.amazonaws.com"}, Condition=context),
        )
        self.assertEqual(findings(recorded("kms", "CreateKey", {"Policy": policy})), [])

    def test_malformed_documents_are_found(self):
        self.found(self.inline(Version="2008-10-17"), "Version: is '2008-10-17'")
        self.found(self.inline(), "Statement: is empty")
        self.found(self.inline(statement("s3:GetObject", "arn:aws:s3:::b/*", Effect="Maybe")), "Effect: is 'Maybe'")
        self.found(self.inline(statement("s3:GetObject", "arn:aws:s3:::b/*", Actions=[])), "Actions: is not an element")
        self.found(self.inline(statement("s3:GetObject", "arn:aws:s3:::b/*", Sid="a b")), "only letters and digits")
        self.found(self.inline(*[statement("s3:ListAllMyBuckets", Sid="A")] * 2), "the Sid 'A' more than once")
        self.found(self.inline(statement("ec2:DescribeVpcs", "vpc")), "neither an ARN nor '*'")
        self.found(self.inline({"Effect": "Allow", "Action": "s3:GetObject"}), "neither of Resource")
        self.found(self.inline(statement("ec2:DescribeVpcs", Principal="*")), "Principal: is not allowed")
        self.found(self.inline(statement("ec2:DescribeVpcs", Condition={"Equals": {}})), "Equals: is not a condition operator")
        condition = {"StringEquals": {"aws:SourceAcount": "1"}}
        self.found(self.inline(statement("ec2:DescribeVpcs", Condition=condition)), "not a condition key")
        params = {"RoleName": "r", "PolicyName": "p", "PolicyDocument": "{"}
        self.found(findings(recorded("iam", "PutRolePolicy", params)), "PolicyDocument: is not JSON")
        params = {"RoleName": "r", "AssumeRolePolicyDocument": trust("lambda")}
        self.found(findings(recorded("iam", "CreateRole", params)), "is not a principal of this kind")
        self.found(
            findings(recorded("kms", "CreateKey", {"Policy": document(statement("kms:*"))})), "neither of Principal"
        )

    def test_actions_that_do_not_exist_or_do_not_fit_are_found(self):
        self.found(self.inline(statement("s3:GetObjekt", "arn:aws:s3:::b/*")), "there is no such action")
        self.found(self.inline(statement("moon:Land*")), "there is no such action")
        self.found(self.inline(statement("s3:GetObject", "arn:aws:s3:::b")), "but none of the resources that it applies to")
        self.found(self.inline(statement("s3:ListBucket", "arn:aws:s3:::b/*")), "but none of the resources")
        mixed = statement("s3:GetObject", ["arn:aws:s3:::b/*", f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"])
        self.found(self.inline(mixed), "has no action for the resource 'arn:aws:sqs")
        topic = document(statement("sqs:SendMessage", Principal="*"))
        params = {"Name": "t", "Attributes": {"Policy": topic}}
        self.found(findings(recorded("sns", "CreateTopic", params)), "may have only actions of sns")
        permission = {"FunctionName": "f", "StatementId": "s", "Action": "lambda:Invoke", "Principal": "apigateway"}
        found = findings(recorded("lambda", "AddPermission", permission))
        self.found(found, "there is no such action")
        self.found(found, "neither an account nor a service")

    def test_sizes_are_limited_and_add_up(self):
        def put(name, length):
            resources = [f"arn:aws:s3:::b/{number:07}" for number in range(length // 23)]
            policy = document(statement("s3:GetObject", resources))
            return recorded("iam", "PutRolePolicy", {"RoleName": "r", "PolicyName": name, "PolicyDocument": policy})

        self.assertEqual(findings(put("a", 6_000), put("a", 6_000)), [])
        self.found(findings(put("a", 6_000), put("b", 6_000)), "and a role policy may have at most 10240")
        gone = recorded("iam", "DeleteRolePolicy", {"RoleName": "r", "PolicyName": "a"})
        self.assertEqual(findings(put("a", 6_000), gone, put("b", 6_000)), [])
        resources = [f"arn:aws:s3:::b/{number}" for number in range(1_500)]
        policy = {"Bucket": "b", "Policy": document(statement("s3:GetObject", resources, Principal="*"))}
        self.found(findings(recorded("s3", "PutBucketPolicy", policy)), "may have at most 20480")

    def test_actions_keys_and_arns_are_compared_as_iam_does(self):
        self.assertEqual([found.name for found in matching("SNS:publish")], ["sns:Publish"])
        self.assertGreater(len(matching("s3:Get*")), 10)
        self.assertTrue(is_condition_key("AWS:sourcearn", "s3") and is_condition_key("aws:RequestTag/x", "s3"))
        self.assertFalse(is_condition_key("s3:moon", "s3"))
        self.assertTrue(meet("arn:aws:s3:::b*", "arn:*:s3:::*/*"))
        self.assertFalse(meet("arn:aws:sns:us-east-1:1:t", "arn:*:sqs:*:*:*"))


class Grants(unittest.TestCase):
    """Each test has correct calls, and the same calls with something missing."""

    def role(self, name, service, *statements):
        return [
            recorded("iam", "CreateRole", {"RoleName": name, "AssumeRolePolicyDocument": trust(service)}),
            recorded(
                "iam", "PutRolePolicy", {"RoleName": name, "PolicyName": "p", "PolicyDocument": document(*statements)}
            ),
        ]

    def gap(self, good, bad, words):
        self.assertEqual(findings(*good), [])
        found = findings(*bad)
        self.assertTrue(found and all(words in finding for finding in found), found)

    def test_the_role_of_the_flow_logs_allows_what_they_do(self):
        arn, group = f"arn:aws:iam::{ACCOUNT}:role/f", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:g:*"
        log = recorded("ec2", "CreateFlowLogs", {
            "ResourceIds": ["vpc-1"], "ResourceType": "VPC", "LogGroupName": "g", "DeliverLogsPermissionArn": arn,
        })  # fmt: skip
        write = statement(["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], group)
        look = statement("logs:DescribeLogGroups")
        service = "vpc-flow-logs.amazonaws.com"
        self.gap(
            [*self.role("f", service, write, look), log], [*self.role("f", service, write), log], "DescribeLogGroups"
        )
        other = [*self.role("f", "ec2.amazonaws.com", write, look), log]
        self.gap([*self.role("f", service, write, look), log], other, "does not let vpc-flow-logs")

    def test_the_role_of_the_replication_allows_what_it_does(self):
        rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Priority": 1, "Destination": {
            "Bucket": "arn:aws:s3:::to", "EncryptionConfiguration": {"ReplicaKmsKeyID": KEY},
        }}  # fmt: skip
        role = f"arn:aws:iam::{ACCOUNT}:role/r"
        configuration = {"Role": role, "Rules": [rule]}
        put = recorded("s3", "PutBucketReplication", {"Bucket": "from", "ReplicationConfiguration": configuration})
        bucket = statement(["s3:GetReplicationConfiguration", "s3:ListBucket"], "arn:aws:s3:::from")
        read = statement("s3:GetObjectVersion*", "arn:aws:s3:::from/*")
        write = statement("s3:Replicate*", "arn:aws:s3:::to/*")
        key = statement(["kms:Encrypt", "kms:GenerateDataKey"], KEY)
        good = [*self.role("r", "s3.amazonaws.com", bucket, read, write, key), put]
        self.gap(good, [*self.role("r", "s3.amazonaws.com", bucket, read, write), put], "kms:")
        self.gap(good, [*self.role("r", "s3.amazonaws.com", bucket, write, key), put], "s3:GetObjectVersion")

    def test_a_trust_policy_requires_only_what_the_service_sends(self):
        arn, group = f"arn:aws:iam::{ACCOUNT}:role/r", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:g:*"
        rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Priority": 1, "Destination": {
            "Bucket": "arn:aws:s3:::to",
        }}  # fmt: skip
        configuration = {"Role": arn, "Rules": [rule]}
        put = recorded("s3", "PutBucketReplication", {"Bucket": "b", "ReplicationConfiguration": configuration})
        log = recorded("ec2", "CreateFlowLogs", {
            "ResourceIds": ["vpc-1"], "ResourceType": "VPC", "LogGroupName": "g", "DeliverLogsPermissionArn": arn,
        })  # fmt: skip
        bucket = statement(["s3:GetReplicationConfiguration", "s3:ListBucket"], "arn:aws:s3:::b")
        read = statement("s3:GetObjectVersion*", "arn:aws:s3:::b/*")
        replicate = statement("s3:Replicate*", "arn:aws:s3:::to/*")
        write = statement(["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], group)
        look = statement("logs:DescribeLogGroups")

        def trusting(service, condition, *inline):
            trusted = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
            policy = document(trusted | ({"Condition": condition} if condition else {}))
            made = recorded("iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": policy})
            return [made, *self.role("r", service, *inline)[1:]]

        mine = {"aws:SourceAccount": ACCOUNT}
        for_s3 = ("s3.amazonaws.com", bucket, read, replicate)
        good = [*trusting(for_s3[0], None, *for_s3[1:]), put]
        for operator in ("StringEquals", "StringLike", "ForAnyValue:StringEquals"):
            bad = [*trusting(for_s3[0], {operator: mine}, *for_s3[1:]), put]
            self.gap(good, bad, "requires aws:SourceAccount, which s3.amazonaws.com does not send")
        for operator in ("StringEqualsIfExists", "StringNotEquals"):
            self.assertEqual(findings(*trusting(for_s3[0], {operator: mine}, *for_s3[1:]), put), [])
        known = trusting("vpc-flow-logs.amazonaws.com", {"StringEquals": mine}, write, look)
        self.assertEqual(findings(*known, log), [])

    def test_the_role_of_the_function_allows_what_it_calls(self):
        secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:s-123456"
        cluster = f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:c"
        environment = {
            "SESSIONS_TABLE": "t", "RECEIPTS_BUCKET": "b", "LEDGER": "aurora", "DATABASE_CLUSTER_ARN": cluster,
            "DATABASE_SECRET_ARN": secret,
        }  # fmt: skip
        params = FUNCTION | {"Handler": "payment_processor.handler", "Environment": {"Variables": environment}}
        make = recorded("lambda", "CreateFunction", params)
        group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/f:*"
        log = statement(["logs:CreateLogStream", "logs:PutLogEvents"], group)
        table = statement("dynamodb:*Item", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t")
        objects, bucket = statement("s3:*Object", "arn:aws:s3:::b/*"), statement("s3:ListBucket", "arn:aws:s3:::b")
        ledger = [statement("rds-data:ExecuteStatement", cluster), statement("secretsmanager:GetSecretValue", secret)]
        service = "lambda.amazonaws.com"
        good = [*self.role("f", service, log, table, objects, bucket, *ledger), make]
        for missing, words in [
            (table, "dynamodb:"),
            (objects, "Object"),
            (bucket, "s3:ListBucket"),
            (ledger[1], "GetSecretValue"),
        ]:
            rest = [one for one in (log, table, objects, bucket, *ledger) if one is not missing]
            self.gap(good, [*self.role("f", service, *rest), make], words)

    def test_key_and_topic_policies_allow_the_services_that_need_them(self):
        def key(service, action):
            return recorded("kms", "CreateKey", {"Policy": document(
                statement("kms:*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
                statement(action, Principal={"Service": service}),
            )})  # fmt: skip

        group = recorded("logs", "CreateLogGroup", {"logGroupName": "g", "kmsKeyId": KEY})
        wide = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        good = key(f"logs.{REGION}.amazonaws.com", wide)
        self.gap(
            [good, group], [key("logs.us-east-2.amazonaws.com", wide), group], "no key policy lets logs.us-east-1"
        )
        topic_arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:t"

        def topic(service):
            policy = document(statement("SNS:Publish", topic_arn, Principal={"Service": service}))
            return recorded(
                "sns", "CreateTopic", {"Name": "t", "Attributes": {"KmsMasterKeyId": KEY, "Policy": policy}}
            )

        alarm = recorded("cloudwatch", "PutMetricAlarm", ALARM | {"AlarmActions": [topic_arn]})
        alarms = "cloudwatch.amazonaws.com"
        both = key(alarms, ["kms:Decrypt", "kms:GenerateDataKey*"])
        self.gap(
            [both, topic(alarms), alarm], [key(alarms, "kms:Decrypt"), topic(alarms), alarm], "kms:GenerateDataKey"
        )
        self.gap([both, topic(alarms), alarm], [both, topic("s3.amazonaws.com"), alarm], "does not let cloudwatch")
        elsewhere = recorded("cloudwatch", "PutMetricAlarm", ALARM | {"AlarmActions": ["arn:aws:sns:eu-west-1:1:t"]})
        self.gap([both, topic(alarms), alarm], [elsewhere], "only topics in its own Region")


if __name__ == "__main__":
    unittest.main()
