"""See instructions.py."""

import subprocess

import pytest

import instructions
from bench import LOAD, ROOT

TOLERANCE = 0.05
# Small flows in which the work of a timer, once a second, is a large part: their numbers depend on the speed of the machine.
TIMED = {"packet up, 64 octets, alone": 0.3, "packet up, 1404 octets, alone": 0.1, "the same while PPP is watched": 0.15}


@pytest.fixture(scope="module")
def numbers():
    subprocess.run(["make", "--no-print-directory", "-s", str(LOAD.relative_to(ROOT))], cwd=ROOT,
                   check=True)
    return instructions.measure()


@pytest.mark.parametrize("name", instructions.COUNTED)
def test_instructions(numbers, name):
    known, taken = instructions.read()
    was, now = known[name], numbers[name]
    change = now / was - 1
    others = "" if taken == instructions.versions() else \
        f"\nthe libraries have other versions, too: {', '.join(sorted(set(instructions.versions()) - set(taken)))}"
    assert abs(change) <= TIMED.get(name, TOLERANCE), \
        (f"{name}: {now} instructions, {was} in {instructions.FILE.relative_to(ROOT)} ({change:+.1%}){others}\n"
         f"if this is intended, run tests/bench/instructions.py --renew and say why in the commit")


def test_stuck_peer_costs_the_others_nothing(numbers):
    alone = numbers["packet up, 1404 octets, of 32"]
    assert abs(numbers[instructions.STUCK] / alone - 1) < 0.03
