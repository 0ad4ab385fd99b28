"""Shortage of descriptors, memory and CPUs, on a machine or in a control group: the log reports it, tunnels
stay up, and sstpgate ctl still works."""

import contextlib
import os
import resource
import socket
import subprocess

import pytest

from gate import run
from peers.tls import DEADLINE

# ---- descriptors ----


def lowest_free(pid):
    used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    return next(n for n in range(len(used) + 1) if n not in used)


@pytest.fixture
def starved(bench):
    """A gate with a tunnel, and without a descriptor for anything else."""
    gate = bench.gate(bench.backend(), gate={"admin": f"unix:starved-{bench.count}.sock"})
    client = bench.client(gate).establish().ping()
    before = resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE)
    limit = lowest_free(gate.process.pid)
    resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    yield gate, client
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE, before)


def full_lines(gate):
    return [e for e in gate.events("full") if "no file descriptor is left" in e["msg"]]


def test_no_descriptor_is_logged(starved):
    gate, client = starved
    with socket.create_connection(gate.address(), DEADLINE):
        gate.wait(lambda: len(full_lines(gate)) >= 2, "two lines")
        assert full_lines(gate)[0].level == "warning"
        times = [e.line[:19] for e in full_lines(gate)]
        assert len(set(times)) >= len(times) - 1  # one for each second; a timer may be early
    client.ping(2)


def test_ctl_answers_without_a_descriptor(starved):
    gate, client = starved
    for _ in range(3):
        done = run("ctl", "-c", gate.config, "status")
        assert done.returncode == 0 and "calls: 1" in done.stdout, done
    client.ping(2)


def test_two_commands_without_a_descriptor(starved):
    """The second one waits until the first one has its answer; the loop does not spin meanwhile."""
    gate, _ = starved
    path = gate.config.parent / gate.config.read_text().split("unix:")[1].split()[0]
    first, second = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    for sock in (first, second):
        sock.settimeout(DEADLINE)
        sock.connect(str(path))
    gate.wait_log("a command connection was not accepted: Too many open files")
    for sock in (first, second):
        with sock:
            sock.sendall(b"status\n")
            text = b""
            while part := sock.recv(4096):
                text += part
        assert text.endswith(b"\nok\n")


def test_calls_again_when_there_are_descriptors(bench, starved):
    gate, _ = starved
    gate.wait_event("full")
    hard = resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
    bench.client(gate).establish().ping().disconnect()


# ---- control groups ----


@pytest.fixture
def group(tmp_path):
    """The kernel's files of a control group, version 2 and 1, and a command that shows them to a gate."""
    root = tmp_path / "cgroup"
    (root / "memory").mkdir(parents=True)
    (root / "cpu").mkdir()

    def limit(memory, quota):
        (root / "memory.max").write_text(f"{memory}\n")
        (root / "memory/memory.limit_in_bytes").write_text(f"{memory}\n")
        (root / "cpu.max").write_text(f"{quota} 100000\n")
        (root / "cpu/cpu.cfs_quota_us").write_text(f"{quota}\n")
        (root / "cpu/cpu.cfs_period_us").write_text("100000\n")
        return ("unshare", "--mount", "sh", "-c", f'mount --bind {root} /sys/fs/cgroup && exec "$@"',
                "sh")
    return limit


def keys(bench, **gate):
    return {"gate": gate, "listener front": bench.listener_keys(),
            "backend back": bench.backend_keys(bench.backend())}


def test_cpu_quota(bench, group):
    gate = bench.start(keys(bench, workers="auto"), before=group("max", 50000))
    assert gate.wait_event("listen")["workers"] == "1"


def test_memory_limit(bench, group):
    gate = bench.start(keys(bench, workers=1), before=group(64 << 20, "max"))
    event = gate.wait_event("limit")
    assert event["msg"] == ("max-tunnels is 10000, but the limit of the control group's memory (64 MiB) "
                            "allows only 640 (raise MemoryMax= of systemd, or that of the container)")
    bench.client(gate).establish().disconnect()


def test_memory_that_suffices(bench, group):
    gate = bench.start(keys(bench, workers=1, **{"max-tunnels": 640}), before=group(64 << 20, "max"))
    gate.wait_event("listen")
    assert not gate.events("limit")
