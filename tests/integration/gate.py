"""The gate as a process: started on port 0, awaited by its ready file, read by its log."""

import array
import contextlib
import ctypes
import fcntl
import functools
import json
import os
import re
import select
import signal
import socket
import subprocess
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from peers.tls import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("SSTPGATE", ROOT / "build/release/sstpgate")).resolve()

# A process that replaces another one is no child of it: the system makes it a child of this process.
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

# The value of tls-records in every configuration that has none of its own: the whole suite can run with OpenSSL's
# records. None: the default.
RECORDS = os.environ.get("SSTPGATE_TLS_RECORDS") or None

SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")
REFUSED = re.compile(r"the system call \S+ was refused")
FIELD = re.compile(r'([a-z0-9-]+)=("(?:[^"\\]|\\.)*"|\S*)')
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\S+) (\S+) ?(.*)")


@functools.cache
def sanitizers():
    """Returns the names of the sanitizers in the program: asan, tsan, ubsan."""
    return {name.decode() for name in re.findall(rb"__(asan|tsan|ubsan)_(?:init|handle)", BINARY.read_bytes())}


def wait_end(pid):
    """Waits for the end of a child. Returns whether it has ended; waitpid() then has its status."""
    handle = os.pidfd_open(pid)
    try:
        return bool(select.select([handle], [], [], DEADLINE)[0])
    finally:
        os.close(handle)


def eventually(found, what):
    """Returns the first true value of found(). For a state that no line of the log, no pipe and no end of a process
    reports: a file that another program writes, a counter, the answer of a command. The only place that polls."""
    deadline = time.monotonic() + DEADLINE
    while not (value := found()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.02)
    return value


@dataclass
class Event:
    """One line of the log."""
    line: str
    level: str
    name: str
    fields: dict

    def __getitem__(self, key):
        return self.fields[key]


def parse_line(line):
    """Returns the Event; None if the line is not one of the gate's log."""
    match = LINE.fullmatch(line)
    if not match:
        return None
    fields = {}
    for key, value in FIELD.findall(match[3]):
        if value.startswith('"'):
            value = json.loads(value)
        fields[key] = value
    return Event(line, match[1], match[2], fields)


class Log:
    """The lines of a gate: `lines`, which grows; `more` is notified of each change."""

    def __init__(self, more):
        self.more = more
        self._parsed, self._events = 0, []  # number of lines, and their events

    def text(self):
        return "\n".join(self.lines)

    def sound(self):
        """Checks that a sanitizer has reported nothing and the sandbox has refused nothing."""
        assert not SANITIZER.search(self.text()), self.text()
        assert not REFUSED.search(self.text()), self.text()

    def events(self, name=None):
        with self.more:
            for line in self.lines[self._parsed:]:
                self._parsed += 1
                event = parse_line(line)
                if event:
                    self._events.append(event)
            return [event for event in self._events if name in (None, event.name)]

    def wait(self, find, what, timeout=DEADLINE):
        """Returns the result of find() as soon as it is true; calls it for every new line."""
        deadline = time.monotonic() + timeout
        with self.more:
            while True:
                found = find()
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or self.silent():
                    raise AssertionError(f"no {what} in the log\n{self.text()}")
                self.more.wait(min(left, 1.0))

    def wait_log(self, pattern, timeout=DEADLINE):
        """Returns the first line with a match."""
        regex = re.compile(pattern)
        return self.wait(lambda: next((l for l in self.lines if regex.search(l)), None),
                         pattern, timeout)

    def wait_event(self, name, number=0, timeout=DEADLINE):
        def find():
            events = self.events(name)
            return events[number] if len(events) > number else None
        return self.wait(find, f"event {name} {number}", timeout)

    def wait_call(self, number=0, timeout=DEADLINE):
        """Returns the line `call` of that call."""
        return self.wait_event("call", number, timeout)


