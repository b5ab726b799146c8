"""Serves LocalStack from its virtual environment, on one loopback port, for `emulator.py`.

LocalStack's own start (`python -m localstack.runtime.main`) is not enough here:

* 4.14 takes the port from GATEWAY_LISTEN and drops the address: it listens on every interface of the machine.
* It starts a DNS server on port 53 of every interface where it may, and fetches a certificate.
* A port that was free a moment ago can be somebody else's by the time it listens, and it then goes on without one.
* It outlives the test run that started it when that run is killed.

So the listening socket is made here, on 127.0.0.1, and handed over; binding anything else fails; and the process ends
with the pipe on its standard input when it was asked to.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import threading
import warnings
from pathlib import Path

LOOPBACK = "127.0.0.1"
# What the open edition has of drctl's services and can serve on a machine without network, Docker and Java. LocalStack
# refuses the others by name (501); DynamoDB, which it would start as a Java server on all interfaces, is among those.
SERVICES = "acm,cloudwatch,ec2,iam,kms,logs,route53,s3,secretsmanager,sns,sts"
BUSY = 75  # EX_TEMPFAIL: another server owns this folder
PORT_TAKEN = 76


def loopback_only() -> None:
    """Makes this process unable to be reached from another machine, whatever a library of it would like.

    LocalStack looks for free ports by binding all addresses for a moment. Nobody can reach such a socket before it
    listens, so for streams it is the listening that fails; a datagram socket is reached as soon as it is bound.
    """

    def check(address: object) -> None:
        # Unix sockets have a path, netlink sockets a pair of numbers: neither can be reached from another machine.
        if isinstance(address, tuple) and isinstance(address[0], str) and address[0] not in (LOOPBACK, "::1"):
            raise OSError(errno.EACCES, f"drctl lets LocalStack listen on loopback only, not on {address!r}")

    def hook(event: str, arguments: tuple) -> None:
        if event == "socket.bind" and arguments[0].type & socket.SOCK_DGRAM:
            check(arguments[1])

    sys.addaudithook(hook)
    listen = socket.socket.listen

    def listen_on_loopback(self: socket.socket, *backlog: int) -> None:
        check(self.getsockname())
        listen(self, *backlog)

    socket.socket.listen = listen_on_loopback


def end_with(folder: Path) -> None:
    """Ends this process and all that it started as soon as standard input closes: whoever held the other end is gone."""

    def watch() -> None:
        sys.stdin.buffer.read()
        shutil.rmtree(folder, ignore_errors=True)
        # Nothing is worth an orderly end: the state is in memory, and nobody is left to ask for it.
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def hand_over(listener: socket.socket) -> None:
    """Makes LocalStack's gateway serve `listener` instead of opening a port on every interface."""
    from twisted.internet import endpoints

    class Listener:
        def __init__(self, reactor, port, *_, **__):
            self.reactor = reactor
            if port != listener.getsockname()[1]:
                raise OSError(errno.EINVAL, f"LocalStack wants to serve port {port}, which drctl did not give it")

        def listen(self, factory):
            listener.listen(128)
            listener.setblocking(False)
            return endpoints.AdoptedStreamServerEndpoint(
                self.reactor, listener.fileno(), socket.AF_INET
            ).listen(factory)

    endpoints.TCP4ServerEndpoint = Listener


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="everything that LocalStack writes goes in here")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--end-with-stdin", action="store_true", help="end when standard input closes")
    arguments = parser.parse_args()
    folder = arguments.folder

    if arguments.end_with_stdin:
        end_with(folder)

    # The kernel lets go of the lock when this process ends, however it ends: a held lock is a running server.
    lock = open(folder / "lock", "a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(BUSY)

    loopback_only()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, arguments.port))
    except OSError as error:
        print(f"cannot listen on {LOOPBACK}:{arguments.port}: {error}", flush=True)
        sys.exit(PORT_TAKEN)
    port = listener.getsockname()[1]

    os.environ.update(
        GATEWAY_LISTEN=f"{LOOPBACK}:{port}",
        LOCALSTACK_HOST=f"{LOOPBACK}:{port}",
        DISABLE_EVENTS="1",
        SKIP_SSL_CERT_DOWNLOAD="1",
        DNS_ADDRESS="0",
        SERVICES=SERVICES,
        STRICT_SERVICE_LOADING="1",
        # In a container LocalStack would take the machine's own /var/lib and /tmp for its own.
        OVERRIDE_IN_DOCKER="0",
        FILESYSTEM_ROOT=str(folder / "files"),
        CONFIG_DIR=str(folder / "config"),
    )

    server = folder / "server.json.new"
    server.write_text(json.dumps({"pid": os.getpid(), "port": port}))
    server.rename(folder / "server.json")

    if not hasattr(warnings, "deprecated"):
        # LocalStack imports it (for KMS, among others), and the standard library has it from 3.13 on only.
        import typing_extensions

        warnings.deprecated = typing_extensions.deprecated

    import localstack.runtime.main

    hand_over(listener)
    localstack.runtime.main.main()


if __name__ == "__main__":
    main()
