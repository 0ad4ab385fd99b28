"""Another program or a hostile program in the place of the store: the gate logs a clear line, behaves as configured,
and keeps its bounds (conf/README.md, several gates)."""

import datetime
import json
import re
import socket
import ssl
from pathlib import Path

import pytest

from gate import eventually, parse_line, run
from peers.store import Door, encode, forward
from peers.tls import DEADLINE
from test_limits import ctl, fails
from test_status import get
from test_shared import down, plausible, redis, single, stores, up  # noqa: F401

CLOSED = "closed the connection without an answer: it may need TLS|it is TLS"


def tls(place):
    """Returns a server that accepts TLS only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.back_ca.cert, place.back_ca.key)
    return lambda sock: context.wrap_socket(sock, server_side=True).close()


def memcached(sock):
    """Answers as memcached does, which knows none of the commands."""
    with sock.makefile("rb") as stream:
        for _ in stream:
            sock.sendall(b"ERROR\r\n")


def http(sock):
    """Answers as nginx does."""
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def pour(first, more):
    """Returns a server that sends data without an end."""
    def serve(sock):
        sock.sendall(first)
        while True:
            sock.sendall(more)
    return serve


STRANGERS = {
    "tls": (tls, CLOSED),
    "memcached": (lambda place: memcached, "not RESP: .*'ERROR'"),
    "http": (lambda place: http, "not RESP: .*'HTTP/1.1 400 Bad Request'"),
    "a line without an end": (lambda place: pour(b"+", b"x" * 65536), "too large"),
    "garbage without an end": (lambda place: pour(b"", b"x" * 65536), "not RESP: .*'x{40}'"),
    "zeros without an end": (lambda place: pour(b"", bytes(65536)), r"not RESP: .*'\?{40}'"),
}


@pytest.fixture
def door():
    doors = []

    def open_door(serve):
        doors.append(Door(serve))
        return doors[-1]

    yield open_door
    for each in doors:
        each.close()


def downs(gate):
    return [e["cause"] for e in gate.events("shared") if e.fields.get("state") == "down"]


def cpu(gate):
    """Returns the CPU time of the process in seconds."""
    words = Path(f"/proc/{gate.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100


def check(bench, redis, stranger, cause):
    """Starts gates while another program is in the place of the store, and then puts the store there."""
    gates = [single(bench, stranger, max_tunnels_per_user=1, shared_fail=fail) for fail in ("local", "refuse")]
    for gate in gates:
        assert re.search(cause, down(gate)), gate.text()
    memory = [gate.rss() for gate in gates]
    stranger.wait(8)                                               # four connections of each gate, with pauses between them
    call = bench.client(gates[0]).establish().ping()
    fails(bench.client(gates[1]))
    assert gates[1].wait_call()["reason"] == "user-limit"
    for gate, before in zip(gates, memory):
        assert gate.rss() <= before + (8 << 20) and (gate.sanitized() or cpu(gate) < 2)
        assert len(downs(gate)) == 1, downs(gate)
    stranger.serve = forward(redis.path)
    for gate in gates:
        up(gate)
    call.ping()
    fails(bench.client(gates[1]))                                  # the store has the count of the other gate
    call.disconnect()


@pytest.mark.parametrize("kind", STRANGERS)
def test_another_program_in_the_place_of_the_store(bench, place, redis, door, kind):
    serve, cause = STRANGERS[kind]
    check(bench, redis, door(serve(place)), cause)


def test_a_gate_in_the_place_of_the_store(bench, redis, door):
    other = bench.gate(bench.backend())
    check(bench, redis, door(forward(other.address())), CLOSED)


def when(event):
    """Returns the time of a line of the log in seconds."""
    return datetime.datetime.fromisoformat(event.line.split()[0].replace("Z", "+00:00")).timestamp()


def test_a_store_that_fails_after_each_login_gets_few_lines(bench, stores):
    """The first answer on each connection is right, and garbage follows it."""
    def answer(words):
        value = plausible(words)
        return encode(value) + b"garbage" if words[5:6] and words[5].startswith(b"name=") else value

    gate = single(bench, stores(answer))
    gate.wait(lambda: [e for e in gate.events("shared") if "lines-left-out" in e.fields], "a line about others")
    bench.client(gate).establish().ping().disconnect()
    lines = [e for e in gate.events("shared") if e.fields["state"] == "down"]
    assert all(when(later) - when(line) > 0.99 for line, later in zip(lines, lines[6:])), gate.text()
    states = [e["state"] for e in gate.events("shared")]
    assert all(state != following for state, following in zip(states, states[1:])), gate.text()


# -- text of a hostile store --

EVIL = b'x\x1b[2J\r\x7f\nerror\xe2\x80\xae\xff"<b>'
READ = EVIL.decode(errors="surrogateescape")          # in the log
SHOWN = EVIL.decode(errors="surrogateescape").replace("\udcff", "\uefff")  # in JSON


# The ends of lines that an error cannot contain: hiredis 1 rejects LF, too.
ENDS = "\r\n" if list(Path("/usr/lib").glob("*/libhiredis.so.1*")) else "\r"


def without_ends(text):
    return text.translate({ord(end): None for end in ENDS})


def evil(kind):
    """Returns an error of the store, which may contain any byte that its line of RESP permits."""
    return b"-" + kind + b" " + without_ends(READ).encode(errors="surrogateescape") + b"\r\n"


class Hostile:
    """Answers as a store with hostile texts. fails: the answers by kind of command, instead of the usual ones."""

    def __init__(self):
        self.fails, self.beats = {}, 0

    def changes(self):
        """Returns bans, an order and a lift by a gate with a hostile name, for one answer."""
        rows = [(b"u:" + EVIL, b"manual"), (b"n:198.51.100.0/24", b"manual"), (b"e:user=bob" + EVIL[1:2], b"end"),
                (b"n:" + EVIL, b"manual"), (b"n:198.51.100.0/24", b"lift")]
        return [field for n, (subject, kind) in enumerate(rows, 1)
                for field in (b"%d" % n, subject, kind, EVIL, b"60000", b"%d" % n)]

    def __call__(self, words):
        if words[0] in self.fails:
            return self.fails[words[0]]
        if words[5:6] and words[5].startswith(b"name="):
            info = b"name=%b version=%b state=%b tunnels=-1 started=x secret=%b" % (4 * (EVIL.replace(b" ", b""),))
            strangers = [b"%b%d-%d" % (EVIL * 8, self.beats, n) for n in range(60)]
            self.beats += 1
            gates = [words[4], words[5], *(field for name in strangers for field in (name, info))]
            return self.fails.get("beat") or [0, b"epoch", gates, self.changes(), 1]
        if words[0] in (b"EVAL", b"EVALSHA") and len(words) == 12:
            return self.fails.get("enter") or [0]
        return plausible(words)


def told(gate, *command):
    """Returns the unchanged answer of the admin socket, because `ctl` escapes its output."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(str(gate.config.parent / re.search(r"admin = unix:(\S+)", gate.config.read_text())[1]))
        sock.sendall(" ".join(command).encode() + b"\n")
        return b"".join(iter(lambda: sock.recv(65536), b""))


