"""The tunnels of all gates that share a store: in `ctl`, in the API, and the end of one at another gate."""

import contextlib
import json
import re
import socket
import subprocess

import pytest

from conftest import USERS
from gate import BINARY, eventually, run
from peers.tls import DEADLINE
from test_limits import ctl
from test_shared import cluster, down, redis, single, stores, up  # noqa: F401
from test_status import TOKEN, dial, get, post

BOTH = {"alice": USERS["alice"], "bob": USERS["bob"]}
NO_STORE = "no store: the configuration has no `shared`"


def asked(gate, *words):
    """Returns (rows, missing gates) of `ctl tunnels --all`, once the gates know each other."""
    done = run("ctl", "-c", gate.config, "tunnels", "--all", *words, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode == 0) == (answer["missing"] == []), done
    return answer


def known(gates):
    """Waits until each gate knows all."""
    for gate in gates:
        eventually(lambda: f" up, {len(gates)} gates" in ctl(gate, "status"), lambda: ctl(gate, "status"))
    return gates


def process(gate):
    """The name of the gate's process in the store."""
    return next(row["gate"] for row in json.loads(ctl(gate, "gates", "--json"))["items"] if row["mine"])


def admin_path(gate):
    return gate.config.parent / re.search("^admin = unix:(.*)$", gate.config.read_text(), re.M)[1]


def pairs(answer):
    return [(row["gate"], row["user"]) for row in answer["items"]]


@pytest.fixture
def three(bench, redis):
    """Three gates: alice at each, bob at the last one, in this order."""
    server = bench.backend(users=BOTH)
    gates = known(cluster(bench, redis, server=server, status="127.0.0.1:0"))
    calls = [bench.client(gate, bind="127.0.0.5").establish().ping() for gate in gates]
    calls.append(bench.client(gates[2], user="bob", password=USERS["bob"], bind="127.0.0.6").establish().ping())
    return gates, calls


def test_all_tunnels_are_listed_at_each_gate(three):
    gates, _ = three
    names = [process(gate) for gate in gates]
    expected = [(names[0], "alice"), (names[1], "alice"), (names[2], "alice"), (names[2], "bob")]
    own = {name: {row["id"]: row for row in json.loads(ctl(gate, "tunnels", "--json"))["items"]}
           for name, gate in zip(names, gates)}
    for gate in gates:
        answer = asked(gate)
        assert pairs(answer) == expected                          # oldest first
        assert (answer["total"], answer["offset"], answer["limit"], answer["missing"]) == (4, 0, 10000, [])
        for row in answer["items"]:
            there = own[row.pop("gate")][row["id"]]
            assert set(row) == set(there)
            for key in ("user", "client", "listener", "backend", "server", "assigned", "method", "tls", "cipher",
                        "binding", "hash", "key", "up_packets", "down_packets", "up_bytes", "host", "sni"):
                assert row[key] == there[key], key
            assert 0 <= row["duration"] < 1000 and abs(row["duration"] - there["duration"]) < 100
            assert row["start"][:16] in (there["start"][:16], row["start"][:16])


def test_filters_and_pages(three):
    gates, _ = three
    name = process(gates[2])
    assert pairs(asked(gates[0], "user", "bob")) == [(name, "bob")]
    assert pairs(asked(gates[1], "address", "127.0.0.6/32")) == [(name, "bob")]
    assert asked(gates[0], "address", "127.0.0.5/32")["total"] == 3
    assert asked(gates[0], "listener", "other")["items"] == []
    assert asked(gates[0], "listener", "front")["total"] == 4
    identity = asked(gates[0], "user", "bob")["items"][0]["id"]
    assert (name, "bob") in pairs(asked(gates[0], "id", identity))
    page = asked(gates[0], "limit", "2", "offset", "1")
    assert (page["total"], page["offset"], page["limit"]) == (4, 1, 2)
    assert pairs(page) == pairs(asked(gates[1]))[1:3]
    for words, text in ((("limit", "0"), "limit is a number"), (("offset", "10001"), "with all gates, offset is"),
                        (("user",), "a filter is two words"), (("gates", "some"), "gates is `all`")):
        done = run("ctl", "-c", gates[0].config, "tunnels", "--all", *words)
        assert done.returncode == 1 and text in done.stderr and done.stdout == ""
    done = run("ctl", "-c", gates[0].config, "failures", "--all")
    assert done.returncode == 1 and "only `tunnels` is a view of all gates" in done.stderr


