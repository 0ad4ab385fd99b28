"""The gate as a service of systemd: its messages (sd_notify(3)), a restart that keeps the calls, and the
units of conf/. The service manager is this test."""

import array
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from gate import ROOT, Gate, eventually
from peers.tls import DEADLINE
from test_upgrade import ctl, keys, wait_status

# Moves descriptors to 3, 4, ... and executes the gate, as systemd does.
LAUNCHER = """
import fcntl, os, sys
names, fds, command = sys.argv[1], [int(fd) for fd in sys.argv[2].split(",")], sys.argv[3:]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 1000) for fd in fds]
for number, fd in enumerate(high):
    os.dup2(fd, 3 + number)
    os.close(fd)
os.environ.update(LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names, LISTEN_PID=str(os.getpid()))
os.execv(command[0], command)
"""


class Manager:
    """Receives the messages; keeps the stored descriptors."""

    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.seen, self.stored, self.queue = [], {}, queue.Queue()
        self.all = []
        self.follows = True  # obeys the process that MAINPID names, and no other, also while it stops the gate
        threading.Thread(target=self._read, daemon=True).start()

    def environment(self, **more):
        return {**os.environ, "NOTIFY_SOCKET": str(self.path), **more}

    def _read(self):
        """Reads at once, because the queue of the socket is short. Closes the descriptor of a barrier, as systemd
        does. Ends with an empty message."""
        while True:
            data, ancillary, _, _ = self.sock.recvmsg(4096, socket.CMSG_SPACE(4))
            if not data:
                return
            message = dict(line.split("=", 1) for line in data.decode().splitlines())
            for _, _, raw in ancillary:
                fd = array.array("i", raw)[0]
                moved = self.follows and any("MAINPID" in seen for seen in self.all)
                if "FDSTORE" in message and not moved:
                    self.stored[message["FDNAME"]] = fd
                else:
                    os.close(fd)
            self.all.append(message)
            self.queue.put(message)

    def receive(self):
        """Returns one message as a dict."""
        self.seen.append(self.queue.get(timeout=DEADLINE))
        return self.seen[-1]

    def wait(self, key, value=None):
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            message = self.receive()
            if key in message and value in (None, message[key]):
                return message
        raise AssertionError(f"no {key}={value} in {self.seen}")

    def release(self):
        for fd in self.stored.values():
            os.close(fd)
        self.stored.clear()


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.release()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.sendto(b"", str(manager.path))