def clean(octets):
    """Checks that no control character is in the lines, nor one that changes the order of the text."""
    text = octets.decode()                                        # fails if not UTF-8
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text), text
    return text


@pytest.fixture
def hostile(bench, place, stores):
    secret = place.folder / "hostile.secret"
    secret.touch(mode=0o600)
    secret.write_text("of these gates alone" * 2 + "\n")
    answers = Hostile()
    gate = single(bench, stores(answers), shared_secret_file=secret.name, status="127.0.0.1:0", max_tunnels_per_user=9,
                  ban_file="hostile.bans", shared_timeout="2s")
    return answers, up(gate)


def lines_are_whole(gate):
    for line in gate.lines:
        assert parse_line(line), line
        clean(line.encode())


def test_hostile_texts_of_gates_and_bans(bench, hostile, place):
    answers, gate = hostile
    user, net = gate.wait(lambda: gate.events("ban")[:2] if len(gate.events("ban")) > 1 else None, "bans")
    assert (user["user"], user["gate"], net["gate"]) == (READ, READ, READ)
    assert gate.wait_event("unban")["gate"] == READ
    assert gate.wait_event("end")["gate"] == READ
    eventually(lambda: " up, 61 gates" in ctl(gate, "status"), "the gates")
    rows = json.loads(ctl(gate, "gates", "--json"))["items"]
    assert len(rows) == 61 and rows[1]["gate"].startswith(SHOWN) and rows[1]["name"] == SHOWN
    assert (rows[1]["tunnels"], rows[1]["started"]) == (None, None)
    assert len(clean(told(gate, "gates")).splitlines()) == 1 + 61 + 1  # the names, and `ok`
    listed = clean(told(gate, "bans"))
    assert len(listed.splitlines()) == 2
    row, = json.loads(get(gate, "/api/v1/bans").text)["items"]
    assert SHOWN in row.values()
    for view in ("gates", "bans", "status"):
        clean(get(gate, f"/api/v1/{view}").text.encode())
    clean(get(gate, "/metrics").text.encode())
    bench.client(gate).establish().ping().disconnect()
    gate.stop()
    assert len(clean((place.folder / "hostile.bans").read_bytes()).splitlines()) == 2
    lines_are_whole(gate)


