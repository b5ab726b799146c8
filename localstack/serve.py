"""Serves LocalStack from its virtual environment, on one loopback port, for `emulator.py`.

LocalStack's own start (`python -m localstack.runtime.main`) is not enough here:

* 4.14 takes the port from GATEWAY_LISTEN and ignores the address: it listens on every interface of the machine.
* Where it is allowed to, it starts a DNS server on port 53 of every interface; and it downloads a certificate.
* A port that was free a moment ago may be taken by the time it listens, and then it continues without one.
* It outlives the test run that started it if that run is killed.

So the listening socket is created here, on 127.0.0.1, and handed over; listening anywhere else fails; and with
--end-with-stdin, the process ends when its standard input closes.
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
# Those of drctl's services that the open edition has, and can serve on a machine without network, Docker and Java.
# LocalStack refuses the others by name (501), among them DynamoDB, which would be a Java server on all interfaces.
SERVICES = "acm,cloudwatch,ec2,iam,kms,logs,route53,s3,secretsmanager,sns,sts"
BUSY = 75  # EX_TEMPFAIL: another server owns this folder
PORT_TAKEN = 76


def loopback_only() -> None:
    """Makes this process unreachable from other machines, whatever its libraries do.

    LocalStack looks for free ports by binding all addresses for a moment. A stream socket cannot be reached before it
    listens, so for streams, listening fails; a datagram socket can be reached as soon as it is bound.
    """

    def check(address: object) -> None:
        # The address of a Unix socket is a path, that of a netlink socket a pair of numbers: both are only local.
        if isinstance(address, tuple) and isinstance(address[0], str) and address[0] not in (LOOPBACK, "::1"):
            raise OSError(errno.EACCES, f"drctl lets LocalStack listen only on loopback, not on {address!r}")

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
    """Ends this process and everything that it started when standard input closes, because its starter has ended."""

    def watch() -> None:
        sys.stdin.buffer.read()
        shutil.rmtree(folder, ignore_errors=True)
        # An orderly end is not needed: the state is in memory, and nobody is left to use it.
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def hand_over(listener: socket.socket) -> None:
    """Makes LocalStack's gateway serve `listener` instead of opening a port on every interface."""
    from twisted.internet import endpoints

    class Listener:
        def __init__(self, reactor, port, *_, **__):
            self.reactor = reactor
            if port != listener.getsockname()[1]:
                raise OSError(errno.EINVAL, f"LocalStack tried to serve port {port}, which drctl did not assign to it")

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
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--end-with-stdin", action="store_true", help="end when standard input closes")
    arguments = parser.parse_args()
    folder = arguments.folder

    if arguments.end_with_stdin:
        end_with(folder)

    # The kernel frees the lock when this process ends, however it ends: a held lock means a running server.
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
        # In a container, LocalStack would use the machine's own /var/lib and /tmp.
        OVERRIDE_IN_DOCKER="0",
        FILESYSTEM_ROOT=str(folder / "files"),
        CONFIG_DIR=str(folder / "config"),
    )

    server = folder / "server.json.new"
    server.write_text(json.dumps({"pid": os.getpid(), "port": port}))
    server.rename(folder / "server.json")

    if not hasattr(warnings, "deprecated"):
        # LocalStack imports it (for KMS, among others), but the standard library has it only from 3.13 on.
        import typing_extensions

        warnings.deprecated = typing_extensions.deprecated

    import localstack.runtime.main

    hand_over(listener)
    localstack.runtime.main.main()


if __name__ == "__main__":
    main()
