"""The real programs of these tests: how each is started, awaited and ended.

Every program is a child of the test process, is ended by its process id, and dies with the test
process even if that is killed. No traffic leaves the machine: what does not use loopback is in a
network namespace without any route to the outside."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GATE = pathlib.Path(os.environ.get("SSTPGATE", ROOT / "build/release/sstpgate"))
NAME = "vpn.sstpgate.test"  # what the client dials; guest/init has it in its hosts file
USER, PASSWORD = "alice", "wonder-land-7"
SOFTETHER = pathlib.Path("/usr/libexec/softether/vpnserver/vpnserver")

# Seconds for steps that take a few. Only a program that hangs reaches it, because one machine is ten times slower than
# another.
DEADLINE = 300

os.environ["PATH"] += ":/usr/sbin:/sbin"


def require(programs, *paths):
    """Fails the test, with the reason, on a machine that cannot run it. No test is skipped."""
    missing = [name for name in programs.split() if not shutil.which(name)]
    missing += [str(path) for path in paths if not os.path.exists(path)]
    missing += ["root, for namespaces"] if os.geteuid() != 0 else []
    if missing:
        pytest.fail("missing on this machine: " + ", ".join(missing), pytrace=False)


@contextlib.contextmanager
def running(command, log, end=signal.SIGTERM, **options):
    """Runs command, with its output in the file log; at the end sends it the signal `end`."""
    with open(log, "ab") as output:
        options.setdefault("stdout", output)
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
            stdin=subprocess.DEVNULL, stderr=output, **options)
    try:
        yield process
    finally:
        process.send_signal(end)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def address(text):
    """Splits HOST:PORT."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def whole_line(path):
    """Waits for a complete line in a file that another program writes; returns the text."""
    text = path.read_text() if path.exists() else ""
    return text if text.endswith("\n") else None


def eventually(condition, process, log):
    """Waits for condition() while the process lives; returns its first true value."""
    for _ in range(DEADLINE * 50):
        if value := condition():
            return value
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
            break
    raise AssertionError(f"{process.args} did not become ready:\n{log.read_text()}")


@contextlib.contextmanager
def running_in_namespaces(setup, command, log, *more, **options):
    """Runs command in new network and process namespaces (and those in `more`), after the shell lines of
    setup. All its processes are killed at the end, because the namespace ends with its first process."""
    script = f"set -e\nip link set lo up\n{setup}\necho ready\nexec \"$@\" >&2"
    with running(["unshare", "--net", "--pid", "--fork", "--kill-child", *more,
                  "sh", "-c", script, "sh", *command],
                 log, signal.SIGKILL, stdout=subprocess.PIPE, text=True, **options) as process:
        if process.stdout.readline() != "ready\n":
            raise AssertionError(log.read_text())
        yield process


@contextlib.contextmanager
def relay(log, listen_pid, listen, connect_pid, connect):
    command = [sys.executable, HERE / "relay.py", listen_pid, listen, connect_pid, connect]
    with running(command, log, stdout=subprocess.PIPE, text=True) as process:
        port = process.stdout.readline().strip()
        if not port:
            raise AssertionError(log.read_text())
        yield f"{listen.rpartition(':')[0]}:{port}"


def gate_configuration(certificate, server, server_certificate):
    """Returns the configuration of a gate in front of `server`, an address: it pins the server's
    certificate and re-signs the client's binding for it. certificate is a path as the gate sees it."""
    return f"""\
[listener front]
listen = 127.0.0.1:0
certificate = {certificate}
allow = 127.0.0.0/8
default = deny
host = {NAME}
backend = server

[backend server]
server = {server}
verify = pin
pin-sha256 = {server_certificate.sha256}
crypto-binding = rewrite
users-file = users
"""


@contextlib.contextmanager
def gate(directory, certificate, server, server_certificate):
    """Yields the address that the gate listens on."""
    directory.mkdir()
    made = subprocess.run([GATE, "user", USER], input=PASSWORD + "\n", text=True,
                          capture_output=True, check=True)
    (directory / "users").write_text(made.stdout)
    (directory / "users").chmod(0o600)
    configuration = gate_configuration(certificate.both, server, server_certificate)
    with configured_gate(directory, configuration) as addresses:
        yield addresses["front"]


