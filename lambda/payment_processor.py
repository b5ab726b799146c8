"""The payment function behind the HTTP API: the same code in both Regions.

A payment survives a crash at any point, a lost answer and a failover, because every step can be repeated: the
payment's id is derived from its caller and the `Idempotency-Key`, so a repeated step finds what the first one left. The
order of the steps is essential:

    claim the key -> ledger -> receipt -> keep the answer

A claim is a lease that ends with the invocation that holds it: the first request after a crash takes it over and
continues.

The function uses only the standard library and the runtime's own boto3, so it is deployed without a build step.
README.md describes the interface, the environment and the permissions.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import json
import math
import os
import re
import time
import traceback
import unicodedata
import uuid
from concurrent import futures
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

# `drctl failover` writes this item to the standby's replica of the sessions table. It has no expiry, because an expired
# fence would let the old Region write again.
FAILOVER_KEY = "drctl#failover"

# How long DNS still sends clients to the old Region after a failover: the TTL of the failover records.
RETRY_AFTER_FAILOVER = 60
RETRY_AFTER_OUTAGE = 5
RETRY_AFTER_IN_PROGRESS = 1

# How long `/health` waits for the fence. Route 53 considers an endpoint unhealthy if it answers more than two seconds
# after connecting, and a slow table alone must not move DNS.
# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
# See docs/aws-behaviour.md#health-check-quorum.
FENCE_PATIENCE_SECONDS = 1

# A lease outlasts its invocation by this much, because the clocks of two hosts or Regions may differ.
LEASE_MARGIN_SECONDS = 2

BODY_LIMIT = 16 * 1024
# 15 digits, which every JSON parser reads exactly, even one that knows only doubles.
AMOUNT_LIMIT = 999_999_999_999_999
# The maximum length of a remittance text in ISO 20022.
REFERENCE_LIMIT = 140
# Visible ASCII without the comma: the HTTP API joins repeated headers with a comma, and two keys are not a valid key.
IDEMPOTENCY_KEY = re.compile(r"[!-+\--~]{1,255}")
PAYMENT_PATH = re.compile(r"/payments/([^/]+)")
DIGEST = re.compile(r"[0-9a-f]{32}")
# The session's name, at the end, is chosen by the client, and differs from session to session.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
ASSUMED_ROLE = re.compile(r"(arn:[^:]+:sts::[0-9]{12}:assumed-role/[^/]+)/[^/]+")

# ISO 4217 as of 2026, without the codes for funds, metals and tests, in which nobody can be paid.
CURRENCIES = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP
    CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR
    IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU
    MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG
    SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV
    WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
    """.split()
)

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class ApiError(Exception):
    """An answer other than success. `cause` is only for the log."""

    def __init__(self, status, code, message, *, details=None, headers=None, cause=None):
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = headers or {}
        self.cause = cause or {}


class Unavailable(ApiError):
    """A dependency failed to do what it was asked to do."""

    def __init__(self, dependency, error):
        super().__init__(
            503,
            f"{dependency}_unavailable",
            f"The {dependency} cannot be used in this Region at the moment. "
            "Repeat the request with the same Idempotency-Key: nothing is done twice.",
            headers={"retry-after": str(RETRY_AFTER_OUTAGE)},
            cause=describe(error),
        )


class ConditionFailed(Exception):
    """DynamoDB refused a conditional write because of `item`."""

    def __init__(self, item):
        super().__init__("condition failed")
        self.item = item


def describe(error):
    """What may be logged of an SDK error. Not its text, in which the Data API quotes the values of a statement."""
    response = getattr(error, "response", {})
    fields = {
        "error": type(error).__name__,
        "aws_code": response.get("Error", {}).get("Code"),
        "aws_request_id": response.get("ResponseMetadata", {}).get("RequestId"),
        "operation": getattr(error, "operation_name", None),
    }
    return {name: value for name, value in fields.items() if value}


def log(level, event, **fields):
    """Logs one line of JSON. Callers pass only ids and codes, never the content of a payment."""
    print(json.dumps({"level": level, "event": event, "region": os.environ.get("AWS_REGION"), **fields}), flush=True)


def guarded(dependency, failures, call):
    """Converts the SDK's errors, and only those, into ours: a defect in this file must remain a 500."""
    try:
        return call()
    except failures as error:
        response = getattr(error, "response", {})
        if response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
            raise ConditionFailed(response.get("Item")) from None
        raise Unavailable(dependency, error) from error


