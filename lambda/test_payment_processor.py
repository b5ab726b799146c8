"""Tests of the payment function, with the standard library only. AWS is replaced by the fakes in fakes.py."""

import base64
import contextlib
import io
import json
import re
import sys
import threading
import types
import unittest
from unittest import mock

import payment_processor as processor
from fakes import (
    Answer,
    CREATED_AT,
    Context,
    ENVIRONMENT,
    FakeAwsError,
    NOW,
    ORDER,
    PRIMARY,
    ROLE,
    Region,
    STANDBY,
    iam,
    jwt,
)


class Case(unittest.TestCase):
    def assert_error(self, answer, status, code):
        self.assertEqual((answer.status, answer.code), (status, code), answer.text)
        self.assertEqual(answer.body["error"]["request_id"], "api-1")
        self.assertTrue(answer.body["error"]["message"])


class Payments(Case):
    def test_a_payment_is_stored_with_a_receipt_and_answered(self):
        region = Region()
        answer = region.pay()
        self.assertEqual(answer.status, 201)
        identifier = answer.body["id"]
        self.assertRegex(identifier, r"^pay_[0-9a-f]{32}$")
        self.assertEqual(
            answer.body,
            {**ORDER, "id": identifier, "status": "accepted", "region": PRIMARY, "created_at": CREATED_AT},
        )
        self.assertEqual(answer.headers["location"], f"/payments/{identifier}")
        self.assertEqual(answer.headers["cache-control"], "no-store")
        self.assertEqual(len(region.rows()), 1)
        self.assertEqual(region.s3.objects[f"receipts/{identifier}.json"].decode(), answer.text)

    def test_the_same_key_and_body_get_the_same_answer(self):
        region = Region()
        first = region.pay()
        region.now += 600
        rewritten = json.dumps(dict(reversed(ORDER.items())), indent=4)
        again = region.pay(rewritten)
        self.assertEqual((again.status, again.text), (first.status, first.text))
        self.assertEqual(again.headers["idempotency-replayed"], "true")
        self.assertNotIn("idempotency-replayed", first.headers)
        self.assertEqual(len(region.rows()), 1)

    def test_the_same_key_and_another_body_are_refused(self):
        region = Region()
        region.pay()
        for other in ({"amount": 1251}, {"currency": "USD"}, {"reference": "Other"}):
            self.assert_error(region.pay({**ORDER, **other}), 422, "idempotency_key_reused")
        self.assertEqual(len(region.rows()), 1)

    def test_other_keys_are_other_payments(self):
        region = Region()
        self.assertNotEqual(region.pay(key="a").body["id"], region.pay(key="b").body["id"])
        self.assertEqual(len(region.rows()), 2)

    def test_a_payment_can_be_read(self):
        for ledger in ("aurora", "dynamodb"):
            with self.subTest(ledger):
                region = Region(ledger=ledger)
                made = region.pay()
                read = region.request("GET", f"/payments/{made.body['id']}")
                self.assertEqual((read.status, read.text), (200, made.text))
                self.assertEqual(read.headers["payment-source"], "ledger")

    def test_an_unknown_payment_is_not_found(self):
        region = Region()
        for identifier in (processor.payment_id("none"), "1", "pay_XYZ", "pay_..%2f..%2f"):
            self.assert_error(region.request("GET", f"/payments/{identifier}"), 404, "payment_not_found")

    def test_the_dynamodb_ledger_never_expires(self):
        region = Region(ledger="dynamodb")
        identifier = region.pay().body["id"]
        self.assertNotIn("expires_at", region.dynamodb.items[f"payment#{identifier}"])
        self.assertEqual(region.data_api.calls, [])

    def test_records_expire_after_the_configured_hours(self):
        region = Region()
        region.pay()
        self.assertEqual(region.record()["expires_at"], {"N": str(int(NOW) + 24 * 3600)})
        self.assertNotIn("lease_until", region.record())

    def test_an_expired_key_is_still_known_to_the_ledger(self):
        for ledger in ("aurora", "dynamodb"):
            with self.subTest(ledger):
                region = Region(ledger=ledger)
                first = region.pay()
                region.now += 25 * 3600
                self.assert_error(region.pay({**ORDER, "amount": 9}), 422, "idempotency_key_reused")
                again = region.pay()
                self.assertEqual((again.status, again.text), (201, first.text))
                self.assertEqual(region.record()["expires_at"], {"N": str(int(region.now) + 24 * 3600)})

    def test_base64_bodies_and_stages_in_the_path(self):
        region = Region()
        body = base64.b64encode(json.dumps(ORDER).encode()).decode()
        self.assertEqual(region.pay(body, isBase64Encoded=True).status, 201)
        context = {"http": {"method": "GET"}, "requestId": "api-1", "stage": "live"}
        self.assertEqual(region.request("GET", "/live/health", requestContext=context).status, 200)

    def test_a_payment_is_the_same_after_a_round_trip_through_json(self):
        for milliseconds in (0, 1, 999, 1_795_000_000_250, 1_795_000_000_001):
            payment = processor.Payment("pay_1", 1, "JPY", "ü \u2028 “", PRIMARY, milliseconds)
            self.assertEqual(processor.Payment.from_json(payment.to_json()), payment)