def test_messages(bench, manager):
    gate = bench.start(keys(bench, bench.backend()),
                       env=manager.environment(WATCHDOG_USEC="400000"))
    assert manager.wait("READY")["STATUS"] == "0 tunnels"
    up = bench.client(gate).establish()
    manager.wait("STATUS", "1 tunnels")
    manager.wait("WATCHDOG", "1")
    before = time.monotonic_ns() // 1000
    assert gate.reload()[-1]["msg"].endswith("is in force")
    assert before <= int(manager.wait("RELOADING")["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    manager.wait("READY")
    gate.config.write_text(gate.config.read_text() + "nonsense\n")
    assert gate.reload()[-1]["msg"].endswith("stays in force")
    manager.wait("RELOADING")
    manager.wait("READY")  # the reload is over, whatever its outcome
    up.ping().disconnect()
    gate.signal(signal.SIGTERM)
    manager.wait("STOPPING")
    assert gate.wait_exit() == 0


def test_drain_is_no_stop(bench, manager):
    """systemd would kill the gate after TimeoutStopSec, with its calls."""
    gate = bench.start(keys(bench, bench.backend()), env=manager.environment(WATCHDOG_USEC="200000"))
    up = bench.client(gate).establish()
    gate.signal(signal.SIGQUIT)
    manager.wait("STATUS", "draining: 1 tunnels")
    up.ping().disconnect()
    assert gate.wait_exit() == 0
    assert not any("STOPPING" in message for message in manager.seen)


def test_upgrade(bench, manager):
    """The new process is the main process before it says that it is ready, because systemd listens to the
    main process only. The old one is silent then."""
    gate = bench.start(keys(bench, bench.backend()), env=manager.environment(
        WATCHDOG_USEC="200000"))
    manager.wait("READY")
    up = bench.client(gate).establish()
    gate.upgrade()
    assert manager.wait("MAINPID")["MAINPID"] == str(gate.pid)
    manager.wait("READY")
    manager.wait("WATCHDOG")  # WATCHDOG_PID was that of the old process
    assert manager.wait("STATUS", "0 tunnels, and 1 in old processes")
    up.ping().disconnect()
    manager.wait("STATUS", "0 tunnels")


def restart(bench, gate, manager):
    """Does what systemd does for `systemctl restart`. Returns the new gate."""
    gate.signal(signal.SIGRTMIN)
    dummy = int(manager.wait("MAINPID")["MAINPID"])
    manager.wait("BARRIER")
    assert os.waitpid(dummy, 0)[1] == 0  # for systemd the main process has ended
    names, fds = list(manager.stored), list(manager.stored.values())
    assert {"sstpgate-state", "sstpgate-channel", "sstpgate-0"} <= set(names)
    new = Gate(gate.config, before=[sys.executable, "-c", LAUNCHER, ":".join(names),
                                    ",".join(map(str, fds))], pass_fds=fds, env=manager.environment())
    gate.ready.unlink()
    bench.gates.append(new)
    return new


def test_restart(bench, manager, tmp_path):
    """Connections are accepted all the time, the calls stay, and the state goes with the sockets."""
    server = bench.backend()
    gate = bench.start(keys(bench, server, {"admin": f"unix:{tmp_path}/admin"}),
                       env=manager.environment())
    manager.wait("READY")
    ctl(gate, "drain", f"back/{server.address}")
    ctl(gate, "ready", f"back/{server.address}")
    up = bench.client(gate).establish().ping()
    new = restart(bench, gate, manager)
    bench.client(gate).establish("request").close()  # by the old process, until the new one serves
    new.start()
    assert new.addresses == gate.addresses
    manager.wait("READY")
    removed = set()
    while removed < set(manager.stored):
        message = manager.receive()
        removed |= {message["FDNAME"]} if "FDSTOREREMOVE" in message else set()
    manager.release()
    gate.wait_log("waits for the end of its calls")
    wait_status(new, "old-tunnels", "1")
    bench.client(new).establish().ping().disconnect()
    up.ping().disconnect()
    assert gate.wait_exit() == 0
    wait_status(new, "old-tunnels", "0")


def refuses(gate):
    try:
        socket.create_connection(gate.address()).close()
    except ConnectionRefusedError:
        return True
    return False


def test_restart_without_a_new_process(bench, manager):
    """When systemd gives up, the old process ends with its last call: it would hold the addresses that the next
    start needs."""
    gate = bench.start(keys(bench, bench.backend()), env=manager.environment())
    manager.wait("READY")
    up = bench.client(gate).establish().ping()
    restart(bench, gate, manager)
    bench.client(gate).establish("request").close()
    bench.gates.pop()
    manager.release()
    gate.wait_log("the service manager starts no new process")
    eventually(lambda: refuses(gate), "the old process still accepts")
    up.ping().disconnect()
    assert gate.wait_exit() == 0


def test_restart_by_an_old_systemd(bench, manager):
    """systemd 252 would wait for the process and kill it: so the calls are ended properly, with Call Disconnect,
    and the log has the command that keeps them."""
    manager.follows = False
    gate = bench.start(keys(bench, bench.backend()), env=manager.environment())
    client = bench.client(gate).establish().ping()
    gate.signal(signal.SIGRTMIN)
    gate.wait_log("systemctl kill -s USR2")
    client.wait_end()
    client.close()
    assert gate.wait_exit() == 0
    assert gate.wait_call()["reason"] == "shutdown"


def test_restart_without_a_manager(bench):
    gate = bench.start(keys(bench, bench.backend()))
    gate.signal(signal.SIGRTMIN)
    assert "no service manager" in gate.wait_event("upgrade")["msg"]
    bench.client(gate).establish("request").close()


# -- the units --

def test_units_are_valid_and_hardened():
    """systemd's own rating is at most 1.5 (of 10)."""
    unit = ROOT / "conf/sstpgate.service"
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                           "--threshold=15", unit], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0 and "Overall exposure level" in done.stdout, done.stdout + done.stderr
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", unit, ROOT / "conf/sstpgate.socket"],
                             capture_output=True, text=True, timeout=DEADLINE)
    said = [line for line in checked.stderr.splitlines()
            if line.startswith("sstpgate") and "is not executable" not in line]
    assert not said, said


def test_unit_restarts_without_a_cut():
    text = (ROOT / "conf/sstpgate.service").read_text()
    for line in ("Type=notify", "RestartKillSignal=SIGRTMIN", "KillMode=process", "WatchdogSec=30s"):
        assert re.search(f"^{line}$", text, re.M), line
    assert int(re.search(r"^FileDescriptorStoreMax=(\d+)$", text, re.M)[1]) >= 512
