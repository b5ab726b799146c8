"""Installs, starts, stops and resets LocalStack 4.14, and runs a command against one. Called by `run`.

Python's standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

VERSION = "4.14.0"
HERE = Path(__file__).resolve().parent
PINS = [HERE / "requirements.txt", HERE / "constraints.txt"]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drctl"
SERVER = CACHE / "localstack-server"

START_SECONDS = 120  # a cold disk and two busy cores; it takes 1 to 3 on an idle machine
END_SECONDS = 10
PORT_TAKEN = 76  # as in serve.py
NOT_FOUND, NOT_RUNNABLE = 127, 126  # as in every shell


class Stopped(BaseException):
    """A signal asked this process to end. It is an exception, so that every server that was started is stopped."""

    def __init__(self, number: int) -> None:
        self.number = number


def say(*lines: str) -> None:
    print("localstack: " + "\n  ".join(lines), file=sys.stderr, flush=True)


def fail(*lines: str) -> NoReturn:
    say(*lines)
    sys.exit(1)


def tail(file: Path, lines: int = 15) -> list[str]:
    try:
        return ["  | " + line for line in file.read_text(errors="replace").splitlines()[-lines:]]
    except OSError:
        return ["  | (no log)"]


@contextlib.contextmanager
def exclusive(name: str, why_wait: str) -> Iterator[None]:
    """Lets in one process at a time. The kernel frees the lock when its holder dies, so it is never stale."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say(why_wait)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ---------------------------------------------------------------------------------------------------- the environment


def environment() -> Path:
    """The Python of LocalStack's virtual environment, built once per version of Python and of the pinned packages."""
    digest = hashlib.sha256(b"\0".join(pin.read_bytes() for pin in PINS)).hexdigest()[:8]
    name = f"localstack-{VERSION}-py{sys.version_info.major}.{sys.version_info.minor}-{digest}"
    python = CACHE / name / "bin" / "python"
    # The usual case needs no lock: a folder with that name is complete, because it was renamed to it.
    if works(python):
        return python
    with exclusive(name, "another run is installing LocalStack; waiting for it"):
        if not works(python):
            install(name)
    return python


