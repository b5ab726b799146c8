"""Calls for the tests, written by botocore's serialisers, independently of the code that reads them here."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

import botocore.model
import botocore.serialize
import cbor2

import model as models
from judge import Judge

ACCOUNT, REGION = "111122223333", "us-east-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"


def recorded(service, operation, params, **more):
    """A call as the sandbox records it."""
    signing = {v: k for k, v in models.MODELS.items()}.get(service, service)
    signing = "apigateway" if service == "apigatewayv2" else signing
    model = botocore.model.ServiceModel(models.loader().load_service_model(service, "service-2"), service)
    serializer = botocore.serialize.create_serializer(model.metadata["protocol"], include_validation=False)
    request = serializer.serialize_to_request(params, model.operation_model(operation))
    uri = request["url_path"]
    if request["query_string"]:
        uri += ("&" if "?" in uri else "?") + urlencode(request["query_string"], doseq=True)
    headers = {name.lower(): value for name, value in request["headers"].items()}
    body = request["body"]
    if isinstance(body, dict):
        body = urlencode(body)
    body = body.encode() if isinstance(body, str) else body
    if service == "s3":
        headers["x-amz-checksum-crc32"] = "AAAAAA=="
    call = {
        "seq": 1,
        "account": ACCOUNT,
        "region": REGION,
        "service": signing,
        "operation": operation,
        "status": 200,
        "millis": 1,
        "request": {"method": request["method"], "uri": uri, "headers": headers},
    }
    call["request"] |= wire(body)
    return call | more


def wire(body):
    try:
        return {"body": body.decode(), "encoding": "text"}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "encoding": "base64"}


def edited(call, old, new):
    """The call with a replacement in its body."""
    request = call["request"]
    assert old in request["body"], request["body"]
    return call | {"request": request | {"body": request["body"].replace(old, new)}}


def cbor(call, change):
    """The call with a changed CBOR body."""
    request = call["request"]
    raw = base64.b64decode(request["body"]) if request["encoding"] == "base64" else request["body"].encode()
    body = cbor2.loads(raw)
    change(body)
    return call | {"request": request | {"body": base64.b64encode(cbor2.dumps(body)).decode(), "encoding": "base64"}}


def findings(*calls):
    judge = Judge()
    for number, call in enumerate(calls, 1):
        judge.judge(call | {"seq": number})
    judge.finish()
    return [f"{first.path}: {first.what}" for first, _ in judge.findings.values()]


def document(*statements, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)} | more)


def statement(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def trust(service):
    return document({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})


VPC = {
    "CidrBlock": "10.0.0.0/16",
    "TagSpecifications": [{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": ""}]}],
}
GROUP = {
    "GroupId": "sg-1",
    "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
}
CLUSTER = {
    "DBClusterIdentifier": "c",
    "Engine": "aurora-postgresql",
    "StorageEncrypted": True,
    "BackupRetentionPeriod": 7,
    "VpcSecurityGroupIds": ["sg-1", "sg-2"],
    "EnableCloudwatchLogsExports": ["postgresql"],
    "Tags": [{"Key": "k", "Value": "v"}],
    "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 8.0},
}
TOPIC = {"Name": "t", "Attributes": {"DisplayName": "d", "FifoTopic": "false"}, "Tags": [{"Key": "k", "Value": "v"}]}
TABLE = {
    "TableName": "sessions",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}
ALARM = {
    "AlarmName": "a",
    "MetricName": "m",
    "Namespace": "n",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.5,
    "ComparisonOperator": "GreaterThanThreshold",
    "Dimensions": [{"Name": "d", "Value": "é"}],
}
LIFECYCLE = {
    "Bucket": "b",
    "LifecycleConfiguration": {
        "Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}}]
    },
}
CHECK = {
    "CallerReference": "r",
    "HealthCheckConfig": {
        "Type": "HTTPS",
        "FullyQualifiedDomainName": "x.org",
        "RequestInterval": 10,
        "Inverted": True,
    },
}
FUNCTION = {
    "FunctionName": "f",
    "Role": f"arn:aws:iam::{ACCOUNT}:role/f",
    "Runtime": "python3.13",
    "Handler": "own.handler",
    "Code": {"ZipFile": b"PK\x03\x04\xff"},
    "Timeout": 15,
    "MemorySize": 512,
    "Tags": {"k": "v"},
}
API = {"Name": "a", "ProtocolType": "HTTP", "Tags": {"k": "v"}, "DisableExecuteApiEndpoint": False}
KMS_KEY = {"Description": "d", "Tags": [{"TagKey": "drctl:node", "TagValue": "é/ü"}]}
