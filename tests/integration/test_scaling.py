"""conf/SCALING.md has the output of the simulation, and the constants of its arithmetic."""

import importlib.util
import re
import subprocess
import sys

from gate import ROOT
from peers.tls import DEADLINE

PROGRAM = ROOT / "tests/bench/scaling.py"
TEXT = (ROOT / "conf/SCALING.md").read_text()


def simulation():
    spec = importlib.util.spec_from_file_location("scaling", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_the_output_of_the_simulation():
    done = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True, timeout=10 * DEADLINE)
    assert done.returncode == 0, done.stderr
    table = re.search(r"^\| Users .*?\n\n", TEXT, re.M | re.S)[0].rstrip("\n")
    assert table == done.stdout.rstrip("\n")


def test_the_arithmetic_has_the_constants_of_the_simulation():
    s = simulation()
    for text in (f"{s.CALL_MS} ms", f"{s.PACKET_US} µs", f"{s.TUNNEL_KIB} KiB, {s.SOCKETS_KIB} KiB", f"{s.STORE_SCRIPTS} commands",
                 f"{s.STORE_US} µs", f"{s.STORE_BYTES} bytes", f"{s.PORTS:,}", f"{s.DESCRIPTORS:,}", f"{s.TRAFFIC_KBIT} kbit/s",
                 f"packets of {s.PACKET_BYTES} bytes", f"{s.CORES} cores", f"{s.MEMORY_GIB} GiB", f"({s.PATIENCE} s)"):
        assert text in TEXT, text
    unit = (ROOT / "conf/sstpgate.service").read_text()
    assert re.search(r"^LimitNOFILE=(\d+)$", unit, re.M)[1] == str(s.DESCRIPTORS)


def test_a_storm_without_a_queue_ends_when_the_clients_have_dialled():
    s = simulation()
    assert s.storm(1000, 1000, s.random.Random(1)) == (s.DIAL_WITHIN, s.DIAL_WITHIN, 0)


def test_a_storm_that_is_too_large_takes_as_long_as_its_calls():
    """Ten seconds of patience at 100 calls a second: of 10,000 clients, most dial more than once, and all come back."""
    s = simulation()
    nearly, everyone, given_up = s.storm(10000, 100, s.random.Random(1))
    assert everyone >= nearly >= 99 and given_up > 8000
