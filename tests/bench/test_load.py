"""The gate under the load generator."""

import json
import subprocess

import pytest

from bench import LOAD, ROOT, Lab

# proxy/net: STREAM_HIGH, one WORKER_WINDOW; then a partly filled block, an idle tunnel and OpenSSL's
# record buffers.
HELD = (128 + 256 + 16 + 34 + 33) * 1024


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    subprocess.run(["make", "--no-print-directory", "-s", str(LOAD.relative_to(ROOT))], cwd=ROOT,
                   check=True)
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab.peer("gate", "ec").start()
    lab.close()


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_each_octet_arrives(gate, direction):
    """Many tunnels, packets of several sizes, as fast as possible."""
    result = gate.load("flow", "--check", "--size", "imix", "--tunnels", 20, "--packets", 20000,
                       "--direction", direction)
    assert result["packets"] >= 20000


@pytest.mark.parametrize("direction", ["up", "down"])
def test_peer_that_does_not_read_is_held_within_a_bound(gate, direction):
    gate.stop()  # memory that another test has left would not be assigned to a tunnel
    gate.load("calls", "--packets", 20)
    before, stuck = gate.memory(), 40
    command = gate.load_command("flow", "--tunnels", 4, "--stalled", stuck, "--size", 512, "--packets",
                                4000, "--direction", direction, "--stay")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
        assert json.loads(load.stdout.readline()) == {"stuck": stuck}
        held = (gate.memory() - before) / stuck
        load.stdin.write(b"\n")
        load.stdin.flush()
        assert json.loads(load.stdout.readline())["packets"] >= 4000  # the others make progress
    # An idle tunnel takes 35 KiB. How much more depends on the order in which a busy machine runs the three programs.
    assert 40 * 1024 < held < HELD
