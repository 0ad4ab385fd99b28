"""The loop of conf/OPERATION.md that upgrades several gates, run with programs in place of ssh, systemctl and apt-get."""

import os
import re
import subprocess
import threading

import pytest

from gate import BINARY, ROOT, run
from peers.tls import DEADLINE

LOOP = re.search(r"^### Several gates, one after the other\n.*?^```sh\n(.*?)^```", (ROOT / "conf/OPERATION.md").read_text(),
                 re.M | re.S)[1]
# In place of a host is a directory with the path of the configuration and the process of its gate.
PROGRAMS = {"ssh": 'cd "$1" && exec sh -c "$2"',
            "sstpgate": f'[ "$1" = ctl ] && exec {BINARY} ctl -c "$(cat conf)" "$2"',
            "systemctl": 'case $* in "-q is-active sstpgate") [ -e "/proc/$(cat pid)/exe" ] ;;\n'
                         '"start sstpgate") pwd >../start && read -r _ <../started ;; esac',
            "apt-get": 'echo "$(basename "$PWD") $2" >>../packages'}


class Hosts:
    """Two hosts. `start` starts a gate as systemctl does, when the loop asks for it."""

    def __init__(self, bench, directory):
        self.bench, self.directory, self.gates, self.order = bench, directory, {}, []
        self.server = bench.backend()
        for name in ("start", "started"):
            os.mkfifo(directory / name)
        for name, text in PROGRAMS.items():
            (directory / name).write_text(f"#!/bin/sh\n{text}\n")
            (directory / name).chmod(0o755)
        for name in ("one", "two"):
            (directory / name).mkdir()
            self.start(name)

    def start(self, name):
        gate = self.gates[name] = self.bench.gate(self.server, gate={"admin": f"unix:rolling-{name}.sock"})
        (self.directory / name / "conf").write_text(str(gate.config))
        (self.directory / name / "pid").write_text(str(gate.process.pid))

    def serve(self):
        """Answers one start. By then the gate has ended, and the other one takes calls."""
        name = os.path.basename((self.directory / "start").read_text().strip())
        other, = (gate for key, gate in self.gates.items() if key != name)
        self.order.append((name, self.gates[name].process.wait(DEADLINE), run("ctl", "-c", other.config, "health").returncode))
        self.start(name)
        (self.directory / "started").write_text("\n")

    def serve_all(self):
        for _ in range(2):
            self.serve()


@pytest.fixture
def hosts(bench, tmp_path):
    return Hosts(bench, tmp_path)


def test_the_loop_upgrades_one_gate_after_the_other(bench, hosts):
    """A tunnel delays the upgrade of its gate, and is not ended by it."""
    old = dict(hosts.gates)
    tunnel = bench.client(old["one"]).establish().ping()
    program = hosts.directory / "upgrade-gates"
    program.write_text(LOOP)
    threading.Thread(target=hosts.serve_all, daemon=True).start()
    loop = subprocess.Popen(["sh", program, "one", "two"], cwd=hosts.directory, stdin=subprocess.DEVNULL,
                            env={**os.environ, "PATH": f"{hosts.directory}:{os.environ['PATH']}"})
    try:
        old["one"].wait_event("stop")
        tunnel.ping()
        assert hosts.order == []
        tunnel.disconnect()
        assert loop.wait(DEADLINE) == 0
    finally:
        loop.kill()
        loop.wait()
    assert hosts.order == [("one", 0, 0), ("two", 0, 0)]
    assert (hosts.directory / "packages").read_text().split("\n")[:4] == ["one update", "one upgrade", "two update", "two upgrade"]
    for name, gate in hosts.gates.items():
        assert gate is not old[name]
        bench.client(gate).establish().ping().disconnect()