class Gate(Log):
    """A process, started by start(), which returns when all listeners are up. before: a command that executes
    the words after it; options: for Popen."""

    def __init__(self, config, before=(), **options):
        self.config = Path(config)
        self.before, self.options = before, options
        self.ready = self.config.with_suffix(".ready")
        self.process = None
        super().__init__(threading.Condition())
        self.lines = []
        self.addresses = {}
        self.expected_exit = 0
        self.pids = []  # of the processes that have replaced the first one

    # -- the process --

    def start(self):
        self.process = subprocess.Popen(
            [*self.before, BINARY, "-c", self.config, "--ready-file", self.ready],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            **self.options)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        deadline = time.monotonic() + DEADLINE
        with self.more:
            # The file appears at once, complete, because it is renamed. New lines of the log end the wait, too.
            while not self.ready.exists():
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.more.wait(0.2)
                    raise AssertionError(f"the gate did not start\n{self.text()}")
                self.more.wait(0.01)
        for line in self.ready.read_text().splitlines():
            name, _, address = line.partition(" ")
            host, _, port = address.rpartition(":")
            self.addresses.setdefault(name, []).append((host.strip("[]"), int(port)))
        self._read_all()
        return self

    def _read(self):
        out, rest, octets = self.process.stderr.fileno(), b"", True
        readable = select.poll()
        readable.register(out, select.POLLIN)
        while octets:
            readable.poll()
            with self.more:
                octets = os.read(out, 65536)
                *lines, rest = (rest + octets).split(b"\n")
                if not octets and rest:
                    lines.append(rest)
                self.lines += [line.decode("utf-8", "replace") for line in lines]
                self.more.notify_all()

    def _read_all(self):
        """Waits until all lines that the gate has written so far are in `lines`."""
        waiting = array.array("i", [0])
        with self.more:
            while fcntl.ioctl(self.process.stderr, termios.FIONREAD, waiting) == 0 and waiting[0] > 0:
                self.more.wait(0.01)

    def silent(self):
        """Returns whether there will be no more lines."""
        return self.process.poll() is not None and not self._reader.is_alive()

    def address(self, listener="front", number=0):
        return self.addresses[listener][number]

    def sanitized(self):
        """Returns whether the build has a sanitizer, which makes it some ten times slower."""
        return bool(sanitizers())

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def rss(self):
        """Returns the resident memory in bytes; 0 with a sanitizer, which keeps freed memory."""
        if self.sanitized():
            return 0
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def memory(self):
        """Returns all memory that the process may write to. The process is stopped meanwhile, because it would
        unmap memory between the reading of its map and of its memory. The reservations of a sanitizer are too
        large to read."""
        octets = []
        self.pause()
        with open(f"/proc/{self.process.pid}/mem", "rb", 0) as mem:
            for line in Path(f"/proc/{self.process.pid}/maps").read_text().splitlines():
                start, end = (int(x, 16) for x in line.split()[0].split("-"))
                if line.split()[1].startswith("rw") and end - start < 1 << 28:
                    mem.seek(start)
                    octets.append(mem.read(end - start))
                    assert len(octets[-1]) == end - start
        self.resume()
        return b"".join(octets)

    def signal(self, number):
        os.kill(self.pid, number)

    def pause(self):
        """Stops the process with a signal; returns when it has stopped."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self):
        self.signal(signal.SIGCONT)

    def wait_exit(self, timeout=DEADLINE):
        code = self.process.wait(timeout)
        self._reader.join(DEADLINE)
        return code

    def upgrade(self, timeout=DEADLINE):
        """Replaces the process; returns when the new one serves. Its process id is that of `signal` then."""
        number = len(self.upgrades())
        self.signal(signal.SIGUSR2)
        found = self.wait(lambda: self.upgrades()[number:], "end of an upgrade", timeout)
        self.pids.append(int(found[0][1]))
        return self

    def upgrades(self):
        return [match for event in self.events("upgrade")
                if (match := re.match(r"process (\d+) serves; process \d+ waits", event["msg"]))]

    @property
    def pid(self):
        return self.pids[-1] if self.pids else self.process.pid

    def end_upgraded(self):
        """Ends the newest process, which ends the older ones, and checks the exit code of each."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        for pid in self.pids:
            stopped = wait_end(pid)
            if not stopped:
                os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
            assert stopped, f"process {pid} did not stop\n{self.text()}"
            assert os.waitstatus_to_exitcode(status) == 0, f"process {pid}: {status}\n{self.text()}"

    def stop(self):
        """Checks at the end of each test that the gate stops on request, with exit code 0, and that a sanitizer
        reports nothing and that the sandbox has refused nothing. (It kills with SIGSYS what only attacks do.)"""
        if self.process is None:
            return
        try:
            if self.pids:
                self.end_upgraded()
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            code = self.wait_exit()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait_exit()
            raise AssertionError(f"the gate did not stop\n{self.text()}") from None
        self.sound()
        assert code == self.expected_exit, f"exit {code}\n{self.text()}"

    def reload(self):
        """Requests a reload. Returns its lines of the log; the last one is the verdict."""
        before = len(self.events("reload"))
        self.signal(signal.SIGHUP)
        return self.wait_reload(before, "HUP")

    def wait_reload(self, before=0, cause="", timeout=DEADLINE):
        """Waits for a reload that was not requested here. before: number of lines of earlier reloads."""
        def find():
            events = self.events("reload")[before:]
            ends = [n for n, event in enumerate(events)
                    if event["msg"].startswith(cause) and
                    event["msg"].endswith(("is in force", "stays in force"))]
            return events[:ends[0] + 1] if ends else None
        return self.wait(find, f"verdict of a reload ({cause})", timeout)