@contextlib.contextmanager
def configured_gate(directory, configuration):
    """Yields the content of its ready file: the name of each listener to its address."""
    path, ready, log = directory / "sstpgate.conf", directory / "ready", directory / "gate.log"
    path.write_text(configuration)
    with running([GATE, "-c", path, "--ready-file", ready], log) as process:
        try:
            lines = eventually(lambda: whole_line(ready), process, log).splitlines()
            yield dict(line.rsplit(" ", 1) for line in lines)
        finally:
            print(f"--- gate\n{log.read_text()}")  # shown if the test fails
    assert process.returncode == 0, f"the gate ended with {process.returncode}"


@contextlib.contextmanager
def haproxy(directory, certificate, server, server_certificate):
    """haproxy in place of the gate: TLS on both sides, data forwarded unchanged."""
    directory.mkdir()
    log = directory / "haproxy.log"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (directory / "haproxy.cfg").write_text(f"""\
defaults
    mode tcp
    timeout connect 1m
    timeout client 5m
    timeout server 5m

listen front
    bind fd@{listener.fileno()} ssl crt {certificate.both}
    server only {server} ssl verify required ca-file {server_certificate.cert}
""")
        command = ["haproxy", "-db", "-f", directory / "haproxy.cfg"]
        with running(command, log, pass_fds=[listener.fileno()]):
            yield f"127.0.0.1:{listener.getsockname()[1]}"


class Call:
    """One call of sstpc, as recorded by the guest."""

    def __init__(self, directory):
        self.directory = directory
        self.notes = dict(line.split("=", 1) for line in self.log("result").splitlines())
        if self.notes.get("redials", "0") != "0":
            print(f"note: sstpc exited by itself after connecting and dialled "
                  f"{self.notes['redials']} more times")

    up = property(lambda self: "up" in self.notes)
    answered = property(lambda self: self.notes.get("ping") == "answered")

    def log(self, name):
        path = self.directory / name
        return path.read_text(errors="replace").replace("\0", "") if path.exists() else ""

    def __str__(self):
        names = sorted(path.name for path in self.directory.glob("*.log"))
        return "\n".join([str(self.notes)] + [f"--- {name}\n{self.log(name)}" for name in names])


REFUSE = {
    "mschapv2": "refuse-eap refuse-pap refuse-chap refuse-mschap",
    "pap": "refuse-eap refuse-chap refuse-mschap refuse-mschap-v2",
}


def call(directory, target, certificate, *, method="mschapv2", user=USER, password=PASSWORD,
         while_up=None):
    """Boots a guest that dials target (an address of this host) with sstpc, and returns its Call.
    The client verifies that the server presents `certificate`. while_up is a shell script that the guest
    runs while the tunnel is up."""
    directory.mkdir()
    for name in ("guest/init", "guest/call", "traffic.py"):
        shutil.copy(HERE / name, directory)
    shutil.copy(certificate.cert, directory / "ca.pem")
    (directory / "hosts").write_text(f"127.0.0.1 localhost\n10.77.0.1 {NAME}\n")
    settings = {"name": NAME, "user": user, "password": password, "refuse": REFUSE[method]}
    (directory / "settings").write_text(
        "".join(f"{key}={shlex.quote(value)}\n" for key, value in settings.items()))
    if while_up:
        (directory / "while-up").write_text(f"#!/bin/sh\n{while_up}\n")
        (directory / "while-up").chmod(0o755)

    setup = ("ip tuntap add tap0 mode tap; ip address add 10.77.0.1/24 dev tap0; "
             "ip link set tap0 up")
    kernel = ["linux.uml", "mem=256M", "rootfstype=hostfs", "ro", "root=/dev/root", "quiet",
              "loglevel=1", "con=null", "con0=null,fd:2", "ssl=null", f"uml_dir={directory}/uml",
              "vec0:transport=tap,ifname=tap0,depth=64,gro=1", f"init={directory}/init",
              f"JOB={directory}"]
    log = directory / "console.log"
    with running_in_namespaces(setup, kernel, log) as guest, \
            relay(log, guest.pid, "10.77.0.1:443", os.getpid(), target):
        with contextlib.suppress(subprocess.TimeoutExpired):
            guest.wait(DEADLINE)
    return Call(directory)