def works(python: Path) -> bool:
    """Whether the Python behind the environment still exists: pyenv and the distribution remove old ones."""
    try:
        return subprocess.run([python, "-I", "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False


def install(name: str) -> None:
    for left_over in CACHE.glob(f"{name}.new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    log = CACHE / f"{name}.log"
    say(f"installing LocalStack {VERSION} into {CACHE / name}", "once, about 500 MB; a minute or two")
    began = time.monotonic()
    made = Path(tempfile.mkdtemp(prefix=f"{name}.new-", dir=CACHE))
    python = made / "bin" / "python"
    steps = [
        [sys.executable, "-I", "-m", "venv", str(made)],
        [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        + ["-r", str(PINS[0]), "-c", str(PINS[1])],
        [python, "-I", "-c", "import localstack.runtime.main, localstack.runtime.server.twisted"],
    ]
    try:
        with open(log, "w") as output:
            for step in steps:
                if subprocess.run(step, stdin=subprocess.DEVNULL, stdout=output, stderr=output).returncode != 0:
                    fail(
                        f"LocalStack {VERSION} could not be installed. The end of {log}:",
                        *tail(log),
                        "Nothing was kept; the next run starts from scratch.",
                        "To do: if it is the network, check that pip reaches its package index (pip config list, HTTPS_PROXY);",
                        f"if a package has no build for Python {sys.version_info.major}.{sys.version_info.minor}, set "
                        "DRCTL_LOCALSTACK_PYTHON to a 3.13 or 3.12; if the disk is full,",
                        f"free 500 MB, or set XDG_CACHE_HOME to a folder on another one (now {CACHE.parent}).",
                    )
        if (CACHE / name).exists():
            shutil.rmtree(CACHE / name)  # its Python is gone, see works()
        made.rename(CACHE / name)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    say(f"installed in {time.monotonic() - began:.0f} s")


# --------------------------------------------------------------------------------------------------------- the server


def launch(python: Path, folder: Path, port: int, end_with_us: bool) -> subprocess.Popen:
    """Starts LocalStack detached from the terminal: Ctrl-C goes to the command under test, which still needs it."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    arguments = [python, "-I", HERE / "serve.py", "--folder", folder, "--port", str(port)]
    # A minimal environment: LocalStack has about two hundred variables of its own, and an AWS profile or a proxy of the
    # machine's user would change what it does.
    variables = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    with open(folder / "log", "w") as log:
        return subprocess.Popen(
            arguments + (["--end-with-stdin"] if end_with_us else []),
            stdin=subprocess.PIPE if end_with_us else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=variables,
            start_new_session=True,
        )


def kill(server: subprocess.Popen) -> None:
    # Not SIGTERM: LocalStack takes 5 s to react to it, and has nothing to save.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def wait_until_ready(server: subprocess.Popen, folder: Path) -> int:
    """Waits until LocalStack answers, and checks that it listens only on loopback. Returns the port."""
    log = folder / "log"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        code = server.poll()
        if code == PORT_TAKEN:
            fail(
                tail(log, 1)[0].removeprefix("  | "),
                "Something else listens there: choose another --port, or leave it out to use a free one.",
            )
        if code is not None:
            fail(f"LocalStack ended during its start (exit code {code}). Its last lines:", *tail(log), REINSTALL)
        with contextlib.suppress(OSError, ValueError, KeyError, http.client.HTTPException):
            port = json.loads((folder / "server.json").read_text())["port"]
            if health(port)["version"] == VERSION:
                only_loopback(server)
                return port
        time.sleep(0.1)
    kill(server)
    fail(f"LocalStack did not answer within {START_SECONDS} s, and was stopped. Its last lines:", *tail(log), REINSTALL)


REINSTALL = f"To do: if it names a missing module, remove {CACHE} and run this again, which reinstalls LocalStack."


def health(port: int) -> dict:
    # http.client ignores proxies, which is intended.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_localstack/health")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def only_loopback(server: subprocess.Popen) -> None:
    """serve.py makes LocalStack listen only on loopback. This checks it, where the system shows it (Linux)."""
    for address in listening(server.pid):
        if not (address.startswith("127.") or address == "::1"):
            kill(server)
            fail(
                f"LocalStack listened on {address}, which other machines can reach, and was stopped.",
                "drctl's emulators are reachable from this machine only. This is a defect of localstack/serve.py: report it.",
            )


def listening(pid: int) -> Iterator[str]:
    """The addresses of the sockets on which a process listens."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            sockets.add(os.readlink(descriptor))
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                address, state, inode = fields[1].partition(":")[0], fields[3], fields[9]
                if state == "0A" and f"socket:[{inode}]" in sockets:
                    # Groups of four bytes, each in the machine's byte order.
                    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
                    yield socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))


# ------------------------------------------------------------------------------------- a server that outlives the call


def running() -> dict | None:
    """The content of server.json if its server is running, which holds the lock as long as it runs."""
    try:
        with open(SERVER / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        pass
    # The file is written right after the lock is taken.
    deadline = time.monotonic() + END_SECONDS
    while not (SERVER / "server.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return json.loads((SERVER / "server.json").read_text())


def start(port: int) -> None:
    server = running()
    if server:
        if port not in (0, server["port"]):
            fail(f"LocalStack is already running on port {server['port']}. To do: localstack/run stop, then start it again.")
        say(f"already running on 127.0.0.1:{server['port']}")
    else:
        python = environment()
        shutil.rmtree(SERVER, ignore_errors=True)
        SERVER.mkdir(parents=True)
        began = time.monotonic()
        process = launch(python, SERVER, port, end_with_us=False)
        try:
            server = {"port": wait_until_ready(process, SERVER)}
        except Stopped:
            kill(process)
            raise
        say(
            f"LocalStack {VERSION} listens on 127.0.0.1:{server['port']}, ready in {time.monotonic() - began:.1f} s",
            f"log: {SERVER / 'log'}",
            "it runs until: localstack/run stop",
        )
    for name, value in aws_variables(server["port"]).items():
        print(f"export {name}={value}")


def stop() -> int | None:
    """Ends the server. Returns its port."""
    server = running()
    if server is None:
        return None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server["pid"], signal.SIGKILL)
    deadline = time.monotonic() + END_SECONDS
    while running():
        if time.monotonic() > deadline:
            fail(f"LocalStack (process {server['pid']}) does not end. To do: kill -9 {server['pid']}")
        time.sleep(0.05)
    shutil.rmtree(SERVER, ignore_errors=True)
    return server["port"]


def status() -> int:
    server = running()
    if server is None:
        say("not running")
        if (SERVER / "server.json").exists():
            say(f"the last one was not stopped but ended by itself. The end of {SERVER / 'log'}:", *tail(SERVER / "log"))
        return 1
    began = time.monotonic()
    try:
        services = health(server["port"])["services"]
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        fail(
            f"process {server['pid']} runs, but does not answer on 127.0.0.1:{server['port']}: {error}",
            "To do: localstack/run reset",
        )
    print(f"LocalStack {VERSION} on 127.0.0.1:{server['port']}, process {server['pid']}")
    print(f"answered in {(time.monotonic() - began) * 1000:.0f} ms")
    print("services: " + " ".join(sorted(name for name, state in services.items() if state != "disabled")))
    print(f"log: {SERVER / 'log'}")
    return 0


# ----------------------------------------------------------------------------------------- a server for one command


def aws_variables(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        # LocalStack treats a key id of twelve digits as the account; this one is its default.
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": "localstack",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
    }


def command_variables(port: int) -> dict[str, str]:
    """The caller's variables, without any that lead to a real AWS account."""
    variables = {
        name: value
        for name, value in os.environ.items()
        # AWS_ENDPOINT_URL_<SERVICE> stays: with it, another emulator can serve what LocalStack lacks.
        if not name.startswith("AWS_") or name.startswith("AWS_ENDPOINT_URL_")
    }
    variables.update(
        aws_variables(port),
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
    )
    for name in ("NO_PROXY", "no_proxy"):
        variables[name] = ",".join(filter(None, [variables.get(name), "127.0.0.1", "localhost"]))
    return variables


def execute(command: list[str]) -> int:
    python = environment()
    folder = Path(tempfile.mkdtemp(prefix="drctl-localstack-"))
    server = None
    code = 1
    try:
        began = time.monotonic()
        server = launch(python, folder, 0, end_with_us=True)
        port = wait_until_ready(server, folder)
        say(f"LocalStack {VERSION} listens on 127.0.0.1:{port}, ready in {time.monotonic() - began:.1f} s")
        code = run_command(command, command_variables(port))
        if server.poll() is not None:
            say(f"LocalStack ended before the command did (exit code {server.returncode}). Its last lines:")
            print(*tail(folder / "log"), sep="\n", file=sys.stderr)
            code = code or 1
    except Stopped as stopped:
        code = 128 + stopped.number
    finally:
        # The rest takes no time, and must not be interrupted.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if server is not None:
            if code not in (0, NOT_FOUND, NOT_RUNNABLE):
                keep_log(folder / "log")
            kill(server)
        shutil.rmtree(folder, ignore_errors=True)
    return code


def keep_log(log: Path) -> None:
    """Keeps the log of the last run that failed, because the cause may be in LocalStack."""
    kept = CACHE / "localstack-failed.log"
    with contextlib.suppress(OSError):
        shutil.copyfile(log, kept)
        say(f"LocalStack's log of this run: {kept}")


def run_command(command: list[str], variables: dict[str, str]) -> int:
    """Runs a command. Returns its exit code. If this process is asked to end, the command is asked first, then killed."""
    # On a terminal, the command stays in the foreground, where Ctrl-C reaches it directly. Elsewhere, it gets a process
    # group of its own, so that not only cargo ends, but also the tests that it started.
    own_group = not sys.stdin.isatty()
    process = None
    try:
        process = subprocess.Popen(command, env=variables, process_group=0 if own_group else None)
        code = process.wait()
        return code if code >= 0 else 128 - code
    except FileNotFoundError:
        say(f"command not found: {command[0]}")
        return NOT_FOUND
    except OSError as error:
        say(f"cannot run {command[0]}: {error.strerror}")
        return NOT_RUNNABLE
    except Stopped as stopped:
        if process is not None:
            end(process, stopped.number, own_group)
        raise


def end(process: subprocess.Popen, number: int, own_group: bool) -> None:
    def send(number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if own_group:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)

    try:
        if own_group or number != signal.SIGINT:
            send(number)
        process.wait(END_SECONDS)
    except (subprocess.TimeoutExpired, Stopped):
        pass
    finally:
        send(signal.SIGKILL)
        process.wait()


# ---------------------------------------------------------------------------------------------------------------------

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    parser = argparse.ArgumentParser(prog="localstack/run", description=f"LocalStack {VERSION} on loopback, from PyPI.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="install it, if it is not yet")
    starting = commands.add_parser("start", help="start it in the background; prints the variables to export")
    starting.add_argument("--port", type=int, default=0, help="default: a free one")
    commands.add_parser("stop", help="stop it and discard its contents")
    commands.add_parser("status", help="show whether it runs, where, and what it serves; exit code 1 if it does not run")
    commands.add_parser("reset", help="empty it, and keep the port")
    executing = commands.add_parser("exec", help="run a command against a LocalStack of its own")
    executing.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    arguments = parser.parse_args()

    def stopped(number: int, _frame: object) -> NoReturn:
        raise Stopped(number)

    for number in SIGNALS:
        signal.signal(number, stopped)
    try:
        match arguments.command:
            case "prepare":
                print(environment().parent.parent)
            case "exec":
                argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
                if not argv:
                    parser.error("exec needs a command: localstack/run exec -- COMMAND ...")
                return execute(argv)
            case _:
                with exclusive("localstack-server", "another localstack/run is starting or stopping it; waiting"):
                    return control(arguments)
    except Stopped as signalled:
        return 128 + signalled.number
    return 0


def control(arguments: argparse.Namespace) -> int:
    if arguments.command == "status":
        return status()
    if arguments.command == "start":
        start(arguments.port)
        return 0
    port = stop()
    if arguments.command == "stop":
        say("not running" if port is None else f"stopped; 127.0.0.1:{port} is free")
        return 0
    if port is None:
        fail("not running, so there is nothing to reset. To do: localstack/run start")
    start(port)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        fail(
            f"{error.strerror or error}: {error.filename or ''}".rstrip(": "),
            f"It writes to {CACHE} and to {tempfile.gettempdir()}: make sure that both exist, are writable, and have room,",
            "or set XDG_CACHE_HOME and TMPDIR to other folders.",
        )