class Part(Log):
    """What one test sees of a gate that serves many tests, one after the other: a listener of its own, and the
    lines of the log since the test began. It has no methods that change or measure the process."""

    def __init__(self, gate, listener):
        super().__init__(gate.more)
        gate._read_all()
        self._gate, self._listener, self._first = gate, listener, len(gate.lines)
        self.config = gate.config

    @property
    def lines(self):
        return self._gate.lines[self._first:]

    def silent(self):
        return self._gate.silent()

    def address(self, *_):
        return self._gate.address(self._listener)

    def calls(self):
        """Returns the number of calls that have not ended."""
        assert not self.silent(), f"the gate has ended\n{self.text()}"
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(DEADLINE)
            admin.connect(str(self.config.with_suffix(".sock")))
            admin.sendall(b"status\n")
            with admin.makefile() as answer:
                return int(re.search(r"^calls: (\d+)$", answer.read(), re.M)[1])

    def stop(self):
        """Checks at the end of the test what Gate.stop() checks before the exit, and leaves no call to the next
        test."""
        eventually(lambda: self.calls() == 0, "a call did not end")
        self._gate._read_all()
        self.sound()


def run(*arguments, timeout=DEADLINE, **more):
    """Runs the program until it ends."""
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, **more)


def with_records(sections):
    """Returns the sections with RECORDS as the last key of [gate], if there is one: an included file has none."""
    keys = sections.get("gate", {"tls-records": None})
    pairs = list(keys.items() if isinstance(keys, dict) else keys)
    if RECORDS is None or "tls-records" in dict(pairs):
        return sections
    return {**sections, "gate": [*pairs, ("tls-records", RECORDS)]}


def write_config(path, sections):
    """Writes a configuration. sections: header to a dict or a list of pairs; a list as value repeats the key,
    None omits it."""
    lines = []
    for header, keys in with_records(sections).items():
        lines.append(f"[{header}]")
        for key, value in (keys.items() if isinstance(keys, dict) else keys):
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if one is not None:
                    lines.append(f"{key} = {one}")
        lines.append("")
    Path(path).write_text("\n".join(lines))


def with_hosts(path):
    """Returns a command for a gate that sees this file instead of /etc/hosts."""
    return ("unshare", "--mount", "sh", "-c", f'mount --bind {path} /etc/hosts && exec "$@"', "sh")