class Callers(Case):
    """Each caller has two requests, which must find the same payment, and must not find a payment of another caller."""

    CALLERS = {
        "user": [iam("arn:aws:iam::123456789012:user/shop")] * 2,
        "role": [iam(f"{ROLE}/web-1"), iam(f"{ROLE}/web-2", callerId="AROA:web-2", accessKey="ASIB")],
        "another role": [iam(f"{ROLE}2/web-1")] * 2,
        "role of another account": [iam(f"{ROLE}/web-1".replace("123456789012", "210987654321"))] * 2,
        "federated user": [iam("arn:aws:sts::123456789012:federated-user/shop")] * 2,
        "identity of a pool": [
            iam(f"{ROLE}/CognitoIdentityCredentials", cognitoIdentity={"amr": [], "identityId": "us-east-1:a"})
        ]
        * 2,
        "another identity of the pool": [
            iam(f"{ROLE}/CognitoIdentityCredentials", cognitoIdentity={"amr": [], "identityId": "us-east-1:b"})
        ]
        * 2,
        "token": [jwt("https://id.example", "shop", jti="1"), jwt("https://id.example", "shop", jti="2")],
        "another subject": [jwt("https://id.example", "shop2")] * 2,
        "another issuer": [jwt("https://id2.example", "shop")] * 2,
        "open API": [None] * 2,
    }

    def test_the_same_key_of_two_callers_makes_two_payments(self):
        for ledger in ("aurora", "dynamodb"):
            with self.subTest(ledger):
                region = Region(ledger=ledger)
                made = {}
                for amount, (name, (first, second)) in enumerate(self.CALLERS.items(), 1):
                    order = {**ORDER, "amount": amount}
                    answer = region.pay(order, caller=first)
                    self.assertEqual((answer.status, answer.body["amount"]), (201, amount), name)
                    self.assertNotIn("idempotency-replayed", answer.headers)
                    again = region.pay(order, caller=second)
                    self.assertEqual((again.status, again.text), (201, answer.text), name)
                    self.assertEqual(again.headers["idempotency-replayed"], "true")
                    made[name] = answer.body["id"]
                self.assertEqual(len(set(made.values())), len(self.CALLERS))

    def test_a_payment_is_shown_only_to_its_caller(self):
        region = Region()
        made = {name: region.pay(caller=first).body["id"] for name, (first, _) in self.CALLERS.items()}
        for name, (_, caller) in self.CALLERS.items():
            for owner, identifier in made.items():
                with self.subTest(caller=name, owner=owner):
                    answer = region.request("GET", f"/payments/{identifier}", caller=caller)
                    if name == owner:
                        self.assertEqual((answer.status, answer.body["id"]), (200, identifier))
                    else:
                        self.assert_error(answer, 404, "payment_not_found")

    def test_a_payment_of_another_caller_is_not_looked_up(self):
        region = Region()
        identifier = region.pay(caller=iam(f"{ROLE}/web")).body["id"]
        region.data_api.calls.clear()
        stranger = iam("arn:aws:iam::123456789012:user/stranger")
        self.assert_error(region.request("GET", f"/payments/{identifier}", caller=stranger), 404, "payment_not_found")
        self.assertEqual(region.data_api.calls + region.s3.calls, ["put_object"])
        self.assertEqual(region.events(), ["payment_accepted"])

    def test_a_caller_finds_its_payment_in_the_other_region(self):
        primary = Region(ledger="dynamodb", api_auth="iam")
        standby = Region(STANDBY, ledger="dynamodb", peer=primary, api_auth="iam")
        made = primary.pay(caller=iam(f"{ROLE}/web-1"))
        self.assertRegex(made.body["id"], r"^pay_[0-9a-f]{64}$")
        read = standby.request("GET", f"/payments/{made.body['id']}", caller=iam(f"{ROLE}/web-2"))
        self.assertEqual((read.status, read.text), (200, made.text))
        again = standby.pay(caller=iam(f"{ROLE}/web-2"))
        self.assertEqual(again.text, made.text)

    def test_a_request_without_a_caller_is_refused_where_the_api_should_have_authorized_it(self):
        for api_auth in ("iam", "jwt"):
            region = Region(api_auth=api_auth)
            self.assert_error(region.pay(), 403, "caller_unknown")
            read = region.request("GET", f"/payments/{processor.payment_id('key-1')}")
            self.assert_error(read, 403, "caller_unknown")
            self.assertEqual(region.dynamodb.calls + region.data_api.calls + region.s3.calls, [])
            self.assertEqual(region.request("GET", "/health").status, 200)
            self.assert_error(region.request("GET", "/dr/failover"), 404, "failover_not_ordered")

    def test_a_caller_without_an_identity_is_refused(self):
        for api_auth in ("iam", "jwt", "none"):
            region = Region(api_auth=api_auth)
            for caller in (iam(None), iam(""), jwt("https://id.example", None), {"lambda": {}}, {"jwt": None}):
                self.assert_error(region.pay(caller=caller), 403, "caller_unknown")
            self.assertEqual(region.dynamodb.calls, [])

    def test_the_callers_name_is_not_in_the_log(self):
        region = Region()
        region.pay(caller=iam(f"{ROLE}/jane@example.com"))
        region.request("GET", "/payments/pay_1", caller=jwt("https://id.example", "jane"))
        self.assertNotIn("jane", region.log)
        self.assertNotIn("assumed-role", region.log)


