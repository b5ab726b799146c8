# Holds replication back. Runs in MiniStack's process, before MiniStack does.
#
# MiniStack carries out a write in every Region within the same instant. Here, the writes to other Regions are kept
# instead, and the answer to the call that made them lists them in the header x-drctl-owed. When they are to arrive is
# the proxy's business: it has each of them delivered by its number, with POST /_drctl/deliver.
#
# Everything that decides what is written stays MiniStack's, and stays one step that nothing interrupts, since MiniStack
# runs one call at a time: which of two writes to an item is the later one, and whether a replica is still there.

import contextvars
import copy
import itertools
import json
import logging
import uuid

from ministack import app as server
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import dynamodb, s3, secretsmanager

OWED_HEADER = b"x-drctl-owed"
# How many one answer may list: a client reads headers of a few hundred kilobytes.
LISTED = 1500

log = logging.getLogger("drctl")
numbers = itertools.count(1)
# What has not been delivered, by its number.
owed = {}
# The numbers of what is owed from outside any call, such as the deletion of an expired item.
strays = []
this_call = contextvars.ContextVar("this_call", default=None)


class Owed:
    """A change that another Region has yet to see."""

    def __init__(self, service, account, source, target, subject, size):
        self.number = next(numbers)
        self.listed = [self.number, service, account, source, target, subject, size]
        self.account, self.source, self.target = account, source, target
        owed[self.number] = self
        call = this_call.get()
        (strays if call is None or call["answered"] else call["owed"]).append(self.number)

    def deliver(self):
        """Carries the change out in the other Region. Returns what became of it."""
        raise NotImplementedError


# DynamoDB -------------------------------------------------------------------------------------------------------------
# See docs/aws-behaviour.md#global-table-replicates-by-item.
#
# Each Region has a table of its own in MiniStack, and the group is a list of Regions in each of them. A table of a group
# also gets the number of the last write to each of its items, whether it was made there or has arrived from elsewhere:
# the later write stays, wherever it comes from.

WRITES, LINEAGE = "_drctl_writes", "_drctl_lineage"
writes = itertools.count(1)
set_item, remove_item, create_replica = dynamodb._set_item, dynamodb._remove_item, dynamodb._create_replica


class Item(Owed):
    def __init__(self, account, source, target, table, lineage, key, item, write, size):
        super().__init__("dynamodb", account, source, target, {"TableName": table}, size)
        self.table, self.lineage, self.key, self.item, self.write = table, lineage, key, item, write

    def again(self, target):
        size = self.listed[-1]
        Item(self.account, self.source, target, self.table, self.lineage, self.key, self.item, self.write, size)

    def deliver(self):
        with request_scope(self.account, self.target):
            replica = dynamodb._tables.get(self.table)
            # A table that was deleted and created again is another table.
            if replica is None or replica.get(LINEAGE) != self.lineage:
                return "gone"
            if replica.setdefault(WRITES, {}).get(self.key, 0) > self.write:
                return "superseded"
            replica[WRITES][self.key] = self.write
            old = replica["items"].get(self.key[0], {}).get(self.key[1])
            if self.item is not None:
                set_item(replica, *self.key, copy.deepcopy(self.item))
            elif old is not None:
                remove_item(replica, *self.key)
            else:
                return "delivered"
            event = "REMOVE" if self.item is None else "MODIFY" if old else "INSERT"
            dynamodb._emit_stream_event(self.table, event, old, copy.deepcopy(self.item), replicate=False)
            return "delivered"


def written(table, key, item, size):
    regions = table.get("_global_regions")
    if not regions:
        return
    write = next(writes)
    table.setdefault(WRITES, {})[key] = write
    source, account = table["TableArn"].split(":")[3:5]
    item = copy.deepcopy(item)
    for region in regions:
        if region != source:
            Item(account, source, region, table["TableName"], table.get(LINEAGE), key, item, write, size)


def set_and_owe(table, pk, sk, item):
    old = set_item(table, pk, sk, item)
    written(table, (pk, sk), item, dynamodb._item_size_bytes(item) if table.get("_global_regions") else 0)
    return old


def remove_and_owe(table, pk, sk):
    old = remove_item(table, pk, sk)
    if old is not None:
        written(table, (pk, sk), None, 0)
    return old


def create_replica_of(name, table, region):
    lineage = table.setdefault(LINEAGE, str(uuid.uuid4()))
    create_replica(name, table, region)
    # What its source has yet to see, the new replica has yet to see, too.
    home, account = get_region(), get_account_id()
    for item in list(owed.values()):
        if isinstance(item, Item) and (item.account, item.lineage, item.target) == (account, lineage, home):
            item.again(region)


dynamodb._set_item, dynamodb._remove_item = set_and_owe, remove_and_owe
dynamodb._create_replica = create_replica_of
dynamodb._replicate_write = lambda table, event_name, old_item, new_item: None


