"""conf/keepalived/keepalived.conf: two machines with a gate each, of which one has the address.

    client 203.0.113.9 ---- switch ---- 203.0.113.1  gate 1
                              '-------- 203.0.113.2  gate 2; 203.0.113.10 is on one of the two
"""

import contextlib
import json
import subprocess

import pytest

from gate import BINARY, ROOT, eventually
from netns import Namespace
from peers.client import Client
from test_limits import ctl

EXAMPLE = (ROOT / "conf/keepalived/keepalived.conf").read_text()
ADDRESS = "203.0.113.10"


class Machine(Namespace):
    """A machine with a gate, its server, and keepalived."""

    def __init__(self, number, bench):
        super().__init__()
        self.number, self.bench = number, bench
        self.directory = bench.place.folder / f"keepalived-{number}"
        self.directory.mkdir()
        self.log = self.directory / "log"
        self.keepalived = None

    def start(self):
        with self.entered():
            server = self.bench.backend()
            self.gate = self.bench.start({
                "gate": {"admin": f"unix:keepalived-{self.number}.sock"},
                "listener front": self.bench.listener_keys(listen=f"{ADDRESS}:443", freebind="yes"),
                "backend back": self.bench.backend_keys(server)})
        config = self.directory / "keepalived.conf"
        priority = 110 - 10 * self.number
        config.write_text(EXAMPLE.replace("/usr/sbin/sstpgate ctl", f"{BINARY} ctl -c {self.gate.config}")
                          .replace("priority 100", f"priority {priority}").replace("interval 2", "interval 1"))
        command = ["keepalived", "-f", config]
        with self.entered():
            checked = subprocess.run([*command, "--config-test"], capture_output=True, text=True, timeout=60)
            assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr
            pids = [f"--{name}={self.directory}/{name}" for name in ("pid", "vrrp_pid")]
            self.keepalived = subprocess.Popen([*command, *pids, "--dont-fork", "--log-console", "--no-syslog", "--vrrp"],
                                               stdin=subprocess.DEVNULL, stdout=self.log.open("w"), stderr=subprocess.STDOUT)

    def has_address(self):
        with self.entered():
            shown = subprocess.run(["ip", "-j", "address", "show", "dev", "eth0"], capture_output=True, check=True)
        return ADDRESS in [info["local"] for link in json.loads(shown.stdout) for info in link["addr_info"]]

    def close(self):
        if self.keepalived:
            self.keepalived.terminate()
            self.keepalived.wait(60)
        super().close()


@pytest.fixture
def network(bench):
    with contextlib.ExitStack() as stack:
        made = lambda namespace: stack.enter_context(contextlib.closing(namespace))
        switch, client, one, two = made(Namespace()), made(Namespace()), made(Machine(1, bench)), made(Machine(2, bench))
        with switch.entered():
            switch.ip("link add br0 type bridge")
        switch.interface("br0")
        for port, (end, address) in enumerate(((client, "203.0.113.9/24"), (one, "203.0.113.1/24"), (two, "203.0.113.2/24"))):
            switch.cable(f"port{port}", end, "eth0")
            with switch.entered():
                switch.ip(f"link set port{port} master br0")
            switch.interface(f"port{port}")
            end.interface("eth0", address)
        yield client, one, two


def holds(machine, other):
    eventually(lambda: machine.has_address() and not other.has_address(),
               lambda: f"machine {machine.number} has the address\n{machine.log.read_text()}")


def serves(bench, client, machine, calls=0):
    with client.entered():
        tunnel = Client((ADDRESS, 443)).establish().ping()
    tunnel.disconnect()
    assert machine.gate.wait_call(calls)["client"].startswith("203.0.113.9:")


@pytest.mark.calm
def test_the_address_goes_where_a_gate_takes_calls(bench, network):
    client, one, two = network
    one.start()
    holds(one, two)
    two.start()
    serves(bench, client, one)
    ctl(one.gate, "drain")  # this gate has no tunnel, so it ends
    holds(two, one)
    serves(bench, client, two)