class Validation(Case):
    def refusals(self, body):
        answer = Region().pay(body)
        self.assert_error(answer, 400, "invalid_payment")
        return [(detail["field"], detail["code"]) for detail in answer.body["error"]["details"]]

    def test_amounts(self):
        for amount in (10.0, 12.5, "1250", True, None, [1]):
            self.assertEqual(self.refusals({**ORDER, "amount": amount}), [("amount", "amount_not_integer")])
        for amount in ("1e3", "1e400", "1.0"):
            body = json.dumps(ORDER).replace("1250", amount)
            self.assertEqual(self.refusals(body), [("amount", "amount_not_integer")])
        for amount in (0, -1, processor.AMOUNT_LIMIT + 1):
            self.assertEqual(self.refusals({**ORDER, "amount": amount}), [("amount", "amount_out_of_range")])
        for amount in (1, processor.AMOUNT_LIMIT):
            self.assertEqual(Region().pay({**ORDER, "amount": amount}).body["amount"], amount)

    def test_currencies(self):
        for currency in ("eur", "EURO", "", "XXX", "XAU", "ABC", 978, None, ["EUR"], "HRK"):
            self.assertEqual(self.refusals({**ORDER, "currency": currency}), [("currency", "currency_unknown")])
        for currency in ("USD", "JPY", "KWD", "XOF"):
            self.assertEqual(Region().pay({**ORDER, "currency": currency}).status, 201)

    def test_references(self):
        for reference in ("", "  ", "a" * 141, "a\nb", "a\0b", "\ud800", 1, None, {}):
            self.assertEqual(self.refusals({**ORDER, "reference": reference}), [("reference", "reference_invalid")])
        for reference in ("a" * 140, "Grüße 支払い 👩‍👧", "'; DROP TABLE payments; --"):
            self.assertEqual(Region().pay({**ORDER, "reference": reference}).body["reference"], reference)

    def test_all_problems_are_reported_at_once(self):
        self.assertEqual(
            self.refusals({"amount": 1.5, "reference": "x", "card_number": "4111111111111111"}),
            [("amount", "amount_not_integer"), ("currency", "missing_field"), ("card_number", "unknown_field")],
        )

    def test_bodies_that_are_not_json_are_refused(self):
        nested = "[" * 8000
        doubled = '{"amount": 1, "amount": 1000000, "currency": "EUR", "reference": "x"}'
        for body in ("", "{", "[]", '"text"', "null", '{"amount": NaN}', nested, doubled, "\ud800", "9" * 5000):
            self.assert_error(Region().pay(body), 400, "invalid_json")
        for body in ("%%%", base64.b64encode(b"\xff\xfe{}").decode(), "ü"):
            self.assert_error(Region().pay(body, isBase64Encoded=True), 400, "invalid_json")

    def test_bodies_that_are_too_large_are_refused(self):
        self.assert_error(Region().pay(" " * (processor.BODY_LIMIT + 1)), 413, "body_too_large")

    def test_idempotency_keys(self):
        region = Region()
        self.assert_error(region.request("POST", "/payments", ORDER), 400, "idempotency_key_missing")
        for key in ("", " ", "a b", "a,b", "ü", "a\n", "k" * 256):
            self.assert_error(region.pay(key=key), 400, "idempotency_key_invalid")
        for key in ("k" * 255, "8e03978e-40d5-43dd-bc93-6894a57f9324", '"quoted"', "~!"):
            self.assertEqual(region.pay(key=key).status, 201)

    def test_a_refused_request_touches_nothing(self):
        region = Region()
        region.pay({**ORDER, "amount": 0})
        self.assertEqual(region.dynamodb.calls + region.data_api.calls + region.s3.calls, [])

    def test_currency_codes_are_codes(self):
        self.assertTrue(all(re.fullmatch("[A-Z]{3}", code) for code in processor.CURRENCIES))