# S3 -------------------------------------------------------------------------------------------------------------------
# See docs/aws-behaviour.md#object-replication-has-a-status.


class S3Change(Owed):
    """An object version, or a delete marker, that a rule replicates."""

    def __init__(self, bucket, key, rule, role, size):
        name = (rule.get("Destination") or {}).get("Bucket", "").split(":::")[-1]
        self.bucket, self.key, self.rule, self.role = bucket, key, rule, role
        source = s3.bucket_region(bucket)
        owner = s3._bucket_owner_account(name)
        with s3._in_account(owner or get_account_id()):
            target = s3.bucket_region(name) or source
        subject = {"SourceBucket": bucket, "DestinationBucket": name}
        if (rule["Destination"].get("Metrics") or {}).get("Status") == "Enabled":
            subject["RuleId"] = rule["ID"]
        super().__init__("s3", get_account_id(), source, target, subject, size)

    def version(self):
        versions = s3._object_versions.get((self.bucket, self.key)) or []
        return next((version for version in versions if version["version_id"] == self.id()), None)

    def deliver(self):
        with request_scope(self.account, self.source):
            # A version that was deleted in the meantime is not replicated.
            if self.version() is None:
                return "gone"
            target = s3._replication_destination(self.bucket, self.key, self.rule, self.role)
            if target is None:
                self.mark("FAILED")
                return "failed"
            self.write(*target)
            self.mark("COMPLETED")
            return "delivered"


class Object(S3Change):
    def __init__(self, bucket, key, rule, role, record, data):
        super().__init__(bucket, key, rule, role, record["size"])
        self.record, self.data = record, data

    def id(self):
        # MiniStack gives the version its id after it has asked for the replica.
        return self.record.get("version_id")

    def mark(self, status):
        current = s3._buckets[self.bucket]["objects"].get(self.key)
        if current is not None and current.get("version_id") == self.id():
            current["replication_status"] = status
        self.version()["replication_status"] = status

    def write(self, name, account, bucket):
        tags = s3._object_tags.get((self.bucket, self.key, self.id()))
        replica = copy.deepcopy(self.record)
        replica["replication_status"] = "REPLICA"
        replica["storage_class"] = self.rule["Destination"].get("StorageClass") or replica["storage_class"]
        prior = bucket["objects"].get(self.key)
        bucket["objects"][self.key] = replica
        with s3._in_account(account):
            s3._record_object_version(name, self.key, prior, replica, self.data)
            # On AWS, a replica has its source's version id.
            replica["version_id"] = s3._object_versions[(name, self.key)][-1]["version_id"] = self.id()
            if tags is not None:
                s3._object_tags[(name, self.key, self.id())] = dict(tags)


class DeleteMarker(S3Change):
    def __init__(self, bucket, key, rule, role, marker):
        super().__init__(bucket, key, rule, role, 0)
        self.marker = marker

    def id(self):
        return self.marker

    def mark(self, status):
        pass

    def write(self, name, account, bucket):
        with s3._in_account(account):
            s3._record_delete_marker(name, self.key, bucket["objects"].get(self.key))
            s3._object_versions[(name, self.key)][-1]["version_id"] = self.marker
        bucket["objects"].pop(self.key, None)


def owe_object(bucket_name, key, obj, data, tags=None):
    rule, role = s3._replication_rule_for(bucket_name, key, tags)
    if rule is not None:
        obj["replication_status"] = "PENDING"
        Object(bucket_name, key, rule, role, obj, data)


def owe_delete_marker(bucket_name, key):
    config = s3._bucket_replication.get(bucket_name)
    if not config or s3._bucket_versioning.get(bucket_name) != "Enabled":
        return
    rules = (rule for rule in config.get("Rules", []) if rule.get("Status") == "Enabled")
    rule = next((rule for rule in rules if key.startswith(s3._replication_rule_prefix(rule))), None)
    # A rule without a filter is of the first version, and always replicates them.
    is_wanted = rule is not None and (
        "Filter" not in rule
        or not s3._replication_rule_tags(rule)
        and (rule.get("DeleteMarkerReplication") or {}).get("Status") == "Enabled"
    )
    if is_wanted:
        marker = s3._object_versions[(bucket_name, key)][-1]["version_id"]
        DeleteMarker(bucket_name, key, rule, config.get("Role", ""), marker)


s3._maybe_replicate, s3._maybe_replicate_delete_marker = owe_object, owe_delete_marker


# Secrets Manager ------------------------------------------------------------------------------------------------------

sync_replicas = secretsmanager._sync_replicas
replicate_secret = secretsmanager._replicate_secret_to_regions
# The number of the last change of a secret that is owed to a Region.
last_of_secret = {}


