"""The upgrade: USR2 starts a new process on the same sockets; the old one ends with its last call."""

import os
import shutil
import signal
import socket
import threading
from pathlib import Path

import pytest

from gate import BINARY, eventually, run
from peers.client import CallFailed, Client, expect_failure
from peers import head
from peers.tls import DEADLINE


def keys(bench, server, gate=None, listener=None, backend=None):
    return {"gate": {"workers": 2, **(gate or {})},
            "listener front": bench.listener_keys(**(listener or {})),
            "backend back": bench.backend_keys(server, **(backend or {}))}


def ctl(gate, *words):
    done = run("ctl", "-c", gate.config, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def status(gate):
    return dict(line.split(": ", 1) for line in ctl(gate, "status").splitlines() if ": " in line)


def wait_status(gate, key, value):
    eventually(lambda: status(gate)[key] == value, lambda: status(gate))


def test_tunnels_stay_and_new_calls_go_to_the_new_process(bench, tmp_path):
    server = bench.backend()
    gate = bench.start(keys(bench, server, {"admin": f"unix:{tmp_path}/admin"}))
    old = bench.client(gate).establish().ping()
    first = gate.process.pid
    gate.upgrade()
    assert gate.pid != first and status(gate)["pid"] == str(gate.pid)
    new = bench.client(gate).establish().ping()
    wait_status(gate, "old-tunnels", "1")
    assert status(gate)["calls"] == "1"
    old.ping(2).disconnect()
    assert gate.process.wait(DEADLINE) == 0
    wait_status(gate, "old-tunnels", "0")
    new.ping().disconnect()
    ids = {event["id"] for event in (gate.wait_call(0), gate.wait_call(1))}
    assert len(ids) == 2
    assert (tmp_path / "admin").is_socket()


def test_two_in_a_row(bench, tmp_path):
    """The newest process knows the calls of both older ones, and TERM ends all three."""
    server = bench.backend()
    gate = bench.start(keys(bench, server, {"admin": f"unix:{tmp_path}/admin"}))
    clients = [bench.client(gate).establish()]
    for number in range(2):
        gate.upgrade()
        clients.append(bench.client(gate).establish())
        wait_status(gate, "old-tunnels", str(number + 1))
    for client in clients:
        client.ping()
    gate.signal(signal.SIGTERM)
    for client in clients:
        with pytest.raises(CallFailed):
            while True:
                client.next()
        client.close()
    gate.end_upgraded()
    assert gate.process.wait(DEADLINE) == 0
    assert [event["reason"] for event in gate.events("call")] == ["shutdown"] * 3
    assert not (tmp_path / "admin").exists()
    gate.pids.clear()


@pytest.mark.parametrize("before, after", [(4, 1), (1, 3), (2, 2)])
def test_other_number_of_workers(bench, before, after):
    """Every queue of the old process is served, whatever the number of workers."""
    server = bench.backend()
    gate = bench.start(keys(bench, server, {"workers": before}))
    text = gate.config.read_text()
    gate.config.write_text(text.replace(f"workers = {before}", f"workers = {after}"))
    gate.upgrade()
    for client in [bench.client(gate) for _ in range(16)]:  # the kernel spreads them over all queues
        client.establish("request").close()
    assert gate.events("listen")[-1]["workers"] == str(after)
    gate.reload()
    gate.upgrade()
    for client in [bench.client(gate) for _ in range(16)]:
        client.establish("request").close()


# The sandbox executes no interpreter of scripts. test_sandbox.py replaces a program by another one.
SCRIPTS = {"sandbox": "no"}


def test_program_was_replaced(bench, tmp_path):
    """The file at the path of the program is used, also if the one that runs was deleted."""
    program = tmp_path / "gate"
    shutil.copy(BINARY, program)
    gate = bench.start(keys(bench, bench.backend(), SCRIPTS), before=[
        "sh", "-c", f'shift; exec {program} "$@"', "sh"])
    program.rename(tmp_path / "old")
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/arguments\nexec {BINARY} "$@"\n')
    program.chmod(0o755)
    gate.upgrade()
    bench.client(gate).establish().ping().disconnect()
    assert (tmp_path / "arguments").read_text() == f"-c {gate.config} --ready-file {gate.ready}\n"


# -- failures --

def failure(gate):
    before = len(gate.events("upgrade"))
    gate.signal(signal.SIGUSR2)
    def find():
        events = gate.events("upgrade")[before:]
        ends = [n for n, event in enumerate(events) if event.level == "error" and
                ("nothing was changed" in event["msg"] or event["msg"].startswith("refused"))]
        return events[:ends[0] + 1] if ends else None
    return gate.wait(find, "failure of an upgrade")


def test_bad_configuration(bench, tmp_path):
    """The log has the errors of the new process, wherever it goes, and the old one serves."""
    log = tmp_path / "log"
    server = bench.backend()
    gate = bench.start(keys(bench, server, {"log": log}))
    up = bench.client(gate).establish().ping()
    text = gate.config.read_text()
    gate.config.write_text(text.replace("workers = 2", "workres = 2"))
    gate.signal(signal.SIGUSR2)
    eventually(lambda: "nothing was changed" in log.read_text(), log.read_text)
    assert f"{gate.config}:2: " in log.read_text() and "did you mean 'workers'?" in log.read_text()
    up.ping()
    bench.client(gate).establish("request").close()
    gate.config.write_text(text)
    gate.signal(signal.SIGUSR2)
    eventually(lambda: "serves; process" in log.read_text(), log.read_text)
    gate.pids.append(int(log.read_text().split("serves; process")[0].split()[-1]))
    up.ping().disconnect()
    assert gate.process.wait(DEADLINE) == 0


@pytest.mark.parametrize("script, said", [
    ("#!/bin/sh\necho nonsense >&2\nexit 3\n", "nonsense"),
    ("#!/bin/sh\nkill -SEGV $$\n", "has ended before it served"),
    ("#!/nowhere/interpreter\n", "cannot be executed"),
    (None, "No such file or directory"),
])
def test_program_that_does_not_start(bench, tmp_path, script, said):
    program = tmp_path / "gate"
    shutil.copy(BINARY, program)
    gate = bench.start(keys(bench, bench.backend(), SCRIPTS), before=[
        "sh", "-c", f'shift; exec {program} "$@"', "sh"])
    up = bench.client(gate).establish().ping()
    program.unlink()
    if script:
        program.write_text(script)
        program.chmod(0o755)
    events = failure(gate)
    assert any(said in event["msg"] for event in events), events
    assert f"process {gate.process.pid} serves" in events[-1]["msg"]
    bench.client(gate).establish("request").close()
    up.ping().disconnect()


def answers(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(str(path))


def test_sockets_stay_after_a_failure(bench, tmp_path):
    """A new process that fails at any stage leaves the files of the Unix sockets to the old one."""
    admin, http = f"unix:{tmp_path}/admin", f"unix:{tmp_path}/status"
    gate = bench.start(keys(bench, bench.backend(), {"admin": admin, "status": http}))
    text, ready = gate.config.read_text(), gate.ready.read_text()
    up = bench.client(gate).establish().ping()

    def fails():
        assert f"process {gate.process.pid} serves" in failure(gate)[-1]["msg"]
        answers(tmp_path / "admin")
        answers(tmp_path / "status")

    for change in [(admin, "unix:/nowhere/admin"), (http, f"{http}\nstatus = unix:/nowhere/status"),
                   ("workers = 2", "workers = 2\nuser = no-such-user")]:
        gate.config.write_text(text.replace(*change))
        fails()
    gate.config.write_text(text)
    gate.ready.unlink()
    gate.ready.mkdir()  # the ready file cannot be written
    fails()
    assert any("cannot write" in event["msg"] for event in gate.events("upgrade"))
    gate.ready.rmdir()
    gate.upgrade()
    assert gate.ready.read_text() == ready
    answers(tmp_path / "admin")
    answers(tmp_path / "status")
    up.ping().disconnect()
    assert gate.process.wait(DEADLINE) == 0


def test_an_upgrade_applies_the_mode_of_the_status_socket(bench, tmp_path):
    gate = bench.start(keys(bench, bench.backend(), {"status": f"unix:{tmp_path}/status"}))
    assert os.lstat(tmp_path / "status").st_mode & 0o777 == 0o660
    gate.config.write_text(gate.config.read_text().replace("[gate]", "[gate]\nstatus-mode = 0600"))
    gate.upgrade()
    assert os.lstat(tmp_path / "status").st_mode & 0o777 == 0o600
    answers(tmp_path / "status")


def test_drain_time_spreads_the_end_of_the_old_process(bench):
    gate = bench.start(keys(bench, bench.backend(), {"drain-time": "4s"}))
    clients = [bench.client(gate).establish() for _ in range(8)]
    gate.upgrade()
    assert gate.process.wait(DEADLINE) == 0
    ends = [gate.wait_call(number) for number in range(8)]
    assert {(it["reason"], it["detail"]) for it in ends} == {("ended-by-admin", "drain-time")}
    seconds = [it.line[:19] for it in ends]
    assert max(seconds.count(second) for second in seconds) <= 4
    for client in clients:
        client.close()


def test_refused(bench):
    """An upgrade is refused during a drain and during another upgrade."""
    gate = bench.start(keys(bench, bench.backend()))
    up = bench.client(gate).establish().ping()
    gate.signal(signal.SIGQUIT)
    gate.wait_event("stop")
    assert failure(gate)[-1]["msg"] == "refused: the gate is shutting down"
    up.ping().disconnect()
    assert gate.wait_exit() == 0


def test_stop_during_an_upgrade(bench, tmp_path):
    """The new process, which never serves, ends with the old one."""
    program = tmp_path / "gate"
    shutil.copy(BINARY, program)
    gate = bench.start(keys(bench, bench.backend(), SCRIPTS), before=[
        "sh", "-c", f'shift; exec {program} "$@"', "sh"])
    program.unlink()
    program.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid.new\nmv {tmp_path}/pid.new {tmp_path}/pid\n"
                       "exec sleep 1000\n")
    program.chmod(0o755)
    gate.signal(signal.SIGUSR2)
    eventually((tmp_path / "pid").exists, "the new program does not run")
    assert failure(gate)[-1]["msg"] == "refused: an upgrade is in progress"
    pid = int((tmp_path / "pid").read_text())
    gate.signal(signal.SIGTERM)
    assert gate.wait_exit() == 0
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


# -- what is handed over --

def misbehave(bench, gate):
    """Costs 5 points."""
    client = bench.client(gate, bind="127.0.0.5").establish("request")
    client.send(b"\x11\x00\x00\x08\xff\x03\xc0\x21")  # of another version
    client.wait_end()
    client.close()


def test_bans_points_and_servers(bench, tmp_path):
    servers = [bench.backend(), bench.backend()]
    gate = bench.start(keys(bench, servers[0], {
        "admin": f"unix:{tmp_path}/admin", "ban-points": 15, "ban-time": "10m", "ban-reset": "10m"},
        backend={"server": [server.address for server in servers], "verify": "off", "pin-sha256": None}))
    ctl(gate, "drain", f"back/{servers[1].address}")
    for number in range(2):
        misbehave(bench, gate)
        assert gate.wait_call(number)["reason"] == "client-bad-packet"
    gate.upgrade()
    assert f"back/{servers[1].address} drain" in ctl(gate, "servers")
    misbehave(bench, gate)
    gate.wait_event("ban")  # the points from before the upgrade count
    gate.upgrade()
    assert ctl(gate, "bans").startswith("127.0.0.5 ")
    with pytest.raises((CallFailed, OSError)):
        bench.client(gate, bind="127.0.0.5").establish()
    bench.client(gate).establish().ping().disconnect()


def test_what_changes_while_the_new_process_starts(bench, tmp_path):
    """An administrator commands the old process until the new one serves."""
    program, go = tmp_path / "gate", tmp_path / "go"
    shutil.copy(BINARY, program)
    gate = bench.start(keys(bench, bench.backend(), {"admin": f"unix:{tmp_path}/admin", **SCRIPTS}), before=[
        "sh", "-c", f'shift; exec {program} "$@"', "sh"])
    program.unlink()
    ready = f"{tmp_path}/begun"
    program.write_text(f'#!/bin/sh\n: >{ready}\nuntil [ -e {go} ]; do sleep 0.05; done\nexec {BINARY} "$@"\n')
    program.chmod(0o755)
    server = ctl(gate, "servers").split()[0]
    for target in [("192.0.2.1",), ("user", "bob")]:
        ctl(gate, "ban", *target, "1h")
    gate.signal(signal.SIGUSR2)
    gate.wait_log("upgrade msg=.starting")
    eventually(Path(ready).exists, "the new program does not run")
    ctl(gate, "unban", "192.0.2.1")
    ctl(gate, "unban", "user", "bob")
    ctl(gate, "ban", "192.0.2.2", "1h")
    ctl(gate, "drain", server)
    go.touch()
    found = gate.wait(gate.upgrades, "end of an upgrade")
    gate.pids.append(int(found[0][1]))
    eventually(lambda: ctl(gate, "bans").split()[:1] == ["192.0.2.2"] and f"{server} drain" in ctl(gate, "servers"),
               lambda: ctl(gate, "bans") + ctl(gate, "servers"))
    assert len(ctl(gate, "bans").splitlines()) == 1


def test_log_of_the_old_process_is_reopened(bench, tmp_path):
    log = tmp_path / "log"
    gate = bench.start(keys(bench, bench.backend(), {"log": log}))
    up = bench.client(gate).establish()
    gate.signal(signal.SIGUSR2)
    eventually(lambda: "serves; process" in log.read_text(), log.read_text)
    gate.pids.append(int(log.read_text().split("serves; process")[0].split()[-1]))
    log.rename(tmp_path / "log.1")
    gate.signal(signal.SIGUSR1)
    eventually(log.exists, "the log was not reopened")
    up.ping().disconnect()
    assert gate.process.wait(DEADLINE) == 0
    eventually(lambda: "reason=client-disconnect" in log.read_text(), (tmp_path / "log.1").read_text)


# -- the storm --

class Storm:
    """Threads that repeat a task until the end; the first failure of each is kept."""

    def __init__(self):
        self.over = threading.Event()
        self.failures, self.threads, self.rounds = [], [], []

    def add(self, task):
        def main():
            try:
                while not self.over.is_set():
                    task()
                    self.rounds.append(task)
            except Exception as failure:  # of any kind
                self.failures.append(repr(failure))
        self.threads.append(threading.Thread(target=main, daemon=True))
        self.threads[-1].start()

    def finish(self):
        self.over.set()
        for thread in self.threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()


@pytest.mark.parametrize("workers", [(2, 2), (1, 3)])
def test_storm(bench, workers):
    """Upgrades in a row, while tunnels carry data in both directions and calls come all the time: no byte is
    lost, and no connection is refused or reset."""
    server = bench.backend(load="echo")
    gate = bench.start(keys(bench, server, {"workers": workers[0]}))
    text = gate.config.read_text()
    storm = Storm()
    amount = 100_000 if gate.sanitized() else 1_000_000
    tunnels = [bench.client(gate).establish() for _ in range(2)]

    def call():
        with Client(gate.address()) as client:
            client.establish().bulk(10_000)
            client.disconnect()

    def knock():
        with Client(gate.address()) as client:
            client.establish("tls")

    for tunnel in tunnels:
        storm.add(lambda tunnel=tunnel: tunnel.bulk(amount))
    storm.add(call)
    storm.add(knock)
    for number in range(2 if gate.sanitized() else 6):
        done = len(storm.rounds)
        gate.config.write_text(text.replace(f"workers = {workers[0]}",
                                            f"workers = {workers[(number + 1) % 2]}"))
        gate.upgrade()
        gate.wait(lambda: len(storm.rounds) > done + 4 or storm.failures, "progress")
    storm.finish()
    assert not storm.failures
    for tunnel in tunnels:
        tunnel.bulk(10_000)
        tunnel.disconnect()
    assert len(storm.rounds) > 20