@dataclass(frozen=True)
class Config:
    region: str
    sessions_table: str
    ttl_attribute: str
    ttl_seconds: int
    ledger: str
    receipts_bucket: str
    api_auth: str
    database: dict = field(default_factory=dict)

    @staticmethod
    def read(environment):
        """Reports everything that is wrong at once, but only by name, because a value could be a secret."""
        wrong = []

        def value(name, default=None):
            text = environment.get(name) or default
            if text is None:
                wrong.append(f"{name} is missing")
            return text

        ledger = value("LEDGER", "aurora")
        if ledger not in ("aurora", "dynamodb"):
            wrong.append("LEDGER is neither aurora nor dynamodb")
        api_auth = value("API_AUTH", "none")
        if api_auth not in ("iam", "jwt", "none"):
            wrong.append("API_AUTH is neither iam nor jwt nor none")
        hours = value("SESSIONS_TTL_HOURS", "24")
        if not re.fullmatch(r"[1-9][0-9]{0,3}", hours):
            wrong.append("SESSIONS_TTL_HOURS is not a number of hours")
            hours = "24"
        database = {}
        if ledger == "aurora":
            database = {
                "resourceArn": value("DATABASE_CLUSTER_ARN"),
                "secretArn": value("DATABASE_SECRET_ARN"),
                "database": value("DATABASE_NAME", "payments"),
            }
        config = Config(
            region=value("AWS_REGION"),
            sessions_table=value("SESSIONS_TABLE"),
            ttl_attribute=value("SESSIONS_TTL_ATTRIBUTE", "expires_at"),
            ttl_seconds=int(hours) * 3600,
            ledger=ledger,
            receipts_bucket=value("RECEIPTS_BUCKET"),
            api_auth=api_auth,
            database=database,
        )
        if wrong:
            raise ApiError(
                500, "misconfigured", "The function is misconfigured; see its log.", cause={"problems": wrong}
            )
        return config


@dataclass(frozen=True)
class Clients:
    dynamodb: object
    s3: object
    rds_data: object
    # The SDK's exceptions, injected together with the clients, so that the tests need no SDK.
    failures: tuple


def connect(config):
    """Creates the SDK's clients. boto3 is imported here, so that the tests run where it is not installed."""
    import boto3
    from botocore.config import Config as Options
    from botocore.exceptions import BotoCoreError, ClientError

    # An emulator has one host name for all buckets. On AWS, the regional name of the bucket is resolved for each
    # connection; the global name is never used, because it depends on us-east-1.
    is_emulated = "AWS_ENDPOINT_URL" in os.environ or "AWS_ENDPOINT_URL_S3" in os.environ
    s3 = {"addressing_style": "path" if is_emulated else "virtual", "us_east_1_regional_endpoint": "regional"}

    def client(service, read_seconds):
        # Two attempts, each with a second to connect and a few seconds to answer: the caller learns of a dependency
        # that hangs before the invocation's default timeout of 15 s, and the second attempt resolves the name again.
        # Keep-alive detects connections that died while the container was frozen.
        options = Options(
            connect_timeout=1,
            read_timeout=read_seconds,
            retries={"mode": "standard", "total_max_attempts": 2},
            tcp_keepalive=True,
            max_pool_connections=4,
            s3=s3,
        )
        return boto3.client(service, region_name=config.region, config=options)

    return Clients(
        dynamodb=client("dynamodb", 2),
        s3=client("s3", 3),
        # AWS advises clients to wait for a minute, because a statement keeps running after its client has left. All of
        # ours can be repeated, so leaving early loses nothing but the answer.
        # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/data-api-timeouts.html
        rds_data=client("rds-data", 4) if config.ledger == "aurora" else None,
        failures=(ClientError, BotoCoreError),
    )


@dataclass(frozen=True)
class Payment:
    id: str
    amount: int
    currency: str
    reference: str
    region: str
    created_at_ms: int

    @property
    def fingerprint(self):
        """Equal for equal orders, however their JSON is written."""
        order = json.dumps([self.amount, self.currency, self.reference])
        return hashlib.sha256(order.encode()).hexdigest()

    def to_json(self):
        created_at = EPOCH + timedelta(milliseconds=self.created_at_ms)
        return json.dumps(
            {
                "id": self.id,
                "status": "accepted",
                "amount": self.amount,
                "currency": self.currency,
                "reference": self.reference,
                "region": self.region,
                "created_at": created_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.created_at_ms % 1000:03}Z",
            }
        )

    @staticmethod
    def from_json(text):
        values = json.loads(text)
        # Python 3.10 cannot parse the Z.
        created_at = datetime.fromisoformat(values["created_at"].replace("Z", "+00:00"))
        return Payment(
            id=values["id"],
            amount=values["amount"],
            currency=values["currency"],
            reference=values["reference"],
            region=values["region"],
            created_at_ms=(created_at - EPOCH) // timedelta(milliseconds=1),
        )


