"""Wrong calls are found in each protocol, and correct ones pass."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path

import botocore.model

import judge as judging
import model as models
from judge import Judge
from samples import (
    ALARM,
    API,
    CHECK,
    CLUSTER,
    FUNCTION,
    GROUP,
    KMS_KEY,
    LIFECYCLE,
    TABLE,
    TOPIC,
    VPC,
    cbor,
    document,
    edited,
    findings,
    recorded,
    statement,
)
from shapes import compile_java


class CorrectCalls(unittest.TestCase):
    def test_calls_written_by_botocore_pass_in_every_protocol(self):
        calls = [
            recorded("ec2", "CreateVpc", VPC),
            recorded("ec2", "AuthorizeSecurityGroupIngress", GROUP),
            recorded("ec2", "DescribeVpcs", {"Filters": [{"Name": "tag:x", "Values": ["1", "2"]}], "MaxResults": 5}),
            recorded("rds", "CreateDBCluster", CLUSTER),
            recorded("rds", "ModifyDBCluster", {"DBClusterIdentifier": "c", "VpcSecurityGroupIds": []}),
            recorded("sns", "CreateTopic", TOPIC),
            recorded("sts", "GetCallerIdentity", {}),
            recorded("dynamodb", "CreateTable", TABLE),
            recorded("kms", "CreateKey", KMS_KEY),
            recorded("service-quotas", "GetServiceQuota", {"ServiceCode": "vpc", "QuotaCode": "L-F678F1CE"}),
            recorded("cloudwatch", "PutMetricAlarm", ALARM),
            recorded("s3", "PutBucketLifecycleConfiguration", LIFECYCLE),
            recorded("s3", "GetBucketVersioning", {"Bucket": "b"}),
            recorded("s3", "ListObjectsV2", {"Bucket": "b", "MaxKeys": 3}),
            recorded("s3", "PutObject", {"Bucket": "b", "Key": "a/b c", "Body": b"x", "Metadata": {"m": "1"}}),
            recorded("s3", "AbortMultipartUpload", {"Bucket": "b", "Key": "k", "UploadId": "u"}),
            recorded("route53", "CreateHealthCheck", CHECK),
            recorded("route53", "ListResourceRecordSets", {"HostedZoneId": "Z1", "StartRecordName": "x"}),
            recorded("lambda", "CreateFunction", FUNCTION),
            recorded(
                "lambda",
                "UntagResource",
                {"Resource": "arn:aws:lambda:us-east-1:111122223333:function:f", "TagKeys": ["a", "b"]},
            ),
            recorded("apigatewayv2", "CreateApi", API),
            recorded("apigatewayv2", "GetApis", {"MaxResults": "500"}),
        ]
        for call in calls:
            with self.subTest(call["operation"]):
                self.assertEqual(findings(call), [])

    def test_operations_with_the_same_path_are_distinguished(self):
        judge = Judge()
        key = {"Bucket": "b", "Key": "k"}
        for name, params in [
            ("UploadPart", key | {"PartNumber": 1, "UploadId": "u", "Body": b""}),
            ("CopyObject", key | {"CopySource": "b/k"}),
            ("PutObject", key | {"Body": b""}),
            (
                "PutBucketPolicy",
                {"Bucket": "b", "Policy": document(statement("s3:*", "arn:aws:s3:::b", Principal="*"))},
            ),
            ("CreateBucket", {"Bucket": "b"}),
            ("ListObjectVersions", {"Bucket": "b"}),
        ]:
            judge.judge(recorded("s3", name, params))
        self.assertEqual(
            sorted(judge.operations),
            sorted(
                ("s3", name)
                for name in [
                    "UploadPart",
                    "CopyObject",
                    "PutObject",
                    "PutBucketPolicy",
                    "CreateBucket",
                    "ListObjectVersions",
                ]
            ),
        )

    def test_masked_secrets_and_omitted_bodies_are_not_findings(self):
        password = {**CLUSTER, "MasterUserPassword": "*" * 40}
        function = edited(recorded("lambda", "CreateFunction", FUNCTION), "UEsDBP8=", "***")
        body = recorded("s3", "PutObject", {"Bucket": "b", "Key": "k", "Body": b"***"})
        secret = recorded(
            "secretsmanager", "CreateSecret", {"Name": "s", "SecretString": "***", "ClientRequestToken": "*" * 32}
        )
        self.assertEqual(findings(recorded("rds", "CreateDBCluster", password), function, body, secret), [])


class WrongCalls(unittest.TestCase):
    def found(self, call, *words):
        found = findings(call)
        for finding in found:
            if all(word in finding for word in words):
                return
        self.fail(f"{words} not in {found}")

    def test_required_members_that_are_missing_are_found(self):
        for service, operation, params, name in [
            ("ec2", "CreateRouteTable", {}, "VpcId"),
            ("rds", "CreateDBCluster", {"Engine": "aurora-postgresql"}, "DBClusterIdentifier"),
            ("sns", "CreateTopic", {"Name": "t", "Tags": [{"Key": "k"}]}, "Tags[0].Value"),
            ("dynamodb", "DescribeTable", {}, "TableName"),
            ("cloudwatch", "PutDashboard", {"DashboardName": "a"}, "DashboardBody"),
            ("route53", "CreateHealthCheck", {"HealthCheckConfig": {"Type": "TCP"}}, "CallerReference"),
            ("lambda", "CreateFunction", {"FunctionName": "f", "Code": {}}, "Role"),
            ("apigatewayv2", "CreateApi", {"Name": "a"}, "ProtocolType"),
        ]:
            with self.subTest(service):
                self.found(recorded(service, operation, params), f"{name}: is required")
        rules = {"Rules": [{"Filter": {"Prefix": ""}}]}
        call = recorded("s3", "PutBucketLifecycleConfiguration", {"Bucket": "b", "LifecycleConfiguration": rules})
        self.found(call, "LifecycleConfiguration.Rules[0].Status: is required")

    def test_members_that_the_model_does_not_know_are_found(self):
        vpc, cluster = recorded("ec2", "CreateVpc", VPC), recorded("rds", "CreateDBCluster", CLUSTER)
        for call, path in [
            (edited(vpc, "CidrBlock", "CidrBlok"), "CidrBlok"),
            (edited(vpc, "Tag.1.Key", "Tag.1.Name"), "TagSpecifications[0].Tags[0].Name"),
            (edited(cluster, "Tags.Tag.1.Key", "Tags.member.1.Key"), "Tags.member.1.Key"),
            (edited(recorded("dynamodb", "CreateTable", TABLE), "BillingMode", "Billing"), "Billing"),
            (cbor(recorded("cloudwatch", "PutMetricAlarm", ALARM), lambda b: b.update(Colour=1)), "Colour"),
            (
                edited(recorded("route53", "CreateHealthCheck", CHECK), "Inverted", "Upended"),
                "HealthCheckConfig.Upended",
            ),
            (edited(recorded("s3", "PutBucketLifecycleConfiguration", LIFECYCLE), "Days>", "Nights>"), "Nights"),
            (edited(recorded("lambda", "CreateFunction", FUNCTION), '"Timeout"', '"Patience"'), "Patience"),
            (edited(recorded("apigatewayv2", "CreateApi", API), '"name"', '"Name"'), "Name"),
        ]:
            with self.subTest(path):
                self.found(call, f"{path}: is not in the model")
        buckets = recorded("s3", "ListObjectsV2", {"Bucket": "b"})
        buckets["request"]["uri"] += "&depth=1"
        buckets["request"]["headers"]["x-amz-mood"] = "good"
        self.found(buckets, "depth: is in the query")
        self.found(buckets, "x-amz-mood: is among the headers")

    def test_values_that_are_not_in_an_enumeration_are_found(self):
        for service, operation, params in [
            ("ec2", "AllocateAddress", {"Domain": "moon"}),
            ("dynamodb", "CreateTable", TABLE | {"BillingMode": "FREE"}),
            ("cloudwatch", "PutMetricAlarm", ALARM | {"Statistic": "Median"}),
            ("s3", "PutBucketVersioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "On"}}),
            ("s3", "CreateBucket", {"Bucket": "b", "ObjectOwnership": "Mine"}),
            ("lambda", "CreateFunction", FUNCTION | {"Runtime": "cobol"}),
            ("apigatewayv2", "CreateApi", API | {"ProtocolType": "GOPHER"}),
            ("kms", "CreateKey", {"KeySpec": "ROT13"}),
        ]:
            with self.subTest(operation):
                self.found(recorded(service, operation, params), "and must be one of")

    def test_wrong_sizes_ranges_and_patterns_are_found(self):
        for service, operation, params, words in [
            ("iam", "GetRole", {"RoleName": "r" * 65}, "RoleName: has 65 characters, and may have at most 64"),
            ("iam", "GetRole", {"RoleName": "a/b"}, "does not match"),
            ("ec2", "DescribeVpcs", {"MaxResults": 2}, "MaxResults: is 2, and must be at least 5"),
            ("dynamodb", "CreateBackup", {"TableName": "t", "BackupName": "a b"}, "does not match"),
            ("kms", "CreateKey", {"Tags": [{"TagKey": "", "TagValue": "v"}]}, "has 0 characters"),
            ("cloudwatch", "PutMetricAlarm", ALARM | {"EvaluationPeriods": 0}, "must be at least 1"),
            ("cloudwatch", "DeleteAlarms", {"AlarmNames": ["a"] * 101}, "has 101 items, and may have at most 100"),
            ("lambda", "CreateFunction", FUNCTION | {"MemorySize": 64}, "must be at least 128"),
            ("lambda", "GetFunction", {"FunctionName": "a b"}, "does not match"),
            ("route53", "CreateHealthCheck", {**CHECK, "CallerReference": "r" * 65}, "may have at most 64"),
            ("logs", "CreateLogGroup", {"logGroupName": "g", "tags": {"k": "a|b"}}, "does not match"),
            ("apigatewayv2", "CreateStage", {"ApiId": "a", "StageName": "s" * 200}, "may have at most 128"),
        ]:
            with self.subTest(words):
                self.found(recorded(service, operation, params), words)

    def test_values_of_the_wrong_type_are_found(self):
        table, function = recorded("dynamodb", "CreateTable", TABLE), recorded("lambda", "CreateFunction", FUNCTION)
        for call, words in [
            (
                edited(recorded("ec2", "AuthorizeSecurityGroupIngress", GROUP), "FromPort=443", "FromPort=https"),
                "not a number",
            ),
            (edited(recorded("rds", "CreateDBCluster", CLUSTER), "Encrypted=true", "Encrypted=True"), "not a boolean"),
            (edited(table, '"PAY_PER_REQUEST"', "1"), "instead of a string"),
            (edited(table, '[{"AttributeName": "pk", "KeyType": "HASH"}]', '"pk"'), "instead of a list"),
            (edited(function, ": 15", ': "15"'), "instead of a integer"),
            (edited(function, "UEsDBP8=", "not base64"), "not a blob"),
            (
                cbor(recorded("cloudwatch", "PutMetricAlarm", ALARM), lambda b: b.update(Period="60")),
                "instead of a integer",
            ),
            (edited(recorded("route53", "CreateHealthCheck", CHECK), ">10<", ">soon<"), "not a number"),
        ]:
            with self.subTest(words):
                self.found(call, words)

    def test_requests_that_fit_no_operation_are_found(self):
        vpc, table = recorded("ec2", "CreateVpc", VPC), recorded("dynamodb", "CreateTable", TABLE)
        self.found(edited(vpc, "CreateVpc", "CreateMoon"), "has no operation 'CreateMoon'")
        self.found(edited(vpc, "2016-11-15", "2006-01-01"), "the version is '2006-01-01'")
        self.found(vpc | {"service": "moon"}, "no model of a service 'moon'")
        table["request"]["headers"]["x-amz-target"] = "Dynamo.CreateTable"
        self.found(table, "the target is 'Dynamo'")
        alarm = recorded("cloudwatch", "DeleteAlarms", {"AlarmNames": ["a"]})
        alarm["request"]["uri"] = "/operation/DeleteAlarms"
        self.found(alarm, "instead of 'rpc-v2-cbor' to '/service/GraniteServiceVersion20100801/")
        api = recorded("apigatewayv2", "CreateApi", API)
        api["request"]["method"] = "PATCH"
        self.found(api, "has no operation for PATCH /v2/apis")

    def test_bodies_that_cannot_be_read_are_found(self):
        self.found(edited(recorded("kms", "CreateKey", KMS_KEY), "{", "["), "body: is not JSON")
        self.found(edited(recorded("route53", "CreateHealthCheck", CHECK), "</", "<"), "body: is not XML")
        check = recorded("route53", "CreateHealthCheck", CHECK)
        self.found(edited(check, "CreateHealthCheckRequest", "HealthCheck"), "has the root 'HealthCheck'")
        self.found(edited(check, "https://route53", "https://r53"), "has the namespace")
        alarm = recorded("cloudwatch", "PutMetricAlarm", ALARM)
        alarm["request"] |= {"body": "/w==", "encoding": "base64"}
        self.found(alarm, "body: is not CBOR")

    def test_violations_of_a_single_protocol_are_found(self):
        policy = recorded(
            "s3", "PutBucketVersioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "Enabled"}}
        )
        del policy["request"]["headers"]["x-amz-checksum-crc32"]
        self.found(policy, "checksum: is missing")
        self.found(edited(recorded("ec2", "CreateVpc", VPC), "Tag.2.", "Tag.3."), "is numbered 1, 3")
        key = recorded("kms", "CreateKey", KMS_KEY)
        key["request"]["headers"]["content-type"] = "application/json"
        self.found(key, "content-type: is 'application/json'")
        record = {"Name": "x.org", "Type": "TXT", "TTL": 5, "ResourceRecords": [{"Value": "v"}]}
        batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        change = recorded("route53", "ChangeResourceRecordSets", {"HostedZoneId": "Z1", "ChangeBatch": batch})
        self.found(edited(change, "<Type>TXT</Type>", "<Type>TXT</Type><Type>A</Type>"), "is given 2 times")

    def test_filters_that_are_not_documented_are_found(self):
        for service, operation in [
            ("ec2", "DescribeVpcs"),
            ("ec2", "DescribeNatGateways"),
            ("rds", "DescribeDBClusters"),
            ("rds", "DescribeDBClusterParameters"),
        ]:
            member = "Filter" if operation == "DescribeNatGateways" else "Filters"
            params = {member: [{"Name": "colour", "Values": ["red"]}]}
            self.found(recorded(service, operation, params), f"{member}[0].Name: is 'colour'")

    def test_limits_in_the_names_of_shapes_are_checked(self):
        integration = {"ApiId": "a", "IntegrationType": "AWS_PROXY", "Description": "d" * 1025}
        self.found(recorded("apigatewayv2", "CreateIntegration", integration), "may have at most 1024")

    def test_a_union_must_have_one_member(self):
        shape = {"type": "structure", "union": True, "members": {"a": {"shape": "S"}, "b": {"shape": "S"}}}
        model = botocore.model.ServiceModel({"metadata": {}, "shapes": {"U": shape, "S": {"type": "string"}}})
        validator = judging.Validator(judging.Patterns())
        validator.check(model.shape_for("U"), {"a": "1", "b": "2"})
        self.assertEqual(validator.wrong, [("", "must have exactly one member, and has 2")])


class Patterns(unittest.TestCase):
    def test_java_patterns_are_converted_to_python(self):
        for pattern, good, bad in [
            (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Grün 7:/", "a|b"),
            (r"\p{ASCII}+", "az~", "é"),
            (r"[[:alnum:]]+", "a1", "-"),
            (r"[\w-_]*", "a-b_", "a b"),
            (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a\U0001f600", "\x00"),
            (r"^a$", "a", "ab"),
            (r"\w+", "az", "é"),
            (r"\P{L}+", "12", "a"),
        ]:
            with self.subTest(pattern):
                self.assertTrue(compile_java(pattern).fullmatch(good))
                self.assertFalse(compile_java(pattern).fullmatch(bad))

    def test_a_pattern_that_cannot_be_compiled_is_counted(self):
        patterns = judging.Patterns()
        self.assertTrue(patterns.matches(r"[a[b]]&&(", "x"))
        self.assertEqual(patterns.unchecked.total(), 1)

    def test_all_patterns_of_the_services_compile(self):
        services = "acm apigatewayv2 cloudwatch dynamodb ec2 iam kms lambda logs rds route53 s3 secretsmanager sns sts"
        for service in services.split():
            shapes = models.loader().load_service_model(service, "service-2")["shapes"]
            failed = {s["pattern"] for s in shapes.values() if "pattern" in s and compile_java(s["pattern"]) is None}
            self.assertEqual(failed, set(), service)


class CommandLine(unittest.TestCase):
    def run_judge(self, text, *options):
        out, err = io.StringIO(), io.StringIO()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "calls.json")
            path.write_text(text, encoding="utf-8")
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = judging.main([str(path), *options])
        return code, out.getvalue(), err.getvalue()

    def test_exit_codes_and_lines(self):
        good, bad = (
            recorded("ec2", "CreateVpc", VPC),
            recorded("ec2", "CreateRouteTable", {}, seq=2, region="us-east-2"),
        )
        unsigned = good | {"service": "unsigned", "operation": "GET /health", "seq": 3}
        code, out, _ = self.run_judge("\n".join(map(json.dumps, [good, unsigned])))
        self.assertEqual(code, 0)
        summary = "1 calls of 1 operations in 1 services judged: 0 findings; unchecked: 1 calls of unsigned, skipped\n"
        self.assertEqual(out, summary)
        code, out, _ = self.run_judge(json.dumps([bad, bad, good]))
        self.assertEqual(code, 1)
        self.assertIn("ec2:CreateRouteTable (seq 2, us-east-2): VpcId: is required, and missing (2 times)\n", out)
        self.assertIn("3 calls of 2 operations in 1 services judged: 1 findings; unchecked: nothing\n", out)
        code, out, _ = self.run_judge(json.dumps([bad]), "--json")
        self.assertEqual((code, json.loads(out)["findings"][0]["path"]), (1, "VpcId"))

    def test_a_file_that_cannot_be_judged_is_not_a_success(self):
        for text in ["", "[]", "{", json.dumps([{"seq": 1, "service": "ec2", "operation": "CreateVpc"}])]:
            with self.subTest(text):
                code, out, err = self.run_judge(text)
                self.assertEqual((code, out), (2, ""))
                self.assertIn("judge:", err)


if __name__ == "__main__":
    unittest.main()
