"""AWS as the function sees it in its tests: fakes that follow its rules, with the standard library only.

The fake table evaluates the expressions that it receives, and the fake Data API runs the statements in SQLite, so that
the code that is tested is the code that is deployed.
"""

import contextlib
import io
import json
import re
import sqlite3
import threading

import payment_processor as processor

PRIMARY, STANDBY = "us-east-1", "us-east-2"
NOW = 1_795_000_000.25
CREATED_AT = "2026-11-18T11:06:40.250Z"
ORDER = {"amount": 1250, "currency": "EUR", "reference": "Invoice 4711 of Jane Roe"}
ROLE = "arn:aws:sts::123456789012:assumed-role/shop"
ENVIRONMENT = {
    "AWS_REGION": PRIMARY,
    "SESSIONS_TABLE": "sessions",
    "RECEIPTS_BUCKET": "receipts",
    "DATABASE_CLUSTER_ARN": "arn:aws:rds:us-east-1:123456789012:cluster:payments",
    "DATABASE_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:payments",
}


def iam(arn, **members):
    """What an HTTP API passes on about a caller whose signature it has verified.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html"""
    identity = {
        "accessKey": "ASIA",
        "accountId": "123456789012",
        "callerId": "AROA:session",
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": arn,
        "userId": "AROA:session",
    }
    return {"iam": {**identity, **members}}


def jwt(issuer, subject, **claims):
    """What it passes on about the bearer of a token."""
    return {"jwt": {"claims": {"iss": issuer, "sub": subject, **claims}, "scopes": None}}


class FakeAwsError(Exception):
    """Has the form of botocore's ClientError."""

    def __init__(self, code, message="refused", **members):
        super().__init__(message)
        self.operation_name = "Operation"
        self.response = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"RequestId": "aws-1"},
            **members,
        }


class Faults:
    """Calls that fail, and calls whose answer is lost."""

    def __init__(self):
        self.calls = []
        self.before = {}
        self.after = {}

    def enter(self, operation):
        self.calls.append(operation)
        if operation in self.before:
            raise self.before[operation]

    def leave(self, operation):
        if operation in self.after:
            raise self.after.pop(operation)


class FakeDynamoDb(Faults):
    def __init__(self):
        super().__init__()
        self.items = {}
        self.lock = threading.Lock()

    def get_item(self, TableName, Key, ConsistentRead=False):
        self.enter("get_item")
        item = self.items.get(Key["pk"]["S"])
        return {"Item": dict(item)} if item else {}

    def put_item(self, TableName, Item, **arguments):
        self.enter("put_item")
        with self.lock:
            self.check(Item["pk"]["S"], arguments)
            self.items[Item["pk"]["S"]] = dict(Item)
        self.leave("put_item")
        return {}

    def update_item(self, TableName, Key, UpdateExpression, **arguments):
        self.enter("update_item")
        with self.lock:
            self.check(Key["pk"]["S"], arguments)
            item = self.items[Key["pk"]["S"]]
            assigned, _, removed = UpdateExpression.removeprefix("SET ").partition(" REMOVE ")
            for assignment in assigned.split(", "):
                name, value = assignment.split(" = ")
                item[self.name(name, arguments)] = arguments["ExpressionAttributeValues"][value]
            for name in filter(None, removed.split(", ")):
                item.pop(name, None)
        self.leave("update_item")
        return {}

    def name(self, name, arguments):
        return arguments["ExpressionAttributeNames"][name] if name.startswith("#") else name

    def check(self, pk, arguments):
        """Evaluates the condition as DynamoDB does: a comparison with a missing attribute is false."""
        item = self.items.get(pk, {})

        def plain(value):
            return float(value["N"]) if "N" in value else value["S"]

        def compare(match):
            name, operator, value = match.groups()
            attribute = item.get(self.name(name, arguments))
            if attribute is None:
                return "False"
            left, right = plain(attribute), plain(arguments["ExpressionAttributeValues"][value])
            return str(left <= right if operator == "<=" else left == right)

        condition = arguments["ConditionExpression"]
        condition = re.sub(r"attribute_not_exists\((\w+)\)", lambda match: str(match[1] not in item), condition)
        condition = re.sub(r"(#?\w+) (<=|=) (:\w+)", compare, condition)
        words = condition.replace("AND", "and").replace("OR", "or")
        assert re.fullmatch(r"(True|False|and|or|[() ])+", words), words
        if not eval(words):
            old = {"Item": dict(item)} if arguments.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else {}
            raise FakeAwsError("ConditionalCheckFailedException", **old)