class Secret(Owed):
    """A secret as it was written; and its replica, if the replica is new."""

    def __init__(self, secret, status, replica=None):
        source, account = secret["ARN"].split(":")[3:5]
        self.secret, self.region, self.replica = secret, status["Region"], replica
        self.copy = copy.deepcopy(secret)
        self.copy["ReplicationStatus"] = [{"Region": self.region}]
        size = sum(len(v.get("SecretString") or v.get("SecretBinary") or "") for v in secret["Versions"].values())
        super().__init__("secretsmanager", account, source, self.region, {"Name": secret["Name"]}, size)
        last_of_secret[(account, secret["ARN"], self.region)] = self.number
        status["Status"] = "InProgress"
        status.pop("StatusMessage", None)

    def deliver(self):
        secrets, name = secretsmanager._secrets, self.secret["Name"]
        is_last = last_of_secret.get((self.account, self.secret["ARN"], self.region)) == self.number
        if is_last:
            last_of_secret.pop((self.account, self.secret["ARN"], self.region))
        with request_scope(self.account, self.source):
            status = next((s for s in self.secret["ReplicationStatus"] if s["Region"] == self.region), None)
            if status is None or secrets.get(name) is not self.secret:
                return "gone"
            if is_taken(self.secret, self.region):
                message = f"Replication failed: Secret name {name} already exists in region {self.region}."
                status.update({"Status": "Failed", "StatusMessage": message})
                return "failed"
            if self.replica is not None:
                secrets.set_scoped(self.account, self.region, name, self.replica)
            else:
                sync_replicas(self.copy)
            if is_last:
                status["Status"] = "InSync"
            return "delivered"


def owe_secret(secret):
    for status in secret.get("ReplicationStatus", []):
        Secret(secret, status)


def owe_new_replicas(data):
    wanted = [replica for replica in data.get("AddReplicaRegions") or [] if replica.get("Region")]
    _, secret = secretsmanager._resolve(data.get("SecretId"))
    # Where another secret has the name, MiniStack refuses; AWS makes no replica, and says so later.
    # See docs/aws-behaviour.md#secret-replica-name-taken.
    taken = []
    if secret is not None and not data.get("ForceOverwriteReplicaSecret"):
        taken = [replica for replica in wanted if is_taken(secret, replica["Region"])]
    answer = replicate_secret({**data, "AddReplicaRegions": [replica for replica in wanted if replica not in taken]})
    if answer[0] != 200:
        return answer
    statuses = {status["Region"]: status for status in secret["ReplicationStatus"]}
    statuses.update({replica["Region"]: dict(replica) for replica in taken})
    secret["ReplicationStatus"] = list(statuses.values())
    for replica in wanted:
        region, made = replica["Region"], None
        if replica not in taken:
            made = secretsmanager._secrets.pop_scoped(get_account_id(), region, secret["Name"])
        Secret(secret, statuses[region], made)
    return secretsmanager.json_response({"ARN": secret["ARN"], "ReplicationStatus": secret["ReplicationStatus"]})


def is_taken(secret, region):
    there = secretsmanager._secrets.get_scoped(get_account_id(), region, secret["Name"])
    return there is not None and there["ARN"] != secretsmanager._secret_arn_for_region(secret, region)


secretsmanager._sync_replicas, secretsmanager._replicate_secret_to_regions = owe_secret, owe_new_replicas


# The interface --------------------------------------------------------------------------------------------------------

serve = server.app


async def body_of(receive):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def deliver(number):
    change = owed.pop(number, None)
    if change is None:
        return "gone"
    try:
        return change.deliver()
    except Exception:
        log.exception("cannot deliver %s", change.listed)
        return "failed"


def listed_for(call):
    """What an answer lists: what its call owes, and what nobody's call owes, if its service may be asked for that."""
    call["answered"] = True
    if call["lists_strays"]:
        while strays:
            call["owed"].append(strays.pop(0))
    strays.extend(call["owed"][LISTED:])
    return [owed[number].listed for number in call["owed"][:LISTED] if number in owed]


async def serve_owing(scope, receive, send):
    if scope["type"] != "http":
        return await serve(scope, receive, send)
    if scope["path"] == "/_drctl/deliver":
        asked = json.loads(await body_of(receive))
        # In one step, and not between two: no call is carried out meanwhile.
        outcomes = json.dumps([deliver(number) for number in asked]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        return await send({"type": "http.response.body", "body": outcomes})
    if scope["path"] == "/_ministack/reset":
        for kept in (owed, strays, last_of_secret):
            kept.clear()
    # The proxy reads the header on the calls of its clients, and all that touch tables are among those.
    lists_strays = any(n == b"x-amz-target" and v.startswith(b"DynamoDB") for n, v in scope["headers"])
    call = {"owed": [], "answered": False, "lists_strays": lists_strays}
    this_call.set(call)

    async def send_listing(message):
        if message["type"] == "http.response.start" and (listed := listed_for(call)):
            header = (OWED_HEADER, json.dumps(listed, separators=(",", ":")).encode())
            message = {**message, "headers": [*message.get("headers", []), header]}
        await send(message)

    await serve(scope, receive, send_listing)


server.app = serve_owing