def test_the_table_and_the_watch(three):
    gates, _ = three
    lines = ctl(gates[0], "tunnels", "--all").splitlines()
    assert lines[0].split()[:3] == ["gate", "id", "user"] and len(lines) == 5
    assert ctl(gates[0], "tunnels").split()[0] == "id"            # as before
    assert len(ctl(gates[0], "tunnels").splitlines()) == 2


def test_the_api_has_all_gates(three):
    gates, _ = three
    names = [process(gate) for gate in gates]
    answer = json.loads(get(gates[1], "/api/v1/tunnels?gates=all&user=alice&limit=2").text)
    assert pairs(answer) == [(names[0], "alice"), (names[1], "alice")]
    assert (answer["total"], answer["missing"]) == (3, [])
    gates_list = json.loads(get(gates[1], "/api/v1/gates").text)["items"]
    assert sorted(row["name"] for row in gates_list) == ["gate0", "gate1", "gate2"]
    for path, text in (("tunnels?gates=some", "gates is `all`"), ("bans?gates=all", "only `tunnels`")):
        refused = get(gates[1], f"/api/v1/{path}")
        assert refused.status == 400 and text in json.loads(refused.text)["error"]


def test_a_gate_that_does_not_answer_is_named(three):
    gates, _ = three
    silent = process(gates[2])
    gates[2].pause()
    try:
        done = run("ctl", "-c", gates[0].config, "tunnels", "--all")
        assert done.returncode == 1 and f"tunnels are missing: {silent}: no answer" in done.stderr
        assert len(done.stdout.splitlines()) == 3                 # the names, and two rows
        answer = json.loads(get(gates[1], "/api/v1/tunnels?gates=all").text)
        assert answer["missing"] == [{"gate": silent, "cause": "no answer"}] and answer["total"] == 2
        done = run("ctl", "-c", gates[0].config, "end", f"{silent}/9-9999")
        assert done.returncode == 1 and "does not answer: whether the tunnel ends is unknown" in done.stderr
    finally:
        gates[2].resume()
    eventually(lambda: asked(gates[0])["total"] == 4, "the gate answers again")


def test_a_client_that_does_not_wait(three):
    gates, calls = three
    gates[2].pause()
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(admin_path(gates[0])))
            client.sendall(b"tunnels --all\n")
        with contextlib.suppress(OSError):
            dial(gates[0]).request("GET", "/api/v1/tunnels?gates=all")
        assert ctl(gates[0], "status").startswith("version: ")    # the main thread does not wait
        assert asked(gates[0])["total"] == 2
    finally:
        gates[2].resume()
    calls[0].ping()