def caller_of(authorizer):
    """The caller that the API has authorized, in a form that is the same in every request; None on an open route.

    All sessions of a role are one caller, whatever their names. The users of a Cognito identity pool share a role, so
    they are distinguished by their identity in the pool.
    """
    if not authorizer:
        return None
    iam = authorizer.get("iam") or {}
    claims = (authorizer.get("jwt") or {}).get("claims") or {}
    cognito = (iam.get("cognitoIdentity") or {}).get("identityId")
    if cognito:
        caller = ["cognito", cognito]
    elif iam.get("userArn"):
        caller = ["iam", ASSUMED_ROLE.sub(r"\1", iam["userArn"])]
    elif claims.get("iss") and claims.get("sub"):
        # A subject is unique only within its issuer: RFC 7519, 4.1.2.
        caller = ["jwt", claims["iss"], claims["sub"]]
    else:
        raise caller_unknown()
    return json.dumps(caller)


def caller_unknown():
    message = "The request does not identify its caller. Sign it, or send a token with a subject."
    return ApiError(403, "caller_unknown", message)


def payment_id(key, caller=None):
    """Depends only on the caller and the key, so that neither a crash nor a second Region can pay twice."""
    return id_prefix(caller) + digest("drctl payment", key)


def id_prefix(caller):
    """The prefix of all payment ids of a caller: the owner of a payment is known before anything is read."""
    return "pay_" if caller is None else "pay_" + digest("drctl caller", caller)


def is_payment_of(caller, identifier):
    prefix = id_prefix(caller)
    return identifier.startswith(prefix) and DIGEST.fullmatch(identifier[len(prefix) :]) is not None


def digest(purpose, text):
    return hashlib.sha256(f"{purpose}\0{text}".encode()).hexdigest()[:32]


def read_key(headers):
    key = headers.get("idempotency-key")
    if key is None:
        raise ApiError(
            400,
            "idempotency_key_missing",
            "Send an Idempotency-Key header: one key per payment, the same key when the request is repeated.",
        )
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise ApiError(
            400,
            "idempotency_key_invalid",
            "The Idempotency-Key must have 1 to 255 visible ASCII characters and no comma. A UUID is a good choice.",
        )
    return key