class Crashes(Case):
    """The invocation is killed, or a dependency fails, between any two steps."""

    # Each step, and whether a crash before or after it leaves a claim and a row.
    STEPS = [
        ("dynamodb", "put_item", "before", False, False),
        ("dynamodb", "put_item", "after", True, False),
        ("data_api", "INSERT", "before", True, False),
        ("data_api", "INSERT", "after", True, True),
        ("s3", "put_object", "before", True, True),
        ("s3", "put_object", "after", True, True),
        ("dynamodb", "update_item", "before", True, True),
        ("dynamodb", "update_item", "after", False, True),
    ]

    class Killed(BaseException):
        """Ends the process: nothing in the function runs after it."""

    def kill(self, region, fake, operation, moment):
        getattr(getattr(region, fake), moment)[operation] = self.Killed()
        with self.assertRaises(self.Killed):
            region.pay()
        getattr(region, fake).before.clear()

    def test_a_repeated_request_after_a_crash_makes_the_payment_once(self):
        for fake, operation, moment, has_claim, has_row in self.STEPS:
            with self.subTest(operation=operation, moment=moment):
                region = Region()
                self.kill(region, fake, operation, moment)
                if has_claim:
                    self.assert_error(region.pay(), 409, "payment_in_progress")
                region.now += 15
                if has_claim:
                    self.assert_error(region.pay(), 409, "payment_in_progress")
                region.now += processor.LEASE_MARGIN_SECONDS + 1
                answer = region.pay()
                self.assertEqual(answer.status, 201)
                self.assertEqual(region.s3.objects, {f"receipts/{answer.body['id']}.json": answer.text.encode()})
                self.assertEqual(region.record()["phase"], {"S": "done"})
                # If the first attempt stored the payment, its time is kept.
                (row,) = region.rows()
                self.assertEqual(row[-1], int((NOW if has_row else region.now) * 1000))

    def test_another_body_cannot_take_over_a_crashed_attempt(self):
        region = Region()
        self.kill(region, "data_api", "INSERT", "before")
        region.now += 60
        self.assert_error(region.pay({**ORDER, "amount": 1}), 422, "idempotency_key_reused")
        self.assertEqual(region.pay().status, 201)

    def test_a_concurrent_request_waits(self):
        region = Region()
        answers = []
        insert = region.data_api.execute_statement

        def meanwhile(**arguments):
            if not answers:
                answers.append(region.pay())
            return insert(**arguments)

        region.data_api.execute_statement = meanwhile
        self.assertEqual(region.pay().status, 201)
        self.assert_error(answers[0], 409, "payment_in_progress")
        self.assertEqual(answers[0].headers["retry-after"], "1")
        self.assertEqual(len(region.rows()), 1)

    def test_a_slow_attempt_that_lost_its_lease_changes_nothing(self):
        region = Region()
        answers = []
        write = region.s3.put_object

        def slowly(**arguments):
            region.s3.put_object = write
            region.now += 60
            answers.append(region.pay())
            write(**arguments)

        region.s3.put_object = slowly
        late = region.pay()
        self.assertEqual((late.status, late.text), (201, answers[0].text))
        self.assertEqual(region.record()["answer"], {"S": late.text})
        self.assertIn("claim_taken_over", region.events())

    def test_a_claim_whose_answer_was_lost_is_recognised(self):
        region = Region()
        put = region.dynamodb.put_item

        def twice(**arguments):
            put(**arguments)
            return put(**arguments)

        region.dynamodb.put_item = twice
        self.assertEqual(region.pay().status, 201)

    def test_after_an_outage_the_next_attempt_continues_at_once(self):
        for fake, operation, code in (
            ("data_api", "INSERT", "ledger_unavailable"),
            ("s3", "put_object", "receipts_unavailable"),
        ):
            for moment in ("before", "after"):
                with self.subTest(operation=operation, moment=moment):
                    region = Region()
                    faults = getattr(region, fake)
                    getattr(faults, moment)[operation] = FakeAwsError("ServiceUnavailable")
                    answer = region.pay()
                    self.assert_error(answer, 503, code)
                    self.assertEqual(answer.headers["retry-after"], "5")
                    faults.before.clear()
                    self.assertEqual(region.pay().status, 201)
                    self.assertEqual(len(region.rows()), 1)

    def test_a_table_that_fails_refuses_the_payment(self):
        for operation in ("get_item", "put_item"):
            region = Region()
            region.dynamodb.before[operation] = FakeAwsError("ProvisionedThroughputExceededException")
            self.assert_error(region.pay(), 503, "sessions_unavailable")
            self.assertEqual(region.data_api.calls + region.s3.calls, [])

    def test_an_answer_that_cannot_be_stored_is_given_and_reported(self):
        region = Region()
        region.dynamodb.before["update_item"] = FakeAwsError("InternalServerError")
        first = region.pay()
        self.assertEqual(first.status, 201)
        self.assertIn("answer_not_kept", region.events())
        region.dynamodb.before.clear()
        region.now += 60
        self.assertEqual(region.pay().text, first.text)

    def test_a_claim_that_cannot_be_released_ends_with_its_lease(self):
        region = Region()
        region.s3.before["put_object"] = FakeAwsError("SlowDown")
        region.dynamodb.before["update_item"] = FakeAwsError("InternalServerError")
        self.assert_error(region.pay(), 503, "receipts_unavailable")
        self.assertIn("claim_not_released", region.events())
        # The lease must not end before the invocation's own deadline, 15 s from now, plus the margin for other clocks.
        self.assertGreaterEqual(int(region.record()["lease_until"]["N"]), NOW + 15 + processor.LEASE_MARGIN_SECONDS)
        region.s3.before.clear()
        region.dynamodb.before.clear()
        self.assert_error(region.pay(), 409, "payment_in_progress")
        region.now += 18
        self.assertEqual(region.pay().status, 201)

    def test_the_first_payment_creates_the_table(self):
        region = Region()
        region.pay(key="a")
        region.pay(key="b")
        self.assertEqual(region.data_api.calls, ["CREATE", "INSERT", "INSERT"])

    def test_reads_do_not_create_the_table(self):
        region = Region()
        # A reader refuses to create one, and the standby's cluster is a reader until it is promoted.
        region.data_api.before["CREATE"] = FakeAwsError("DatabaseErrorException", "cannot execute CREATE TABLE")
        unknown = f"/payments/{processor.payment_id('unknown')}"
        self.assert_error(region.request("GET", unknown), 404, "payment_not_found")
        deep = region.request("GET", "/health/deep", caller=iam(ROLE + "/ops"))
        self.assertEqual(deep.status, 200)
        self.assertEqual(region.data_api.calls, ["SELECT", "SELECT"])

    def test_without_the_table_payments_are_read_from_their_receipts(self):
        region = Region()
        made = region.pay()
        region.data_api.database.execute("DROP TABLE payments")
        read = region.request("GET", f"/payments/{made.body['id']}")
        self.assertEqual((read.text, read.headers["payment-source"]), (made.text, "receipt"))
        self.assertIn("payment_missing_in_ledger", region.events())

    def test_a_table_that_vanished_is_created_again(self):
        region = Region()
        region.pay(key="a")
        # This happens after a failover to a cluster without the table, or a restore to a time before the first payment.
        region.data_api.database.execute("DROP TABLE payments")
        self.assert_error(region.pay(key="b"), 503, "ledger_unavailable")
        self.assertEqual(region.pay(key="b").status, 201)

    def test_two_containers_can_create_the_table_at_once(self):
        region = Region()
        region.data_api.after["CREATE"] = FakeAwsError("DatabaseErrorException", "duplicate key in pg_type")
        self.assertEqual(region.pay().status, 201)
        self.assertEqual(region.data_api.calls, ["CREATE", "CREATE", "INSERT"])

    def test_a_database_outage_is_not_retried(self):
        region = Region()
        region.data_api.before["CREATE"] = FakeAwsError("DatabaseUnavailableException")
        self.assert_error(region.pay(), 503, "ledger_unavailable")
        self.assertEqual(region.data_api.calls, ["CREATE"])