def test_new_names_of_gates_in_each_answer_are_no_flood_of_lines(hostile):
    """Each answer lists sixty new gates with another secret and names of 200 bytes."""
    answers, gate = hostile
    line = gate.wait(lambda: [e for e in gate.events("shared") if "lines-left-out" in e.fields], "a line about others")[0]
    assert "another shared-secret-file" in line["error"] and line["gate"].startswith(READ)
    lines = [e for e in gate.events("shared") if "gate" in e.fields]
    assert all(when(later) - when(line) > 0.99 for line, later in zip(lines, lines[16:])), gate.text()


@pytest.mark.parametrize("command,kind,cause", [
    (b"SELECT", b"ERR", "the store refuses the gate: ERR x"), ("beat", b"OOM", "the store cannot be used: OOM x")])
def test_hostile_errors_of_the_store(bench, hostile, stores, command, kind, cause):
    answers, gate = hostile
    answers.fails[command] = evil(kind)
    for sock in stores.made[-1].sockets if command == b"SELECT" else ():
        sock.shutdown(socket.SHUT_RDWR)
    find = lambda: [e for e in gate.events("shared") if e.fields.get("cause", "").startswith(cause)]
    line = gate.wait(find, cause)[0]
    assert line["cause"].endswith(without_ends(READ)[1:])
    problem = clean(told(gate, "gates"))
    assert problem.startswith("error: the store is down: ") and len(problem.splitlines()) == 1, problem
    status = clean(told(gate, "status"))
    assert "\nerror" not in status and "decides alone: " in status
    assert json.loads(get(gate, "/api/v1/status").text)["shared"]["cause"].endswith(without_ends(SHOWN)[1:])
    assert run("ctl", "-c", gate.config, "tunnels", "--all").returncode == 1
    clean(told(gate, "tunnels", "--all"))
    bench.client(gate).establish().ping().disconnect()
    lines_are_whole(gate)


def test_a_hostile_error_of_one_command(bench, hostile):
    answers, gate = hostile
    answers.fails["enter"] = evil(b"WRONGTYPE")
    bench.client(gate).establish().ping().disconnect()
    line = gate.wait(lambda: [e for e in gate.events("shared") if "WRONGTYPE" in e.fields.get("error", "")], "error")[0]
    assert line["error"] == "WRONGTYPE " + without_ends(READ)
    lines_are_whole(gate)
