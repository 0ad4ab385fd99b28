#!/usr/bin/python3
"""Detects regressions: counts with callgrind the instructions that the gate needs for a packet and for a
call. test_instructions.py compares them with a file of known numbers: one file for each version of
OpenSSL, because most of the instructions are OpenSSL's. The numbers depend neither on the clock nor
on the load of the machine.

    tests/bench/instructions.py            prints the numbers
    tests/bench/instructions.py --renew    writes them to the file for this machine's OpenSSL

A commit that changes a number on purpose renews the files (tests/clean-machine provides both versions
of OpenSSL) and says why."""

import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "integration")]

from bench import HASH_HASH, LOAD, ROOT, free_port  # noqa: E402
from gate import Gate, write_config  # noqa: E402
from peers import pki  # noqa: E402

FILE = HERE / "instructions-openssl-{}.{}.txt".format(*ssl.OPENSSL_VERSION_INFO)

# Libraries must choose the same code on every processor: with SSE4 and AES, without AVX. libipsec-mb has
# no such setting: it chooses AVX2, which valgrind has wherever the processor has it, and nothing newer.
SAME_EVERYWHERE = {
    "OPENSSL_ia32cap": "0x02d82203078bfbff:0",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-ERMS,-FSRM,"
                      "-AVX_Fast_Unaligned_Load,-Prefer_No_VZEROUPPER",
}

# A short and a long run of each: the difference is the cost of the packets or calls and nothing else.
# In lockstep, so that each wake-up finds all packets that were sent together.
FLOW = ("flow", "--tunnels", 1, "--lockstep")
STUCK = "the same beside one that is stuck"
FULL = "the same in full records"

COUNTED = {
    "packet up, 64 octets, alone": (*FLOW, "--size", 64, "--burst", 1),
    "packet up, 1404 octets, alone": (*FLOW, "--size", 1404, "--burst", 1),
    "packet up, 64 octets, of 32": (*FLOW, "--size", 64, "--burst", 32),
    "packet up, 1404 octets, of 32": (*FLOW, "--size", 1404, "--burst", 32),
    STUCK: (*FLOW, "--size", 1404, "--burst", 32, "--stalled", 1, "--stay"),
    "packet down, 64 octets, of 32": (*FLOW, "--size", 64, "--direction", "down", "--burst", 32),
    "packet down, 1404 octets, of 32": (*FLOW, "--size", 1404, "--direction", "down", "--burst", 32),
    FULL: (*FLOW, "--size", 1404, "--direction", "down", "--burst", 32),
    "the same while PPP is watched": (*FLOW, "--size", 1404, "--direction", "down", "--burst", 32,
                                      "--negotiate"),
    "call, PAP": ("calls", "--concurrent", 1, "--pap"),
    "call, MS-CHAPv2": ("calls", "--concurrent", 1),
}
IDLE = 100000  # instructions between two dumps; a packet to the stuck tunnel and its timers need fewer
LENGTHS = {"flow": (320, 960), "calls": (4, 12)}


def versions():
    """Returns the versions of the installed packages, some of which have other names in Debian 13."""
    packages = ["libssl3", "libssl3t64", "libuv1", "libuv1t64", "libc6", "libipsec-mb1", "libipsec-mb2", "valgrind"]
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *packages],
                          capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if not line.endswith(" ")]


class Counted:
    """A gate under callgrind, between the client side and the server side of the load generator."""

    def __init__(self, folder):
        self.folder, self.dumps = Path(folder), 0
        front, self.cert = pki.make(folder, "front"), pki.make(folder, "back")
        users = self.folder / "users"
        users.touch(mode=0o600)
        users.write_text(f"bench:{HASH_HASH}\n")
        self.back = free_port()
        config = self.folder / "gate.conf"
        write_config(config, {
            # valgrind makes memory writable and executable, which the sandbox refuses
            "gate": {"workers": 1, "log-level": "error", "sandbox": "no"},
            "listener front": {"listen": "127.0.0.1:0", "certificate": front.both,
                               "default": "allow"},
            "listener full": {"listen": "127.0.0.1:0", "certificate": front.both,
                              "default": "allow", "records": "full"},
            "backend back": {"server": f"127.0.0.1:{self.back}", "verify": "pin",
                             "pin-sha256": self.cert.sha256, "users-file": "users"}})
        self.out = self.folder / "callgrind"
        valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={self.out}"]
        self.gate = Gate(config, before=valgrind, env={**os.environ, **SAME_EVERYWHERE}).start()

    def command(self, options, length, listener="front"):
        return [LOAD, options[0], "--to", f"127.0.0.1:{self.gate.address(listener)[1]}",
                "--port", str(self.back), "--certificate", self.cert.both, "--strict",
                *map(str, options[1:]), "--packets", str(length)]

    def count(self, options, length, listener="front"):
        """Returns the instructions of one run of the generator."""
        self.dump()
        done = subprocess.run(self.command(options, length, listener), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return self.dump()

    def count_stuck(self, options, length):
        """Returns the instructions from a tunnel being stuck until the packets of another have arrived."""
        with subprocess.Popen(self.command(options, length), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as load:
            assert load.stdout.readline()
            while self.dump() > IDLE:  # the generator does not see whether the gate has nothing left to do
                pass
            load.stdin.write(b"\n")
            load.stdin.flush()
            assert load.stdout.readline()
            return self.dump()

    def count_full(self, options, length):
        return self.count(options, length, "full")

    def dump(self):
        """Returns the instructions since the last dump."""
        subprocess.run(["vgdb", f"--pid={self.gate.process.pid}", "dump"], check=True,
                       capture_output=True, timeout=30)
        self.dumps += 1
        text = Path(f"{self.out}.{self.dumps}").read_text()
        return int(re.search(r"^(?:summary|totals): (\d+)", text, re.M)[1])

    def stop(self):
        self.gate.signal(signal.SIGTERM)
        self.gate.process.wait(30)


def measure():
    with tempfile.TemporaryDirectory(prefix="sg-count-") as folder:
        counted = Counted(folder)
        try:
            numbers = {}
            ways = {STUCK: counted.count_stuck, FULL: counted.count_full}
            for name, options in COUNTED.items():
                count = ways.get(name, counted.count)
                first, second = LENGTHS[options[0]]
                short, long = (count(options, n) for n in (first, second))
                numbers[name] = round((long - short) / (second - first))
            return numbers
        finally:
            counted.stop()


def read():
    """Returns the numbers in the file, and the versions with which they were counted."""
    numbers, taken = {}, []
    for line in FILE.read_text().splitlines():
        if line.startswith("# with "):
            taken.append(line.removeprefix("# with "))
        elif line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            numbers[name.rstrip()] = int(value)
    return numbers, taken


def write(numbers):
    lines = ["# Instructions of the gate, by callgrind. instructions.py --renew writes this file,",
             "# test_instructions.py compares."]
    lines += [f"# with {version}" for version in versions()]
    lines += [f"{name:34} {value:9}" for name, value in numbers.items()]
    FILE.write_text("\n".join(lines) + "\n")


def main():
    numbers = measure()
    for name, value in numbers.items():
        print(f"{name:34} {value:9}")
    if sys.argv[1:] == ["--renew"]:
        write(numbers)
        print(f"written: {FILE}")


if __name__ == "__main__":
    main()