class Failover(Case):
    def test_the_switch(self):
        region = Region(STANDBY)
        self.assert_error(region.request("GET", "/dr/failover"), 404, "failover_not_ordered")
        region.order_failover(STANDBY)
        answer = region.request("GET", "/dr/failover")
        self.assertEqual((answer.status, answer.body), (200, {"failover": True, "active_region": STANDBY}))
        region.order_failover(PRIMARY)
        self.assert_error(region.request("GET", "/dr/failover"), 404, "failover_not_ordered")

    def test_a_switch_that_cannot_be_read_moves_nothing(self):
        region = Region(STANDBY)
        region.dynamodb.before["get_item"] = FakeAwsError("InternalServerError")
        self.assert_error(region.request("GET", "/dr/failover"), 503, "sessions_unavailable")

    def test_the_fence_refuses_writes_and_lets_reads_through(self):
        for ledger in ("aurora", "dynamodb"):
            with self.subTest(ledger):
                region = Region(ledger=ledger)
                identifier = region.pay().body["id"]
                region.order_failover(STANDBY)
                before = dict(region.dynamodb.items)
                for key in ("key-1", "new"):
                    answer = region.pay(key=key)
                    self.assert_error(answer, 503, "failed_over")
                    self.assertEqual(answer.headers["retry-after"], "60")
                    self.assertIn(STANDBY, answer.body["error"]["message"])
                self.assertEqual(region.dynamodb.items, before)
                self.assertEqual(region.request("GET", f"/payments/{identifier}").status, 200)

    def test_the_fence_opens_for_the_active_region_and_after_failback(self):
        region = Region()
        region.order_failover(PRIMARY)
        self.assertEqual(region.pay().status, 201)
        region.order_failover(STANDBY)
        self.assertEqual(region.pay(key="b").status, 503)
        del region.dynamodb.items[processor.FAILOVER_KEY]
        self.assertEqual(region.pay(key="b").status, 201)

    def test_a_fence_that_cannot_be_read_refuses_writes(self):
        region = Region()
        region.dynamodb.before["get_item"] = FakeAwsError("AccessDeniedException")
        self.assert_error(region.pay(), 503, "sessions_unavailable")
        self.assertEqual(region.data_api.calls, [])

    def test_a_payment_of_the_primary_can_be_read_in_the_secondary(self):
        primary = Region(ledger="dynamodb")
        secondary = Region(STANDBY, ledger="dynamodb", peer=primary)
        made = primary.pay()
        self.assertEqual(secondary.request("GET", f"/payments/{made.body['id']}").text, made.text)

    def test_a_standby_without_data_api_reads_the_receipt(self):
        primary = Region()
        standby = Region(STANDBY, peer=primary)
        made = primary.pay()
        standby.data_api.before = {word: FakeAwsError("BadRequestException") for word in ("CREATE", "SELECT")}
        read = standby.request("GET", f"/payments/{made.body['id']}")
        self.assertEqual((read.status, read.text), (200, made.text))
        self.assertEqual(read.headers["payment-source"], "receipt")
        unknown = standby.request("GET", f"/payments/{processor.payment_id('unknown')}")
        self.assert_error(unknown, 503, "ledger_unavailable")

    def test_reads_without_ledger_and_receipts_report_the_outage(self):
        region = Region()
        made = region.pay()
        region.data_api.before["SELECT"] = FakeAwsError("InternalServerErrorException")
        region.s3.before["get_object"] = FakeAwsError("SlowDown")
        answer = region.request("GET", f"/payments/{made.body['id']}")
        self.assert_error(answer, 503, "receipts_unavailable")

    def test_a_payment_that_a_failover_lost_is_restored_when_it_is_repeated(self):
        primary = Region()
        made = primary.pay()
        # The table has replicated. The ledger of the standby is promoted without the last second.
        standby = Region(STANDBY, peer=primary)
        primary.order_failover(STANDBY)
        read = standby.request("GET", f"/payments/{made.body['id']}")
        self.assertEqual((read.text, read.headers["payment-source"]), (made.text, "receipt"))
        self.assertIn("payment_missing_in_ledger", standby.events())
        again = standby.pay()
        self.assertEqual((again.status, again.text), (201, made.text))
        self.assertEqual(standby.rows(), primary.rows())

    def test_a_payment_that_did_not_replicate_gets_the_same_id(self):
        lost, standby = Region(), Region(STANDBY)
        self.assertEqual(lost.pay().body["id"], standby.pay().body["id"])

    def test_an_attempt_in_the_lost_region_is_taken_over(self):
        primary = Region()
        primary.data_api.before["INSERT"] = Crashes.Killed()
        with self.assertRaises(Crashes.Killed):
            primary.pay()
        standby = Region(STANDBY, peer=primary)
        primary.order_failover(STANDBY)
        self.assert_error(standby.pay(), 409, "payment_in_progress")
        standby.now += 18
        self.assertEqual(standby.pay().body["region"], STANDBY)


