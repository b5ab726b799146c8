"""Checks recorded calls to AWS against AWS's own service models, and the policies in them against its list of actions.

    python judge.py CALLS.json [--json]

Exit codes: 0 no findings, 1 findings, 2 it could not run.
"""

from __future__ import annotations

import argparse
import binascii
import collections
import json
import sys
from dataclasses import dataclass

import filters
from grants import Grants
from model import Unjudgeable, find
from parse import Reader
from policies import Policies
from shapes import Patterns, Validator
from wire import UNREADABLE, Request

# A recording also has requests to deployed APIs, and to the sandbox itself, which are not calls to AWS's APIs.
NOT_AWS = {"unsigned", "admin", "sandbox", "execute-api"}


@dataclass(frozen=True)
class Finding:
    service: str
    operation: str
    seq: int
    region: str
    path: str
    what: str

    def __str__(self):
        path = f" {self.path}:" if self.path else ""
        return f"{self.service}:{self.operation} (seq {self.seq}, {self.region}):{path} {self.what}"


@dataclass(frozen=True)
class Judged:
    """A call whose parameters could be read."""

    seq: int
    account: str
    region: str
    service: str
    operation: str
    params: dict
    succeeded: bool


class Judge:
    def __init__(self):
        self.findings = {}
        self.patterns = Patterns()
        self.unchecked = self.patterns.unchecked
        self.skipped = collections.Counter()
        self.operations = collections.Counter()
        self.policies = Policies()
        self.grants = Grants()

    def say(self, call, path, what):
        """Records a finding. Equal findings about the same operation are one finding, at the first call that has it."""
        key = (call.service, call.operation, path, what)
        first, times = self.findings.get(key, (Finding(*key[:2], call.seq, call.region, path, what), 0))
        self.findings[key] = (first, times + 1)

    def judge(self, recorded):
        service, name = recorded["service"], recorded.get("operation", "")
        if service in NOT_AWS or name.startswith("admin"):
            self.skipped[service] += 1
            return
        call = Judged(recorded["seq"], recorded["account"], recorded["region"], service, name, {}, False)
        try:
            request = Request(recorded["request"])
            operation, protocol, labels = find(request, service)
        except (Unjudgeable, binascii.Error) as error:
            self.operations[service, name] += 1
            self.say(call, "", str(error))
            return
        self.operations[service, operation.name] += 1
        reader = Reader(operation, protocol, request, labels)
        params = reader.read()
        validator = Validator(self.patterns)
        validator.check(operation.input_shape, params)
        succeeded = recorded.get("status", 200) < 300
        params = {} if params is UNREADABLE else params
        call = Judged(call.seq, call.account, call.region, service, operation.name, params, succeeded)
        wrong = [*reader.wrong, *validator.wrong, *filters.check(operation, params), *self.policies.check(call)]
        for path, what in wrong:
            self.say(call, path, what)
        self.grants.note(call)

    def finish(self):
        """Adds the findings that need all calls."""
        for call, path, what in self.grants.gaps(self.unchecked):
            self.say(call, path, what)
        for kind, count in self.policies.unchecked.items():
            self.unchecked[kind] += count

    def summary(self):
        services = {service for service, _ in self.operations}
        left = [f"{count} × {what}" for what, count in sorted(self.unchecked.items())]
        left += [f"{count} calls of {service}, skipped" for service, count in sorted(self.skipped.items())]
        return (
            f"{self.operations.total()} calls of {len(self.operations)} operations in {len(services)} services judged: "
            f"{len(self.findings)} findings; unchecked: {', '.join(left) or 'nothing'}"
        )


def load(path):
    """Reads the calls, and sorts them by their arrival. The file is a JSON array, or has one JSON object per line."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.lstrip().startswith("["):
        calls = json.loads(text)
    else:
        calls = [json.loads(line) for line in text.splitlines() if line.strip()]
    return sorted(calls, key=lambda call: call["seq"])


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("calls", help="the recorded calls: a JSON array, or one JSON object per line")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    options = parser.parse_args(arguments)
    judge = Judge()
    try:
        calls = load(options.calls)
        # If nothing was judged, that is not a success.
        if not calls:
            raise ValueError("there is no call in it")
        if not any("request" in call for call in calls):
            raise ValueError("the calls were recorded without their requests")
        for call in calls:
            judge.judge(call)
        judge.finish()
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"judge: {options.calls}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    findings = [(first, times) for first, times in judge.findings.values()]
    if options.json:
        print(
            json.dumps(
                {
                    "findings": [{**first.__dict__, "times": times} for first, times in findings],
                    "calls": judge.operations.total(),
                    "operations": {f"{s}:{o}": n for (s, o), n in sorted(judge.operations.items())},
                    "unchecked": dict(judge.unchecked),
                    "skipped": dict(judge.skipped),
                },
                indent=2,
            )
        )
    else:
        for first, times in findings:
            print(first if times == 1 else f"{first} ({times} times)")
        print(judge.summary())
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