def read_order(body):
    """Returns the three fields of an order, or raises an error with everything that is wrong with them."""
    if len(body) > BODY_LIMIT:
        raise ApiError(413, "body_too_large", f"The body may have at most {BODY_LIMIT} bytes.")
    try:
        order = json.loads(body.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise ApiError(
            400, "invalid_json", "The body must be JSON in UTF-8, and no name may occur twice in an object."
        ) from None
    if not isinstance(order, dict):
        raise ApiError(400, "invalid_json", "The body must be a JSON object.")

    checks = {"amount": check_amount, "currency": check_currency, "reference": check_reference}
    problems = []
    for name, check in checks.items():
        problem = check(order[name]) if name in order else ("missing_field", "is missing")
        if problem:
            problems.append((name, *problem))
    # Unknown fields are not ignored: a misspelt field, or a card number in an unexpected field, must not go unnoticed.
    problems += [(name[:64], "unknown_field", "is not a field of a payment") for name in order if name not in checks]
    if problems:
        details = [{"field": name, "code": code, "message": f"{name} {text}"} for name, code, text in problems]
        raise ApiError(400, "invalid_payment", "The payment is not valid. See details.", details=details)
    return order


def unique(pairs):
    """Refuses repeated names: given two amounts in one body, different parsers pick different ones."""
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name occurs twice")
    return names


def refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def check_amount(amount):
    # A bool is an int in Python. A client that sends 10.0, a float, probably counts in another unit than we do.
    if isinstance(amount, bool) or not isinstance(amount, int):
        return "amount_not_integer", "must be a whole number of minor units: 1250 for 12.50 EUR"
    if not 1 <= amount <= AMOUNT_LIMIT:
        return "amount_out_of_range", f"must be from 1 to {AMOUNT_LIMIT}"
    return None


def check_currency(currency):
    if not isinstance(currency, str) or currency not in CURRENCIES:
        return "currency_unknown", "must be an ISO 4217 code in capitals, for example EUR"
    return None


def check_reference(reference):
    # Control characters can forge lines where they are printed, PostgreSQL refuses NUL, and half of a surrogate pair
    # cannot be encoded in UTF-8.
    is_sound = (
        isinstance(reference, str)
        and len(reference) <= REFERENCE_LIMIT
        and reference.strip() != ""
        and all(unicodedata.category(letter) not in ("Cc", "Cs") for letter in reference)
    )
    if not is_sound:
        return "reference_invalid", f"must be a string of 1 to {REFERENCE_LIMIT} characters, without control characters"
    return None


class AuroraLedger:
    """The table in Aurora PostgreSQL, over the Data API: no connections to exhaust, no driver to package.

    The Data API works only on the writer of a global database. In the standby, every call fails until the cluster is
    promoted, which is `Unavailable` like any other outage.
    """

    # The time is a number, because the Data API returns timestamps as text in a format and time zone of its own.
    TABLE = """
        CREATE TABLE IF NOT EXISTS payments (
            id text PRIMARY KEY,
            amount bigint NOT NULL CHECK (amount > 0),
            currency text NOT NULL CHECK (length(currency) = 3),
            reference text NOT NULL,
            region text NOT NULL,
            created_at_ms bigint NOT NULL
        )"""
    INSERT = """
        INSERT INTO payments (id, amount, currency, reference, region, created_at_ms)
        VALUES (:id, :amount, :currency, :reference, :region, :created_at_ms)
        ON CONFLICT (id) DO NOTHING"""
    SELECT = "SELECT id, amount, currency, reference, region, created_at_ms FROM payments WHERE id = :id"

    def __init__(self, config, clients):
        self._target = config.database
        self._client = clients.rds_data
        self._failures = clients.failures
        self._has_table = False

    def store(self, payment):
        """Returns the payment that is now in the ledger under this id: this one, or that of an earlier attempt."""
        parameters = [
            text("id", payment.id),
            number("amount", payment.amount),
            text("currency", payment.currency),
            text("reference", payment.reference),
            text("region", payment.region),
            number("created_at_ms", payment.created_at_ms),
        ]
        if self._insert(parameters).get("numberOfRecordsUpdated") == 1:
            return payment
        stored = self.find(payment.id)
        if stored is None:
            raise RuntimeError("the ledger has a payment with this id, but does not find it")
        return stored

    def find(self, identifier):
        try:
            rows = self._execute(self.SELECT, [text("id", identifier)]).get("records", [])
        except Unavailable as outage:
            # The first payment creates the table. A read does not, because a reader in the standby cannot create it.
            if is_missing_table(outage):
                return None
            raise
        for row in rows:
            values = [column.get("stringValue", column.get("longValue")) for column in row]
            return Payment(*values)
        return None

    def probe(self):
        self._execute("SELECT 1", [])

    def _insert(self, parameters):
        try:
            if not self._has_table:
                self._create_table()
            return self._execute(self.INSERT, parameters)
        except Unavailable:
            # After a failover or a restore, the cluster behind the ARN may be another one.
            self._has_table = False
            raise

    def _create_table(self):
        try:
            self._execute(self.TABLE, [])
        except Unavailable as refusal:
            # Two containers that create the table at the same moment collide in PostgreSQL's catalogue despite IF NOT
            # EXISTS; at the second attempt, it exists. An outage is not retried, because there is no time for it.
            if refusal.cause.get("aws_code") not in ("DatabaseErrorException", "BadRequestException"):
                raise
            log("warning", "table_retried", **refusal.cause)
            self._execute(self.TABLE, [])
        self._has_table = True

    def _execute(self, statement, parameters):
        return guarded(
            "ledger",
            self._failures,
            lambda: self._client.execute_statement(sql=statement, parameters=parameters, **self._target),
        )


def is_missing_table(outage):
    """Whether PostgreSQL says `undefined_table`, which the Data API passes on in the text of its error, with or without
    the SQLSTATE."""
    message = getattr(outage.__cause__, "response", {}).get("Error", {}).get("Message", "")
    return "SQLState: 42P01" in message or 'relation "payments" does not exist' in message


def text(name, value):
    return {"name": name, "value": {"stringValue": value}}


def number(name, value):
    return {"name": name, "value": {"longValue": value}}


class DynamoDbLedger:
    """Payments in the sessions table, without an expiry, for endpoints without an SQL engine."""

    def __init__(self, config, clients):
        self._table = config.sessions_table
        self._client = clients.dynamodb
        self._failures = clients.failures

    def store(self, payment):
        item = {
            "pk": {"S": f"payment#{payment.id}"},
            "amount": {"N": str(payment.amount)},
            "currency": {"S": payment.currency},
            "reference": {"S": payment.reference},
            "made_in": {"S": payment.region},
            "created_at_ms": {"N": str(payment.created_at_ms)},
        }
        try:
            self._call(
                self._client.put_item,
                Item=item,
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as refusal:
            return self._payment(payment.id, refusal.item)
        return payment

    def find(self, identifier):
        key = {"pk": {"S": f"payment#{identifier}"}}
        item = self._call(self._client.get_item, Key=key, ConsistentRead=True).get("Item")
        return self._payment(identifier, item) if item else None

    def probe(self):
        self._call(self._client.get_item, Key={"pk": {"S": "payment#probe"}})

    def _payment(self, identifier, item):
        return Payment(
            id=identifier,
            amount=int(item["amount"]["N"]),
            currency=item["currency"]["S"],
            reference=item["reference"]["S"],
            region=item["made_in"]["S"],
            created_at_ms=int(item["created_at_ms"]["N"]),
        )

    def _call(self, method, **arguments):
        return guarded("ledger", self._failures, lambda: method(TableName=self._table, **arguments))


LEDGERS = {"aurora": AuroraLedger, "dynamodb": DynamoDbLedger}


class Sessions:
    """This Region's replica of the global table, with the failover order and the idempotency records."""

    # The record is absent; or expired, because DynamoDB may take days to remove it; or claimed by an invocation that
    # died.
    CLAIMABLE = (
        "attribute_not_exists(pk) OR #ttl <= :now "
        "OR (phase = :in_progress AND lease_until <= :now AND fingerprint = :fingerprint)"
    )
    MINE = "claimant = :me"

    def __init__(self, config, clients, now):
        self._config = config
        self._client = clients.dynamodb
        self._failures = clients.failures
        self._now = now

    def active_region(self):
        """The Region that a failover made active, or None if no failover was ordered.

        Read consistently, and again for each write: a container must not remember that the fence was open.
        """
        key = {"pk": {"S": FAILOVER_KEY}}
        item = self._call(self._client.get_item, Key=key, ConsistentRead=True).get("Item", {})
        return item.get("active_region", {}).get("S")

    def claim(self, payment, claimant, lease_seconds):
        """Returns None if the key is now ours, otherwise the record that prevents it."""
        now = self._now()
        item = {
            "pk": record_key(payment.id),
            "fingerprint": {"S": payment.fingerprint},
            "phase": {"S": "in_progress"},
            "claimant": {"S": claimant},
            "lease_until": {"N": str(math.ceil(now + lease_seconds))},
            self._config.ttl_attribute: self._expiry(now),
        }
        try:
            self._call(
                self._client.put_item,
                Item=item,
                ConditionExpression=self.CLAIMABLE,
                ExpressionAttributeNames={"#ttl": self._config.ttl_attribute},
                ExpressionAttributeValues={
                    ":now": {"N": str(math.floor(now))},
                    ":in_progress": {"S": "in_progress"},
                    ":fingerprint": {"S": payment.fingerprint},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as refusal:
            # The SDK repeats a write whose answer was lost, and then finds its own first attempt.
            if refusal.item.get("claimant", {}).get("S") == claimant:
                return None
            return refusal.item
        return None

    def finish(self, payment, claimant):
        """Stores the answer and its fingerprint, if the claim is still ours."""
        self._update(
            payment.id,
            claimant,
            "SET phase = :done, answer = :answer, fingerprint = :fingerprint, #ttl = :expiry "
            "REMOVE lease_until, claimant",
            {
                ":done": {"S": "done"},
                ":answer": {"S": payment.to_json()},
                ":fingerprint": {"S": payment.fingerprint},
                ":expiry": self._expiry(self._now()),
            },
            {"#ttl": self._config.ttl_attribute},
        )

    def release(self, identifier, claimant):
        """Ends our lease now, so that the client's next attempt continues at once. The record stays, with its
        fingerprint."""
        self._update(identifier, claimant, "SET lease_until = :over", {":over": {"N": "0"}})

    def _update(self, identifier, claimant, expression, values, names=None):
        arguments = {
            "Key": {"pk": record_key(identifier)},
            "UpdateExpression": expression,
            "ConditionExpression": self.MINE,
            "ExpressionAttributeValues": {":me": {"S": claimant}, **values},
        }
        if names:
            arguments["ExpressionAttributeNames"] = names
        try:
            self._call(self._client.update_item, **arguments)
        except ConditionFailed:
            # Our lease has ended, and another invocation took over: it makes the same payment, with the same answer.
            log("info", "claim_taken_over", payment=identifier)

    def _expiry(self, now):
        return {"N": str(math.floor(now) + self._config.ttl_seconds)}

    def _call(self, method, **arguments):
        table = self._config.sessions_table
        return guarded("sessions", self._failures, lambda: method(TableName=table, **arguments))


def record_key(identifier):
    return {"S": f"idempotency#{identifier}"}


class Receipts:
    """One object per payment, with the same bytes however often it is written. Receipts replicate to the other Region's
    bucket, so that a payment can be read where the ledger cannot be read or has lost it. The bucket's default
    encryption applies."""

    def __init__(self, config, clients):
        self._bucket = config.receipts_bucket
        self._client = clients.s3
        self._failures = clients.failures

    def write(self, payment):
        self._call(
            lambda: self._client.put_object(
                Bucket=self._bucket,
                Key=receipt_key(payment.id),
                Body=payment.to_json().encode(),
                ContentType="application/json",
            )
        )

    def find(self, identifier):
        # The body is read inside the guard, because the connection can break in the middle of it.
        try:
            body = self._call(
                lambda: self._client.get_object(Bucket=self._bucket, Key=receipt_key(identifier))["Body"].read()
            )
        except Unavailable as outage:
            if outage.cause.get("aws_code") == "NoSuchKey":
                return None
            raise
        return Payment.from_json(body)

    def probe(self):
        self._call(lambda: self._client.head_bucket(Bucket=self._bucket))

    def _call(self, call):
        return guarded("receipts", self._failures, call)


def receipt_key(identifier):
    return f"receipts/{identifier}.json"


@dataclass(frozen=True)
class Request:
    """A request of an HTTP API, payload format 2.0."""

    method: str
    path: str
    query: dict
    headers: dict
    authorizer: dict
    event: dict
    remaining_seconds: float

    @staticmethod
    def read(event, context):
        surroundings = event["requestContext"]
        path = event["rawPath"]
        # Stages other than `$default` are part of the path.
        stage = f"/{surroundings.get('stage', '$default')}"
        if path.startswith(f"{stage}/"):
            path = path[len(stage) :]
        return Request(
            method=surroundings["http"]["method"],
            path=path,
            query=event.get("queryStringParameters") or {},
            headers=event.get("headers") or {},
            authorizer=surroundings.get("authorizer") or {},
            event=event,
            remaining_seconds=context.get_remaining_time_in_millis() / 1000,
        )

    def body(self):
        body = self.event.get("body") or ""
        if not self.event.get("isBase64Encoded"):
            # A body that is not UTF-8 is refused together with other invalid JSON, where it is decoded.
            return body.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            raise ApiError(400, "invalid_json", "The body is not valid base64.") from None


def answer(status, body, headers=None):
    return {
        "statusCode": status,
        # No answer may be cached: health changes, and payments are private.
        "headers": {"content-type": "application/json", "cache-control": "no-store", **(headers or {})},
        "body": body if isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


class Application:
    def __init__(self, config, clients, now=time.time):
        self._region = config.region
        self._now = now
        self._ledger = LEDGERS[config.ledger](config, clients)
        self._sessions = Sessions(config, clients, now)
        self._receipts = Receipts(config, clients)
        self._api_auth = config.api_auth
        self._fence_reader = futures.ThreadPoolExecutor(1)

    def serve(self, request):
        payment = PAYMENT_PATH.fullmatch(request.path)
        routes = {
            "/health": ("GET", self._health),
            "/health/deep": ("GET", self._deep_health),
            "/dr/failover": ("GET", self._failover),
            "/payments": ("POST", self._pay),
        }
        if payment:
            routes[request.path] = ("GET", lambda request: self._show(request, payment[1]))
        if request.path not in routes:
            raise ApiError(404, "not_found", "There is nothing at this path.")
        method, action = routes[request.path]
        if request.method != method:
            raise ApiError(405, "method_not_allowed", f"This path accepts only {method}.", headers={"allow": method})
        return action(request)

    def _health(self, request):
        if request.query.get("deep") == "1" and request.authorizer:
            return self._deep_health(request)
        # Dependencies do not count: DNS must not leave a Region because of one that the other Region may lack, too. The
        # fence counts: DNS must not return to a Region that refuses payments, whatever happens to the standby's switch.
        active = self._active_region_if_known()
        if self._is_elsewhere(active):
            return answer(503, {"status": "failed_over", "region": self._region, "active_region": active})
        return answer(200, {"status": "ok", "region": self._region})

    def _active_region_if_known(self):
        """The active Region, if the table answers in time; None otherwise."""
        reading = self._fence_reader.submit(self._sessions.active_region)
        try:
            return reading.result(FENCE_PATIENCE_SECONDS)
        except Unavailable as outage:
            log("warning", "fence_not_read", code=outage.code, **outage.cause)
        except futures.TimeoutError:
            # If this read still waits behind one that hangs, it is no longer needed.
            reading.cancel()
            log("warning", "fence_not_read", code="timeout")
        return None

    def _deep_health(self, request):
        # Even if the API lets a request through, it needs a caller: each request costs a statement and two reads, and
        # reveals what is broken.
        if caller_of(request.authorizer) is None:
            raise caller_unknown()
        probes = {
            "sessions": self._sessions.active_region,
            "ledger": self._ledger.probe,
            "receipts": self._receipts.probe,
        }
        # All at the same time, because three dependencies that hang one after the other would outlast the invocation.
        with futures.ThreadPoolExecutor(len(probes)) as pool:
            dependencies = dict(zip(probes, pool.map(self._probe, probes.values())))
        failed = [name for name, found in dependencies.items() if found["status"] != "ok"]
        body = {"status": "failed" if failed else "ok", "region": self._region, "dependencies": dependencies}
        return answer(503 if failed else 200, body)

    def _probe(self, probe):
        start = time.monotonic()
        status = "ok"
        try:
            probe()
        except Unavailable as outage:
            status = "failed"
            log("warning", "probe_failed", code=outage.code, **outage.cause)
        return {"status": status, "milliseconds": round((time.monotonic() - start) * 1000)}

    def _failover(self, _request):
        # If the table fails, the answer is 503, which the inverted check treats as "not ordered", so DNS does not move.
        if self._sessions.active_region() == self._region:
            return answer(200, {"failover": True, "active_region": self._region})
        raise ApiError(404, "failover_not_ordered", "No failover to this Region was ordered.")

    def _caller(self, request):
        """The caller of a request. A route that was opened by hand lets nobody in."""
        caller = caller_of(request.authorizer)
        if caller is None and self._api_auth != "none":
            raise caller_unknown()
        return caller

    def _pay(self, request):
        caller = self._caller(request)
        key = read_key(request.headers)
        order = read_order(request.body())
        payment = Payment(
            id=payment_id(key, caller),
            amount=order["amount"],
            currency=order["currency"],
            reference=order["reference"],
            region=self._region,
            created_at_ms=math.floor(self._now() * 1000),
        )
        self._refuse_if_fenced()
        # Not the request id: Lambda reuses it when it repeats an invocation, and two of them must not share a claim.
        claimant = uuid.uuid4().hex
        record = self._sessions.claim(payment, claimant, request.remaining_seconds + LEASE_MARGIN_SECONDS)
        if record is not None:
            return self._repeat(payment, record)
        try:
            stored = self._ledger.store(payment)
            self._receipts.write(stored)
        except Exception:
            self._tidy("claim_not_released", payment.id, self._sessions.release, payment.id, claimant)
            raise
        # The payment is made, whether or not the answer can be stored: without it, a repeated request goes through all
        # steps again and finds the same payment.
        self._tidy("answer_not_kept", payment.id, self._sessions.finish, stored, claimant)
        # The record of this key may have expired long ago, but the ledger still knows its payment.
        self._refuse_other_order(payment.fingerprint, stored.fingerprint)
        log("info", "payment_accepted", payment=stored.id)
        return self._accepted(stored.to_json())

    def _refuse_if_fenced(self):
        active = self._sessions.active_region()
        if self._is_elsewhere(active):
            raise ApiError(
                503,
                "failed_over",
                f"Payments are now accepted in {active}. Repeat the request there with the same Idempotency-Key.",
                headers={"retry-after": str(RETRY_AFTER_FAILOVER)},
            )

    def _is_elsewhere(self, active):
        return active not in (None, self._region)

    def _repeat(self, payment, record):
        self._refuse_other_order(payment.fingerprint, record["fingerprint"]["S"])
        if record["phase"]["S"] != "done":
            raise ApiError(
                409,
                "payment_in_progress",
                "A request with this Idempotency-Key is in progress.",
                headers={"retry-after": str(RETRY_AFTER_IN_PROGRESS)},
            )
        kept = record["answer"]["S"]
        # The table and the ledger replicate independently. After a failover, the ledger may have lost a payment whose
        # answer the table still has: the payment is restored before it is confirmed again.
        self._ledger.store(Payment.from_json(kept))
        return self._accepted(kept, {"idempotency-replayed": "true"})

    def _refuse_other_order(self, given, known):
        if given != known:
            raise ApiError(
                422,
                "idempotency_key_reused",
                "This Idempotency-Key belongs to a payment with other content. Use a new key for a new payment.",
            )

    def _accepted(self, body, headers=None):
        location = f"/payments/{json.loads(body)['id']}"
        return answer(201, body, {"location": location, **(headers or {})})

    def _tidy(self, event, identifier, step, *arguments):
        """Runs a step that cannot change the outcome any more: its failure is only logged."""
        try:
            step(*arguments)
        except Unavailable as outage:
            log("warning", event, payment=identifier, code=outage.code, **outage.cause)

    def _show(self, request, identifier):
        # The payments of other callers are reported as not found, because a refusal would reveal that they exist.
        if not is_payment_of(self._caller(request), identifier):
            raise payment_not_found()
        outage = None
        try:
            payment = self._ledger.find(identifier)
            if payment:
                return answer(200, payment.to_json(), {"payment-source": "ledger"})
        except Unavailable as error:
            # Normal in a standby, whose Data API answers only after promotion. The receipts are here already.
            # See docs/aws-behaviour.md#data-api-on-the-writer-only.
            log("warning", "ledger_bypassed", payment=identifier, code=error.code, **error.cause)
            outage = error
        payment = self._receipts.find(identifier)
        if payment:
            if outage is None:
                log("error", "payment_missing_in_ledger", payment=identifier)
            return answer(200, payment.to_json(), {"payment-source": "receipt"})
        # Without the ledger, it is not certain that the payment does not exist: its receipt may still be replicating.
        raise outage or payment_not_found()


def payment_not_found():
    return ApiError(404, "payment_not_found", "There is no payment with this id.")


@functools.cache
def application():
    """Created once per container. A failure is not cached."""
    config = Config.read(os.environ)
    return Application(config, connect(config))


def respond(find_application, event, context):
    """Answers in any case: without an answer, the HTTP API returns a 500 without a code and a request id."""
    request_id = event.get("requestContext", {}).get("requestId") or context.aws_request_id
    try:
        return find_application().serve(Request.read(event, context))
    except ApiError as error:
        if error.status >= 500:
            log("warning", "request_failed", code=error.code, request_id=request_id, **error.cause)
        body = {"code": error.code, "message": error.message, "request_id": request_id}
        if error.details:
            body["details"] = error.details
        return answer(error.status, {"error": body}, error.headers)
    except Exception as error:
        # The place and type of the error, but not its text, which may quote a payment.
        frames = traceback.extract_tb(error.__traceback__)
        log(
            "error",
            "internal",
            code="internal",
            request_id=request_id,
            error=type(error).__name__,
            at=[f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
        )
        message = "Something went wrong that is not the fault of your request. It was logged under this request id."
        return answer(500, {"error": {"code": "internal", "message": message, "request_id": request_id}})


def handler(event, context):
    return respond(application, event, context)


def warm_up():
    """Creates the clients in the initialisation phase, which has a whole processor, to speed up the first payment."""
    try:
        application()
    except ApiError as error:
        # Raised here, it would look like a crash. Every request reports it again, with a code.
        log("error", "request_failed", code=error.code, **error.cause)


# The Lambda runtime sets this variable, so importing the module elsewhere creates no clients.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    warm_up()