class Health(Case):
    OPERATOR = iam(f"{ROLE}/oncall")

    def test_the_shallow_check_touches_no_dependency(self):
        region = Region()
        for faults in (region.data_api, region.s3):
            faults.enter = mock.Mock(side_effect=AssertionError("touched"))
        for query in (None, {"deep": "0"}, {"other": "1"}):
            answer = region.request("GET", "/health", query=query)
            self.assertEqual((answer.status, answer.body), (200, {"status": "ok", "region": PRIMARY}))
        self.assertEqual(region.dynamodb.calls, ["get_item"] * 3, "only the fence may be read")

    def test_a_fenced_region_is_not_healthy(self):
        region = Region()
        region.order_failover(STANDBY)
        answer = region.request("GET", "/health")
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.body, {"status": "failed_over", "region": PRIMARY, "active_region": STANDBY})
        self.assertEqual(Region(STANDBY, peer=region).request("GET", "/health").status, 200)
        region.order_failover(PRIMARY)
        self.assertEqual(region.request("GET", "/health").status, 200)
        del region.dynamodb.items[processor.FAILOVER_KEY]
        self.assertEqual(region.request("GET", "/health").status, 200)
        self.assertEqual(region.log, "", "nothing may be logged, because checkers ask more than once a second")

    def test_a_fence_that_cannot_be_read_does_not_move_dns(self):
        region = Region()
        region.order_failover(STANDBY)
        region.dynamodb.before["get_item"] = FakeAwsError("InternalServerError")
        self.assertEqual(region.request("GET", "/health").status, 200)
        self.assertIn("fence_not_read", region.events())

    def test_a_fence_that_hangs_is_not_waited_for(self):
        region = Region()
        region.order_failover(STANDBY)
        gone = threading.Event()
        self.addCleanup(gone.set)
        region.dynamodb.enter = lambda _operation: gone.wait(30)
        with mock.patch.object(processor, "FENCE_PATIENCE_SECONDS", 0.05):
            # The second one waits behind the first.
            for _ in range(2):
                self.assertEqual(region.request("GET", "/health").status, 200)
        self.assertEqual(region.events(), ["fence_not_read"] * 2)
        # Route 53 allows two seconds after connecting.
        self.assertLessEqual(processor.FENCE_PATIENCE_SECONDS, 1)

    def test_the_deep_check_touches_each_dependency(self):
        for ledger in ("aurora", "dynamodb"):
            for path, query in (("/health/deep", None), ("/health", {"deep": "1"})):
                with self.subTest(ledger=ledger, path=path):
                    region = Region(ledger=ledger)
                    answer = region.request("GET", path, query=query, caller=self.OPERATOR)
                    self.assertEqual((answer.status, answer.body["status"]), (200, "ok"))
                    self.assertEqual(list(answer.body["dependencies"]), ["sessions", "ledger", "receipts"])
                    self.assertEqual(region.data_api.calls, ["SELECT"] if ledger == "aurora" else [])
                    self.assertEqual(region.s3.calls, ["head_bucket"])

    def test_the_deep_check_is_only_for_authorized_callers(self):
        for api_auth in ("iam", "jwt", "none"):
            with self.subTest(api_auth):
                region = Region(api_auth=api_auth)
                self.assert_error(region.request("GET", "/health/deep"), 403, "caller_unknown")
                shallow = region.request("GET", "/health", query={"deep": "1"})
                self.assertEqual((shallow.status, shallow.body), (200, {"status": "ok", "region": PRIMARY}))
                self.assertEqual(region.data_api.calls + region.s3.calls, [])

    def test_the_deep_check_says_which_dependency_failed(self):
        for fake, operation, name in (
            ("dynamodb", "get_item", "sessions"),
            ("data_api", "SELECT", "ledger"),
            ("s3", "head_bucket", "receipts"),
        ):
            with self.subTest(name):
                region = Region()
                getattr(region, fake).before[operation] = FakeAwsError("AccessDeniedException")
                answer = region.request("GET", "/health/deep", caller=self.OPERATOR)
                self.assertEqual((answer.status, answer.body["status"]), (503, "failed"))
                states = {name: found["status"] for name, found in answer.body["dependencies"].items()}
                self.assertEqual([key for key, state in states.items() if state == "failed"], [name])
                self.assertIn("AccessDeniedException", region.log)
                self.assertEqual(region.request("GET", "/health").status, 200)

    def test_the_deep_probes_do_not_wait_for_each_other(self):
        region = Region()
        barrier = threading.Barrier(3, timeout=5)
        for faults in (region.dynamodb, region.data_api, region.s3):
            faults.enter = lambda _operation: barrier.wait()
        self.assertEqual(region.request("GET", "/health/deep", caller=self.OPERATOR).status, 200)


