#!/usr/bin/env python3
"""Measures how fast the whole stack is built, checked and deleted in the sandbox, and how much memory drctl needs.

    benches/stack.py [--rounds 5]

Builds the release binary, starts a sandbox of its own at the `instant` pace, and runs `up`, `up` without changes, and
`down` that many times, each as a user would: in one process, without a warm-up. Prints the median of each, the number
of calls of a run without changes, and the peak memory (maximum resident set) of the drctl process, as the kernel counts
it. Needs only Rust and Python.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ACCOUNT = "100000000000"


def build() -> Path:
    """Builds the release binary. Returns its path."""
    command = ["cargo", "build", "--release", "--locked", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return Path(next(m["executable"] for m in reversed(messages) if m.get("executable")))


class Sandbox:
    """A sandbox that ends with this script, however it ends, because its standard input is held open."""

    def __init__(self, drctl: Path, folder: Path):
        self.process = subprocess.Popen(
            [drctl, "sandbox", "serve", "--exit-with-stdin", "--dir", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        record = folder / "sandbox.json"
        until = time.monotonic() + 300
        while not record.exists():
            if self.process.poll() is not None or time.monotonic() > until:
                sys.exit("the sandbox did not start")
            time.sleep(0.05)
        self.endpoint = f"http://127.0.0.1:{json.loads(record.read_text())['port']}"

    def calls(self) -> int:
        with urllib.request.urlopen(f"{self.endpoint}/_drctl/calls?account={ACCOUNT}") as answer:
            return len(json.load(answer))


def run(drctl: Path, folder: Path, endpoint: str, *arguments: str) -> tuple[float, int]:
    """Runs one command. Returns its duration in seconds and its peak memory in KiB."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME") if name in os.environ}
    environment |= {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with open(folder / "output", "w") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            [drctl, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, used = os.wait4(process.pid, 0)
        took = time.monotonic() - began
    if status != 0:
        sys.exit(f"drctl {' '.join(arguments)} failed:\n{(folder / 'output').read_text()}")
    return took, used.ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    drctl = build()
    took: dict[str, list[float]] = {"up": [], "up without changes": [], "down": []}
    memory = 0
    calls = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sandbox = Sandbox(drctl, folder)
        for _ in range(rounds):
            for what, arguments in (
                ("up", ("up", "--yes")),
                ("up without changes", ("up", "--yes")),
                ("down", ("down", "--yes", "--no-final-snapshot")),
            ):
                before = sandbox.calls()
                seconds, peak = run(drctl, folder, sandbox.endpoint, *arguments)
                took[what].append(seconds)
                memory = max(memory, peak)
                if what == "up without changes":
                    calls = sandbox.calls() - before
        resources = sum(1 for line in (folder / "output").read_text().splitlines() if "deleted" in line)
    for what, seconds in took.items():
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(f"{what:20} {statistics.median(seconds):6.2f} s   median of {rounds}, {spread}")
    print(f"{'calls, no changes':20} {calls:6}")
    print(f"{'peak memory':20} {memory / 1024:6.1f} MiB")
    print(f"{'deleted by down':20} {resources:6}")


if __name__ == "__main__":
    main()