def test_a_gate_ends_while_it_asks(three, redis):
    gates, _ = three
    gates[2].pause()
    try:
        waiting = subprocess.Popen([BINARY, "ctl", "-c", gates[0].config, "tunnels", "--all"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        eventually(lambda: "q:" in redis("ZRANGE", "sstpgate:b:l", 0, -1), "the question")
        ctl(gates[0], "stop")
        ctl(gates[0], "stop")
        assert gates[0].wait_exit() == 0
        waiting.communicate(timeout=DEADLINE)
    finally:
        gates[2].resume()


def test_the_watch_goes_on_when_a_gate_is_silent(three):
    gates, _ = three
    gates[2].pause()
    try:
        watch = subprocess.Popen([BINARY, "ctl", "-c", gates[0].config, "tunnels", "--all", "--json", "--watch", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(2):
            assert [item["cause"] for item in json.loads(watch.stdout.readline())["missing"]] == ["no answer"]
    finally:
        gates[2].resume()
    while json.loads(watch.stdout.readline())["total"] != 4:
        pass
    watch.terminate()
    assert watch.wait(DEADLINE) == 0
    watch.stdout.close()


def test_without_the_store_the_local_tunnels_are_listed(three, redis):
    gates, _ = three
    redis.kill()
    for gate in gates:
        down(gate)
    for gate, count in zip(gates, (1, 1, 2)):
        done = run("ctl", "-c", gate.config, "tunnels", "--all")
        assert done.returncode == 1 and "these are the tunnels of this gate only: " in done.stderr
        assert len(done.stdout.splitlines()) == 1 + count
    answer = json.loads(get(gates[0], "/api/v1/tunnels?gates=all").text)
    assert answer["missing"][0]["gate"] is None and answer["missing"][0]["cause"] and answer["total"] == 1
    done = run("ctl", "-c", gates[0].config, "end", "gate1/0-1")
    assert done.returncode == 1 and "the store is down" in done.stderr


def test_a_gate_alone_lists_its_own(bench):
    gate = bench.gate(bench.backend(), gate={"admin": f"unix:shared-{bench.count}.sock", "status": "127.0.0.1:0"})
    bench.client(gate).establish().ping()
    done = run("ctl", "-c", gate.config, "tunnels", "--all")
    assert done.returncode == 1 and NO_STORE in done.stderr and len(done.stdout.splitlines()) == 2
    assert json.loads(get(gate, "/api/v1/tunnels?gates=all").text)["missing"] == [{"gate": None, "cause": NO_STORE}]
    assert json.loads(get(gate, "/api/v1/gates").text)["items"] == []
    done = run("ctl", "-c", gate.config, "end", "other/0-1")
    assert done.returncode == 1 and NO_STORE in done.stderr


def test_many_tunnels_come_as_pages(bench, redis):
    gates = known(cluster(bench, redis, 2))
    calls = [bench.client(gates[1]).establish() for _ in range(250)]
    redis("SCRIPT", "FLUSH")                                      # each script is sent again
    answer = asked(gates[0])
    key, = redis("KEYS", "sstpgate:v:*").split()
    assert int(redis("LLEN", key)) >= 4                           # two pages, with their gate
    numbers = [int(row["id"].split("-")[1]) for row in answer["items"]]
    assert numbers == sorted(numbers) and len(set(numbers)) == len(calls) == answer["total"]
    page = asked(gates[0], "limit", "3", "offset", "248")
    assert page["total"] == 250 and [row["id"] for row in page["items"]] == [f"0-{n}" for n in numbers[248:]]
    eventually(lambda: redis("KEYS", "sstpgate:v:*") == "", lambda: redis("KEYS", "*"))


# -- the end of a tunnel at another gate --

def test_a_tunnel_at_another_gate_is_ended_by_its_id(three):
    gates, calls = three
    bob = asked(gates[0], "user", "bob")["items"][0]
    assert ctl(gates[0], "end", f"{bob['gate']}/{bob['id']}") == "1 ended at another gate\n"
    calls[3].wait_end()
    call = gates[2].wait_call()
    assert (call["reason"], call["detail"], call["user"]) == ("ended-by-admin", "end", "bob")
    there, here = gates[2].wait_event("end"), gates[0].wait_event("end")
    assert (there["by"], there["gate"], there["id"], there["tunnels"]) == ("shared", process(gates[0]), bob["id"], "1")
    assert (here["by"], here["gate"], here["id"], here["tunnels"]) == ("admin-socket", bob["gate"], bob["id"], "1")
    done = run("ctl", "-c", gates[0].config, "end", f"{bob['gate']}/{bob['id']}")
    assert done.returncode == 1 and "no tunnel of that gate matches" in done.stderr
    for call in calls[:3]:
        call.ping()
    first = asked(gates[2], "user", "alice")["items"][0]          # by the name of the configuration
    assert ctl(gates[2], "end", f"gate0/{first['id']}") == "1 ended at another gate\n"
    calls[0].wait_end()
    own = json.loads(ctl(gates[1], "tunnels", "--json"))["items"][0]
    assert ctl(gates[1], "end", f"gate1/{own['id']}") == "1 ended\n"
    calls[1].wait_end()
    for words, text in (("gate9/0-1", "no such gate"), ("gate0/", "GATE/ID"), ("gate0/9-99999", "no tunnel of that")):
        done = run("ctl", "-c", gates[2].config, "end", words)
        assert done.returncode == 1 and text in done.stderr, done
    done = run("ctl", "-c", gates[2].config, "end", "--all", "user", "alice")
    assert done.returncode == 1 and "for all gates already" in done.stderr
    calls[2].ping()


def test_two_processes_of_one_name(bench, redis):
    gates = known(cluster(bench, redis, 2, shared_name="same"))
    call = bench.client(gates[1]).establish().ping()
    row, = asked(gates[0])["items"]
    done = run("ctl", "-c", gates[0].config, "end", f"same/{row['id']}")
    assert done.returncode == 1 and "several processes have this name" in done.stderr
    call.ping()
    assert ctl(gates[0], "end", f"{row['gate']}/{row['id']}") == "1 ended at another gate\n"
    call.wait_end()


def test_the_api_ends_a_tunnel_of_another_gate(bench, redis):
    token = bench.place.folder / "status-token"
    token.touch(mode=0o600)
    token.write_text(TOKEN + "\n")
    gates = known(cluster(bench, redis, 2, **{"status": "127.0.0.1:0", "status-token-file": token.name}))
    call = bench.client(gates[1]).establish().ping()
    row, = json.loads(get(gates[0], "/api/v1/tunnels?gates=all").text)["items"]
    done = post(gates[0], "/api/v1/end", f"id={row['gate']}/{row['id']}", {"Authorization": f"Bearer {TOKEN}"})
    assert done.status == 200 and json.loads(done.text) == {"ok": True, "text": "1 ended at another gate"}
    call.wait_end()
    line = gates[0].wait_event("status")
    assert (line["action"], line["id"]) == ("end", f"{row['gate']}/{row['id']}")
    done = post(gates[0], "/api/v1/end", f"id={row['gate']}/{row['id']}", {"Authorization": f"Bearer {TOKEN}"})
    assert done.status == 409 and json.loads(done.text)["ok"] is False


# -- a store that lies --

class Liar:
    """Answers as a store in which one other gate lives, whose answer to a question is `items`."""

    def __init__(self, items, other="liar.1"):
        self.items, self.other, self.mine = items, other, None

    def __call__(self, words):
        if words[0] == b"SCRIPT":
            kinds = {b"zremrangebyscore": b"b", b"lrange": b"l"}
            text = words[2].lower()
            kind = next((value for key, value in kinds.items() if key in text), b"a")
            return b"$40\r\n" + kind * 40 + b"\r\n"
        if words[0] in (b"EVAL", b"EVALSHA"):
            self.mine = words[4]
            if words[5].startswith(b"name="):
                return [1, "epoch", [self.mine, words[5], self.other, "name=liar tunnels=3 state=serving"], [], 1]
            if words[1] == b"l" * 40:
                first, last = int(words[6]), int(words[7])
                return self.items[first:last + 1] if isinstance(self.items, list) else self.items
            return [0]
        return b"+OK\r\n"


def lie(bench, stores, items, other="liar.1"):
    gate = up(single(bench, stores(Liar(items, other)), status="127.0.0.1:0"))
    eventually(lambda: " up, 2 gates" in ctl(gate, "status"), lambda: ctl(gate, "status"))
    bench.client(gate).establish().ping()
    return gate


GOOD = "1:1,1:1,3:0-7,"
DAMAGED = "tunnels are missing: liar.1: its answer is damaged"


@pytest.mark.parametrize("items,text", [
    (["liar.1", "." + GOOD[:-1]], DAMAGED),
    (["liar.1", ".{\"items\": []}"], DAMAGED),
    (["liar.1", "x" + GOOD], DAMAGED),
    (["liar.1", ""], DAMAGED),
    (["liar.1", b"." + GOOD.encode() + b"\0"], DAMAGED),
    (["liar.1", "." + "9" * 200000], DAMAGED),
    (["liar.1", ".1:0,2:64," + "0:," * 63], DAMAGED),
    (["liar.1", ".2:50,1:1,3:0-7,"], "it has too many tunnels"),
    (["liar.1", "+" + GOOD], "liar.1: its answer is incomplete"),
    (["other", "." + GOOD], "liar.1: no answer"),
    (["liar.1"], "liar.1: no answer"),
    (b"-WRONGTYPE Operation against a key\r\n", "liar.1: no answer"),
    (b":7\r\n", "liar.1: no answer"),
    ([["liar.1", "." + GOOD]], "liar.1: no answer"),
])
def test_garbage_is_reported(bench, stores, items, text):
    gate = lie(bench, stores, items)
    done = run("ctl", "-c", gate.config, "tunnels", "--all")
    assert done.returncode == 1 and text in done.stderr, done
    assert "alice" in done.stdout                                 # the tunnel of this gate


def test_pages_of_another_version(bench, stores):
    """More fields than this version knows, in three pages of 100 rows; the next page comes with the next request."""
    def page(first, flag):
        rows = b"".join(field(f"9-{i}") + field("carol") + 23 * b"0:," + field("new") for i in range(first, first + 100))
        return flag + field("300") + field("26") + rows

    items = [item for i, flag in ((0, b"+"), (100, b"+"), (200, b".")) for item in ("liar.1", page(i, flag))]
    gate = lie(bench, stores, [*(["nobody", ".1:0,1:1,"] * 7), *items])
    answer = json.loads(get(gate, "/api/v1/tunnels?gates=all&limit=1000").text)
    assert (answer["total"], answer["missing"]) == (301, [])
    assert [row["id"] for row in answer["items"] if row["user"] == "carol"] == [f"9-{i}" for i in range(300)]
    row = answer["items"][-1]
    assert (row["gate"], row["duration"], row["up_bytes"], row["sni"]) == ("liar.1", None, None, None)


def test_too_much_is_bounded(bench, stores):
    row = "0:," * 1
    page = "1:9,1:1," + row * 25000                               # 75 kB, 25000 rows
    gate = lie(bench, stores, ["liar.1", "+" + page] * 1000)
    done = run("ctl", "-c", gate.config, "tunnels", "--all", "limit", "1")
    assert done.returncode == 1 and "liar.1" in done.stderr
    assert int(next(line for line in open(f"/proc/{gate.process.pid}/status") if line.startswith("VmHWM")).split()[1]) \
        < 400000 or "asan" in str(gate.program)


def field(text):
    octets = text.encode(errors="surrogateescape")
    return b"%d:%b," % (len(octets), octets)


def test_hostile_names_are_escaped(bench, stores):
    name = "<script>\x1b[2J\"\n\udcff"
    page = b"." + field("1") + field("2") + field("0-7\nok") + field(name)
    gate = lie(bench, stores, ["li\x1bar\nok", page], other="li\x1bar\nok")
    done = run("ctl", "-c", gate.config, "tunnels", "--all")
    assert done.returncode == 0 and "\x1b" not in done.stdout and len(done.stdout.splitlines()) == 3
    row = next(row for row in json.loads(get(gate, "/api/v1/tunnels?gates=all").text)["items"] if row["user"] != "alice")
    assert (row["gate"], row["id"], row["user"]) == ("li\x1bar\nok", "0-7\nok", "<script>\x1b[2J\"\n\uefff")
    silent = lie(bench, stores, [], other="li\x1bar\nok")
    done = run("ctl", "-c", silent.config, "tunnels", "--all")
    assert done.returncode == 1 and "\x1b" not in done.stderr and "no answer" in done.stderr


def test_a_store_that_is_lost_while_it_is_asked(bench, stores):
    gate = lie(bench, stores, b"!garbage\r\n")
    done = run("ctl", "-c", gate.config, "tunnels", "--all")
    assert done.returncode == 1 and "these are the tunnels of this gate only: " in done.stderr
    assert "alice" in done.stdout


def test_questions_without_sense_are_ignored(bench, redis):
    gate, = known(cluster(bench, redis, 1))
    call = bench.client(gate).establish().ping()

    def ask(number, text):
        """Puts a question of another gate into the store. A gate takes eight at a time."""
        redis("EVAL", "redis.call('ZADD', 'sstpgate:b:l', redis.call('HINCRBY', 'sstpgate:b:m', 'n', 1), ARGV[1]) "
              "redis.call('ZADD', 'sstpgate:b:u', redis.call('TIME')[1] * 1000 + 3000, ARGV[1]) "
              "redis.call('HSET', 'sstpgate:b:v', ARGV[1], 'ask other')", 0, f"q:other.{number}\n{text}")

    def answered(number):
        ask(number, "tunnels 5\n")
        eventually(lambda: redis("LRANGE", f"sstpgate:v:other.{number}", 0, -1), f"an answer to question {number}")

    senseless = ("", "tunnels", "tunnels 0\n", "tunnels 99999999\n", "tunnels 5\nwhat=x\n", "end x\nid=0-1\n",
                 "end \n", f"end {process(gate)}\n", "stop\n")
    for i in range(0, len(senseless), 3):
        for k, text in enumerate(senseless[i:i + 3]):
            ask(i + k, text)
        answered(100 + i)                                         # the gate has taken the ones before it
    keys = set(redis("KEYS", "sstpgate:v:*").split())
    assert keys <= {f"sstpgate:v:other.{100 + i}" for i in range(0, len(senseless), 3)}
    call.ping()