class Surface(Case):
    def test_unknown_paths_and_methods_are_refused(self):
        region = Region()
        for path in ("/", "/health/shallow", "/payment", "/payments/", "/payments/a/b", "/dr", "/health/"):
            self.assert_error(region.request("GET", path), 404, "not_found")
        for method, path, allowed in (
            ("GET", "/payments", "POST"),
            ("DELETE", f"/payments/{processor.payment_id('a')}", "GET"),
            ("POST", "/health", "GET"),
            ("POST", "/health/deep", "GET"),
            ("PUT", "/dr/failover", "GET"),
        ):
            answer = region.request(method, path)
            self.assert_error(answer, 405, "method_not_allowed")
            self.assertEqual(answer.headers["allow"], allowed)

    def test_unexpected_errors_are_internal_and_release_the_claim(self):
        region = Region()
        region.s3.before["put_object"] = KeyError(ORDER["reference"])
        self.assert_error(region.pay(), 500, "internal")
        line = json.loads(region.log)
        self.assertEqual((line["event"], line["error"], line["request_id"]), ("internal", "KeyError", "api-1"))
        self.assertIn("put_object", line["at"][-1] + line["at"][-2])
        self.assertNotIn("Jane", region.log)
        region.s3.before.clear()
        self.assertEqual(region.pay().status, 201)

    def test_the_log_holds_nothing_of_a_payment(self):
        region = Region()
        region.pay()
        region.pay({**ORDER, "amount": "Jane"})
        region.pay({**ORDER, "amount": 4711})
        region.data_api.before["INSERT"] = FakeAwsError("DatabaseErrorException", f"cannot insert {ORDER}")
        region.pay(key="secret-key")
        region.request("GET", f"/payments/{processor.payment_id('key-1')}")
        self.assertGreaterEqual(len(region.log.splitlines()), 2)
        for secret in ("Jane", "4711", "1250", "EUR", "key-1", "secret-key", ENVIRONMENT["DATABASE_SECRET_ARN"]):
            self.assertNotIn(secret, region.log)
        for line in region.log.splitlines():
            self.assertIn("event", json.loads(line))

    def test_an_event_of_another_kind_is_answered(self):
        with contextlib.redirect_stdout(io.StringIO()):
            raw = processor.respond(lambda: Region().application, {"key": "value"}, Context())
        self.assertEqual(json.loads(raw["body"])["error"]["code"], "internal")
        self.assertEqual(json.loads(raw["body"])["error"]["request_id"], "lambda-1")