class FakeDataApi(Faults):
    def __init__(self):
        super().__init__()
        self.database = sqlite3.connect(":memory:", check_same_thread=False)

    def __del__(self):
        # Python 3.13 and later warn about databases that are left open, in the middle of the tests' output.
        self.database.close()

    def execute_statement(self, resourceArn, secretArn, database, sql, parameters):
        word = sql.split()[0]
        self.enter(word)
        values = {}
        for parameter in parameters:
            ((kind, value),) = parameter["value"].items()
            assert isinstance(value, {"stringValue": str, "longValue": int}[kind]), parameter
            values[parameter["name"]] = value
        try:
            cursor = self.database.execute(sql, values)
        except sqlite3.OperationalError as error:
            # The wording of PostgreSQL, as the Data API passes it on.
            assert "no such table" in str(error), error
            text = 'ERROR: relation "payments" does not exist; Position: 82; SQLState: 42P01'
            raise FakeAwsError("DatabaseErrorException", text) from error
        except sqlite3.Error as error:
            raise FakeAwsError("DatabaseErrorException", f"{error}: {values}") from error
        rows = [[self.cell(value) for value in row] for row in cursor.fetchall()]
        self.leave(word)
        return {"numberOfRecordsUpdated": max(cursor.rowcount, 0), "records": rows}

    def cell(self, value):
        return {"longValue": value} if isinstance(value, int) else {"stringValue": value}


class FakeS3(Faults):
    def __init__(self):
        super().__init__()
        self.objects = {}

    def put_object(self, Bucket, Key, Body, ContentType):
        self.enter("put_object")
        self.objects[Key] = Body
        self.leave("put_object")

    def get_object(self, Bucket, Key):
        self.enter("get_object")
        if Key not in self.objects:
            raise FakeAwsError("NoSuchKey")
        return {"Body": io.BytesIO(self.objects[Key])}

    def head_bucket(self, Bucket):
        self.enter("head_bucket")


class Context:
    aws_request_id = "lambda-1"

    def get_remaining_time_in_millis(self):
        return 15_000


class Region:
    """The function in one Region. Regions share what replicates between them."""

    def __init__(self, name=PRIMARY, ledger="aurora", peer=None, api_auth="none"):
        self.name = name
        self.now = NOW
        self.dynamodb = peer.dynamodb if peer else FakeDynamoDb()
        self.s3 = peer.s3 if peer else FakeS3()
        self.data_api = FakeDataApi()
        environment = {**ENVIRONMENT, "AWS_REGION": name, "LEDGER": ledger, "API_AUTH": api_auth}
        config = processor.Config.read(environment)
        clients = processor.Clients(self.dynamodb, self.s3, self.data_api, (FakeAwsError,))
        self.application = processor.Application(config, clients, now=lambda: self.now)
        self.log = ""

    def request(self, method, path, body=None, headers=None, query=None, caller=None, **event):
        context = {"http": {"method": method}, "requestId": "api-1", "stage": "$default"}
        event = {
            "version": "2.0",
            "rawPath": path,
            "headers": headers or {},
            "requestContext": {**context, "authorizer": caller} if caller else context,
            "isBase64Encoded": False,
            **event,
        }
        if query:
            event["queryStringParameters"] = query
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            answer = processor.respond(lambda: self.application, event, Context())
        self.log += output.getvalue()
        return Answer(answer)

    def pay(self, body=None, key="key-1", **event):
        return self.request("POST", "/payments", ORDER if body is None else body, {"idempotency-key": key}, **event)

    def record(self, key="key-1"):
        return self.dynamodb.items[f"idempotency#{processor.payment_id(key)}"]

    def rows(self):
        return self.data_api.database.execute("SELECT * FROM payments").fetchall()

    def events(self):
        return [json.loads(line)["event"] for line in self.log.splitlines()]

    def order_failover(self, active_region):
        self.dynamodb.items[processor.FAILOVER_KEY] = {
            "pk": {"S": processor.FAILOVER_KEY},
            "active_region": {"S": active_region},
        }


class Answer:
    def __init__(self, raw):
        self.status = raw["statusCode"]
        self.headers = raw["headers"]
        self.text = raw["body"]
        self.body = json.loads(raw["body"])
        assert raw["isBase64Encoded"] is False

    @property
    def code(self):
        return self.body["error"]["code"]