class Configuration(Case):
    def test_defaults(self):
        config = processor.Config.read(ENVIRONMENT)
        self.assertEqual((config.ledger, config.ttl_attribute, config.ttl_seconds), ("aurora", "expires_at", 86400))
        self.assertEqual(config.database["database"], "payments")

    def test_the_dynamodb_ledger_needs_no_database(self):
        environment = {name: text for name, text in ENVIRONMENT.items() if not name.startswith("DATABASE")}
        self.assertEqual(processor.Config.read({**environment, "LEDGER": "dynamodb"}).database, {})

    def test_everything_that_is_wrong_is_named_only_in_the_log(self):
        def broken():
            return processor.Config.read({"SESSIONS_TTL_HOURS": "soon", "AWS_REGION": PRIMARY})

        event = {"rawPath": "/health", "requestContext": {"http": {"method": "GET"}, "requestId": "api-1"}}
        with contextlib.redirect_stdout(io.StringIO()) as output:
            answer = Answer(processor.respond(broken, event, Context()))
        self.assert_error(answer, 500, "misconfigured")
        problems = json.loads(output.getvalue())["problems"]
        self.assertEqual(len(problems), 5)
        self.assertNotIn("soon", output.getvalue())
        self.assertNotIn("SESSIONS_TABLE", answer.text)

    def test_an_unknown_ledger_or_authorization_is_refused(self):
        for wrong in ({"LEDGER": "mysql"}, {"API_AUTH": "NONE"}, {"API_AUTH": "AWS_IAM"}):
            with self.assertRaises(processor.ApiError):
                processor.Config.read({**ENVIRONMENT, **wrong})

    def test_clients_are_created_once_with_short_timeouts(self):
        made = []
        boto3 = types.SimpleNamespace(client=lambda service, **options: made.append((service, options)) or service)
        modules = {
            "boto3": boto3,
            "botocore": types.ModuleType("botocore"),
            "botocore.config": types.SimpleNamespace(Config=lambda **options: options),
            "botocore.exceptions": types.SimpleNamespace(BotoCoreError=OSError, ClientError=ValueError),
        }
        processor.application.cache_clear()
        self.addCleanup(processor.application.cache_clear)
        with mock.patch.dict(sys.modules, modules), mock.patch.dict(processor.os.environ, ENVIRONMENT):
            event = {"rawPath": "/nowhere", "requestContext": {"http": {"method": "GET"}, "requestId": "api-1"}}
            processor.warm_up()
            for _ in range(3):
                self.assertEqual(processor.handler(event, Context())["statusCode"], 404)
        self.assertEqual([service for service, _ in made], ["dynamodb", "s3", "rds-data"])
        for _, options in made:
            self.assertEqual(options["region_name"], PRIMARY)
            config = options["config"]
            longest = config["retries"]["total_max_attempts"] * (config["connect_timeout"] + config["read_timeout"])
            self.assertLess(longest, 15)

    def test_a_container_without_configuration_starts_and_logs_it(self):
        with mock.patch.dict(processor.os.environ, {}, clear=True):
            with contextlib.redirect_stdout(io.StringIO()) as output:
                processor.warm_up()
        self.assertEqual(json.loads(output.getvalue())["code"], "misconfigured")


if __name__ == "__main__":
    unittest.main()
