"""Several gates that act as one, through redis-server or a scripted store (conf/README.md, several gates)."""

import json
import os
import re
import resource
import shutil
import signal
import ssl
import tempfile
import time

import pytest

from conftest import USERS
from gate import BINARY, eventually, run
from peers.client import CallFailed
from peers.store import Redis, Store
from peers.tls import DEADLINE
from test_address import admitted, refused
from test_limits import ctl, fails, misbehave


@pytest.fixture
def redis(place):
    folder = tempfile.mkdtemp(prefix="redis-", dir=place.folder)
    server = Redis(folder)
    yield server
    server.close()
    shutil.rmtree(folder)


@pytest.fixture
def stores():
    """Starts scripted stores, as Store does."""
    made = []

    def start(*words, **named):
        made.append(Store(*words, **named))
        return made[-1]

    start.made = made
    yield start
    for store in made:
        store.close()


def up(gate):
    """Waits until the gate uses its store."""
    gate.wait(lambda: [e for e in gate.events("shared") if e.fields.get("state") == "up"], "shared up")
    return gate


def down(gate):
    """Waits until the gate has no store. Returns the cause."""
    find = lambda: [e for e in gate.events("shared") if e.fields.get("state") == "down"]
    return gate.wait(find, "shared down")[-1]["cause"]


SHA = b"$40\r\n" + b"a" * 40 + b"\r\n"


def plausible(words, beat=(1, "epoch", [], [], 1), enter=(0,)):
    """Answers as a store whose scripts do nothing: it knows them by their arguments."""
    if words[0] == b"SCRIPT":
        return SHA
    if words[0] in (b"EVAL", b"EVALSHA"):
        if words[5].startswith(b"name="):
            return beat
        return enter if words[5].startswith((b"u:", b"a:")) and len(words) == 12 else [0]
    return b"+OK\r\n"


def single(bench, store, **keys):
    return bench.gate(bench.backend(), gate={"admin": f"unix:shared-{bench.count}.sock", "shared": store.url, **keys})


def cluster(bench, store, count=3, server=None, **keys):
    """Starts gates with a common store."""
    server = server or bench.backend()
    return [up(bench.gate(server, gate={"admin": f"unix:shared-{bench.count}-{n}.sock", "shared": store.url,
                                        "shared_name": f"gate{n}", **keys}))
            for n in range(count)]


def test_guesses_at_several_gates_end_in_one_ban(bench, redis):
    gates = cluster(bench, redis, ban_points=15, ban_time="1h")
    for gate in gates:
        misbehave(bench, gate, bind="127.0.0.5")
    for gate in gates:
        ban = gate.wait_event("ban")
        assert (ban["network"], ban["gate"]) == ("127.0.0.5", "-")
        refused(bench, gate, bind="127.0.0.5")
        admitted(bench, gate, bind="127.0.0.6")


def test_a_ban_by_one_gate_holds_at_all_and_is_lifted_at_all(bench, redis):
    gates = cluster(bench, redis, ban_points=10, ban_time="1h")
    misbehave(bench, gates[0], 2, bind="127.0.0.5")
    for gate in gates[1:]:
        assert gate.wait_event("ban")["gate"].startswith("gate0.")
        refused(bench, gate, bind="127.0.0.5")
    assert ctl(gates[1], "unban", "127.0.0.5").startswith("1 ")
    gates[0].wait_event("unban")
    gates[2].wait_event("unban")
    for gate in gates:
        admitted(bench, gate, bind="127.0.0.5")


def test_a_user_ban_of_an_administrator_holds_at_all(bench, redis):
    gates = cluster(bench, redis, 2)
    ctl(gates[0], "ban", "user", "alice", "1h")
    ban = gates[1].wait_event("ban")
    assert ban["user"] == "alice" and 3590 <= int(ban["seconds"]) <= 3600
    fails(bench.client(gates[1]), "establish")
    assert gates[1].wait_call()["reason"] == "user-banned"


def test_the_fourth_tunnel_of_a_user_is_refused_wherever_it_comes(bench, redis):
    server = bench.backend(users={"alice": "sesame", "bob": USERS["bob"]})
    gates = cluster(bench, redis, server=server, max_tunnels_per_user=3)
    first = bench.client(gates[0]).establish().ping()
    bench.client(gates[0]).establish().ping()
    bench.client(gates[1]).establish().ping()
    for gate in gates:
        calls = len(gate.events("call"))
        fails(bench.client(gate))
        assert gate.wait_call(calls)["reason"] == "user-limit"
        hit = [e for e in gate.events("limit") if "key" in e.fields][-1]
        assert (hit["key"], hit["user"], hit["by"]) == ("max-tunnels-per-user", "alice", "all-gates")
    bench.client(gates[2], user="bob", password=USERS["bob"]).establish().ping().close()
    first.disconnect()
    gates[0].wait_event("call")
    eventually(lambda: works(bench.client(gates[2])), "the place of the first tunnel is free")


def works(client):
    try:
        client.establish().ping()
    except CallFailed:
        client.close()
        return False
    return True


def test_tunnels_of_an_address_are_counted_over_all_gates(bench, redis):
    gates = cluster(bench, redis, 2, max_tunnels_per_address=1)
    call = bench.client(gates[0], bind="127.0.0.5").establish().ping()
    fails(bench.client(gates[1], bind="127.0.0.5"))
    admitted(bench, gates[1], bind="127.0.0.6")
    call.ping()


@pytest.mark.long
def test_a_gate_that_dies_gives_its_counts_back(bench, redis):
    gates = cluster(bench, redis, 2, max_tunnels_per_user=1)
    bench.client(gates[0]).establish().ping()
    fails(bench.client(gates[1]))
    gates[0].process.kill()
    gates[0].wait_exit()
    gates[0].expected_exit = -9
    eventually(lambda: works(bench.client(gates[1])), "the lease of the dead gate has ended")


@pytest.fixture
def many_descriptors():
    """Room for the sockets of 500 tunnels, here and in the gates."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.long
def test_a_gate_that_dies_with_many_tunnels_gives_all_counts_back(bench, redis, many_descriptors):
    many = 500 if BINARY.parent.name == "release" else 50
    gates = cluster(bench, redis, 2, max_tunnels_per_user=many, shared_timeout="1s")
    for _ in range(many):
        bench.client(gates[0]).establish()
    fails(bench.client(gates[1]))
    gates[0].process.kill()
    gates[0].wait_exit()
    gates[0].expected_exit = -9
    eventually(lambda: works(bench.client(gates[1])), "the lease of the dead gate has ended")
    for _ in range(20):
        bench.client(gates[1]).establish().ping()


def test_a_store_that_was_killed_and_restarted_is_filled_again(bench, redis):
    gates = cluster(bench, redis, 2, max_tunnels_per_user=1, ban_points=10, ban_time="1h")
    call = bench.client(gates[0]).establish().ping()
    misbehave(bench, gates[0], 2, bind="127.0.0.5")
    gates[1].wait_event("ban")
    redis.kill()
    for gate in gates:
        down(gate)
        refused(bench, gate, bind="127.0.0.5")                    # each gate knows the bans itself
    call.ping()
    bench.client(gates[1]).establish().ping().close()             # alone, this gate has room
    redis.start()
    for gate in gates:
        gate.wait(lambda: len([e for e in gate.events("shared") if e.fields.get("state") == "up"]) == 2, "up again")
    eventually(lambda: not works(bench.client(gates[1])), "the count of the other gate is known again")
    eventually(lambda: "n:127.0.0.5" in redis("ZRANGE", "sstpgate:b:l", 0, -1), "the ban is in the store again")
    call.ping()


def test_a_store_that_was_emptied_is_filled_again(bench, redis):
    gates = cluster(bench, redis, 2, max_tunnels_per_user=1, ban_points=10, ban_time="1h")
    bench.client(gates[0]).establish().ping()
    misbehave(bench, gates[0], 2, bind="127.0.0.5")
    gates[1].wait_event("ban")
    redis("FLUSHALL")
    eventually(lambda: not works(bench.client(gates[1])), "the count of the other gate is known again")
    eventually(lambda: "n:127.0.0.5" in redis("ZRANGE", "sstpgate:b:l", 0, -1), "the ban is in the store again")
    for gate in gates:
        refused(bench, gate, bind="127.0.0.5")


def test_a_paused_store_delays_no_tunnel(bench, redis):
    gates = cluster(bench, redis, 2, max_tunnels_per_user=1)
    call = bench.client(gates[0]).establish().ping()
    redis.pause()
    for _ in range(3):
        call.ping()
    bench.client(gates[1]).establish().ping().close()             # alone, this gate has room
    down(gates[1])
    redis.resume()
    eventually(lambda: not works(bench.client(gates[1])), "the count of the other gate is known again")


def test_a_silent_store_refuses_if_the_configuration_says_so(bench, redis):
    gate, = cluster(bench, redis, 1, max_tunnels_per_user=5, shared_fail="refuse")
    bench.client(gate).establish().ping().close()
    redis.kill()
    down(gate)
    fails(bench.client(gate))
    gate.wait(lambda: [e for e in gate.events("call") if e["reason"] == "user-limit"], "the refused call")


def test_a_ban_and_a_lift_during_an_outage_reach_the_others(bench, redis):
    gates = cluster(bench, redis, 2, ban_points=10, ban_time="1h")
    ctl(gates[0], "ban", "198.51.100.0/24", "1h")
    gates[1].wait_event("ban")
    redis.pause()
    for gate in gates:
        down(gate)
    ctl(gates[0], "unban", "198.51.100.0/24")
    ctl(gates[0], "ban", "203.0.113.0/24", "1h")
    redis.resume()
    gates[1].wait_event("unban")
    eventually(lambda: ctl(gates[1], "bans").split()[:1] == ["203.0.113.0/24"], "the ban")
    assert "198.51.100" not in ctl(gates[0], "bans")


@pytest.mark.parametrize("lifted", ["198.51.100.0/24", "all"])
def test_a_lift_that_waits_for_the_store_is_stronger_than_a_copy_of_the_ban(bench, stores, lifted):
    """After an outage another gate connects first, and offers the ban that this gate lifted during the outage."""
    changes, no = [], []

    def answer(words):
        if no:
            raise OSError("an outage")
        if words[0] in (b"EVAL", b"EVALSHA") and words[5].startswith(b"name="):
            return plausible(words, beat=[0, "e", [], changes, 1])
        if b"lift" in words:
            del changes[:6]                                        # the lift replaces the ban in the store
        return plausible(words)

    store = stores(answer)
    gate = up(single(bench, store))
    ctl(gate, "ban", "198.51.100.0/24", "1h")
    no.append(True)
    store.hang_up()
    down(gate)
    assert ctl(gate, "unban", lifted).startswith("1 ")
    changes += ["2", "n:198.51.100.0/24", "manual", "gate1.1", "3600000", "5", "3", "u:bob", "manual", "gate1.1", "3600000", "6",
                "4", "e:user=carol", "end", "gate1.1", "3000", "0"]
    before = len(store.seen)
    no.clear()
    lift = store.wait(lambda words: b"lift" in words)
    assert [words for words in store.seen[before:] if b"lift" in words] == [lift]
    if lifted != "all":
        gate.wait(lambda: [e for e in gate.events("ban") if e.fields.get("user") == "bob"], "the other ban")
    else:
        assert gate.wait_event("end")["gate"] == "gate1.1"        # a lift of all removes bans, and no orders
    assert "198.51.100" not in ctl(gate, "bans")
    assert not [e for e in gate.events("ban") if "network" in e.fields]


def test_a_tunnel_that_ends_during_an_outage_is_not_counted_afterwards(bench, redis):
    """The outage is shorter than the lease, so the store still has the counts from before."""
    gates = cluster(bench, redis, 2, max_tunnels_per_user=1)
    call = bench.client(gates[0]).establish().ping()
    redis.pause()
    for gate in gates:
        down(gate)
    call.disconnect()
    assert gates[0].wait_call()["outcome"] == "ended"
    redis.resume()
    for gate in gates:
        gate.wait(lambda: len([e for e in gate.events("shared") if e.fields["state"] == "up"]) == 2, "up again")
    eventually(lambda: admits(bench, gates[1]), "a tunnel at the other gate")


def admits(bench, gate):
    try:
        bench.client(gate).establish().ping().disconnect()
    except CallFailed:
        return False
    return True


# -- what an administrator sees --

def test_gates_are_listed(bench, redis):
    gates = cluster(bench, redis)
    bench.client(gates[1]).establish().ping()
    last = bench.client(gates[2]).establish().ping()
    ctl(gates[2], "drain")
    rows = lambda gate: json.loads(ctl(gate, "gates", "--json"))["items"]
    found = lambda: sorted((row["name"], row["tunnels"], row["state"]) for row in rows(gates[0])) == [
        ("gate0", 0, "serving"), ("gate1", 1, "serving"), ("gate2", 1, "draining")]
    eventually(found, lambda: ctl(gates[0], "gates"))
    assert [row["name"] for row in rows(gates[1]) if row["mine"]] == ["gate1"]
    assert "shared: " in ctl(gates[0], "status") and " up, 3 gates" in ctl(gates[0], "status")
    last.disconnect()
    gates[2].wait_exit()
    eventually(lambda: len(rows(gates[0])) == 2, "a gate that ends leaves the list")
    metrics = ctl(gates[0], "metrics")
    assert re.search(r"^sstpgate_shared_up 1$", metrics, re.M)
    assert re.search(r"^sstpgate_shared_gates 2$", metrics, re.M)


def test_a_gate_without_its_store_says_so(bench, redis):
    gate, = cluster(bench, redis, 1, max_tunnels_per_user=5)
    redis.kill()
    down(gate)
    done = run("ctl", "-c", gate.config, "gates")
    assert done.returncode == 1 and "the store is down: " in done.stderr
    assert "down, this gate decides alone: " in ctl(gate, "status")
    bench.client(gate).establish().ping()
    metrics = ctl(gate, "metrics")
    assert re.search(r"^sstpgate_shared_up 0$", metrics, re.M)
    assert re.search(r'^sstpgate_shared_questions_total\{answer="none"\} 1$', metrics, re.M)
    status = json.loads(ctl(gate, "status", "--json"))["shared"]
    assert (status["up"], status["unavailable"]) == (False, 1) and status["cause"]


def test_a_gate_alone_has_no_list(bench):
    gate = bench.gate(bench.backend(), gate={"admin": f"unix:shared-{bench.count}.sock"})
    done = run("ctl", "-c", gate.config, "gates")
    assert done.returncode == 1 and "no store: the configuration has no `shared`" in done.stderr
    assert "shared" not in ctl(gate, "status")
    assert json.loads(ctl(gate, "status", "--json"))["shared"] is None


# -- orders to end tunnels --

def ended(gate, before=0):
    """Waits for the end of a tunnel. Returns why it has ended."""
    call = gate.wait_call(before)
    return call["reason"], call["detail"]


@pytest.mark.long
def test_tunnels_are_ended_at_all_gates(bench, redis):
    server = bench.backend(users={"alice": "sesame", "bob": USERS["bob"]})
    gates = cluster(bench, redis, server=server)
    for gate in gates:
        bench.client(gate).establish().ping()
    others = [bench.client(gate, user="bob", password=USERS["bob"], bind="127.0.0.5").establish().ping() for gate in gates]
    assert ctl(gates[0], "end", "user", "alice") == "1 ended here; the other gates end theirs\n"
    for gate in gates:
        assert ended(gate) == ("ended-by-admin", "end")
    for gate in gates[1:]:
        line = gate.wait_event("end")
        assert (line["by"], line["tunnels"]) == ("shared", "1") and line["gate"].startswith("gate0.")
    for call in others:
        call.ping()
    bench.client(gates[1]).establish().ping().close()             # the order is no ban
    gates[1].wait_call(1)
    assert ctl(gates[2], "end", "address", "127.0.0.5", "user", "bob").startswith("1 ended here")
    assert [ended(gate, n) for gate, n in zip(gates, (1, 2, 1))] == [("ended-by-admin", "end")] * 3


@pytest.mark.long
def test_a_tunnel_at_another_gate_only_is_ended(bench, redis):
    gates = cluster(bench, redis, 2)
    bench.client(gates[1]).establish().ping()
    assert ctl(gates[0], "end", "listener", "front").startswith("0 ended here")
    assert ended(gates[1]) == ("ended-by-admin", "end")


@pytest.mark.long
@pytest.mark.parametrize("what", [("user", "alice"), ("127.0.0.5",)])
def test_a_ban_by_an_administrator_ends_tunnels_at_all_gates(bench, redis, what):
    gates = cluster(bench, redis)
    for gate in gates:
        bench.client(gate, bind="127.0.0.5").establish().ping()
    assert "; 1 ended" in ctl(gates[0], "ban", *what, "1h")
    for gate in gates:
        assert ended(gate) == ("ended-by-admin", "ban")


NET, OTHER = "n:192.0.2.1", "u:alice"
ENDLESS = 1 << 52                                                  # later than any clock


@pytest.fixture
def ban_script(bench, redis, stores):
    """Returns a function that runs the script of the gate for changes of bans in a real store, under a prefix."""
    store = stores(plausible)
    up(single(bench, store))
    loaded = [words[2] for words in store.seen if words[:2] == [b"SCRIPT", b"LOAD"]]
    [script] = [text.decode() for text in loaded if b"return {skipped}" in text]
    return lambda prefix, *changes: redis("EVAL", script, 0, prefix, "g", *changes)


# Each change: subject, kind, made, floor. Then the kinds and stamps that the store must have; "now": the store's time.
@pytest.mark.parametrize("changes, kept", [
    ([(NET, "manual", 5, 0)], {NET: ("manual", 5)}),
    ([(NET, "manual", 5, 0), (NET, "lift", 4, 0)], {NET: ("manual", 5)}),
    ([(NET, "lift", 5, 0), (NET, "manual", 4, 0)], {NET: ("lift", 5)}),
    ([(NET, "manual", 5, 0), (NET, "lift", 5, 0)], {NET: ("lift", 5)}),
    ([(NET, "lift", ENDLESS, 0)], {NET: ("lift", "now")}),
    ([(NET, "manual", 7, 7), (NET, "lift", 3, 8)], {NET: ("lift", 8)}),
    ([(NET, "manual", ENDLESS, ENDLESS), (NET, "lift", 3, ENDLESS + 1)], {NET: ("lift", ENDLESS + 1)}),
    ([(NET, "manual", 0, 0)], {NET: ("manual", 0)}),
    ([(NET, "manual", 0, 0), (NET, "lift", 1, 0)], {NET: ("lift", 1)}),
    ([(NET, "lift", 1, 0), (NET, "manual", 0, 0)], {NET: ("lift", 1)}),
    ([("*", "lift", 5, 0), (NET, "manual", 4, 0)], {"*": ("lift", 5)}),
    ([("*", "lift", 5, 0), (NET, "manual", 0, 0)], {"*": ("lift", 5)}),
    ([("*", "lift", 5, 0), (NET, "manual", 6, 0)], {"*": ("lift", 5), NET: ("manual", 6)}),
    ([(NET, "manual", 4, 0), (OTHER, "manual", 6, 0), ("*", "lift", 5, 0)], {"*": ("lift", 5), OTHER: ("manual", 6)}),
    ([("*", "lift", 5, 0), ("*", "lift", 4, 0)], {"*": ("lift", 5)}),
])
def test_the_later_change_of_a_ban_wins(redis, ban_script, changes, kept):
    """Runs the script of the gate in a real store: all changes with one command, and one command for each change."""
    fields = [(subject, kind, 3600000, made, floor) for subject, kind, made, floor in changes]
    ban_script("one:", *(x for change in fields for x in change))
    for change in fields:
        ban_script("each:", *change)
    for prefix in "one:", "each:":
        subjects = redis("ZRANGE", prefix + "b:l", 0, -1).split()
        stamps = {subject: float(redis("ZSCORE", prefix + "b:a", subject)) for subject in subjects}
        for subject, (_, stamp) in kept.items():
            if stamp == "now":
                assert abs(stamps[subject] - time.time() * 1e6) < 60e6
                stamps[subject] = "now"
        assert {s: (redis("HGET", prefix + "b:v", s).split()[0], stamp) for s, stamp in stamps.items()} == kept, prefix


def test_only_bans_in_force_count(redis, ban_script):
    """A lift that has ended wins over nothing, and a ban by points does not replace a longer one by an administrator."""
    skipped = lambda *change: int(ban_script("t:", *change))
    for subject in NET, "*":
        assert skipped(subject, "lift", 0, ENDLESS, 0) == 0
        assert skipped(NET, "manual", 7200000, 5, 0) == 0
        assert skipped(NET, "points", 3600000, ENDLESS, 0) == 1
        assert redis("HGET", "t:b:v", NET) == "manual g"
        assert skipped(NET, "points", 9000000, ENDLESS, 0) == 0
        assert redis("HGET", "t:b:v", NET) == "points g"
        redis("DEL", "t:b:v", "t:b:a", "t:b:l", "t:b:u")


def test_a_skipped_change_is_counted(redis, ban_script):
    """The gate needs the number of skipped changes, because it then reads all changes again. No order is skipped."""
    skipped = lambda *change: int(ban_script("t:", *change))
    assert skipped(NET, "manual", 3600000, 5, 0) == 0
    assert skipped(NET, "manual", 3600000, 5, 5) == 1              # the same change, offered by another gate
    assert skipped(NET, "lift", 3600000, 4, 0, OTHER, "manual", 3600000, 6, 0) == 1
    assert skipped("e:user=bob", "end", 5000, 0, 0) == 0
    assert skipped("e:user=bob", "end", 5000, 0, 0) == 0
    assert skipped("*", "lift", 3600000, ENDLESS, 0) == 0
    assert set(redis("ZRANGE", "t:b:l", 0, -1).split()) == {"e:user=bob", "*"}


@pytest.mark.long
def test_an_order_survives_the_end_of_all_bans(bench, redis):
    """The other gate is stopped until the store has both changes."""
    gates = cluster(bench, redis, 2)
    call = bench.client(gates[1]).establish().ping()
    ctl(gates[0], "ban", "192.0.2.1", "1h")
    gates[1].wait_event("ban")
    os.kill(gates[1].process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, gates[1].process.pid, os.WSTOPPED)
    try:
        ctl(gates[0], "end", "user", "alice")
        ctl(gates[0], "unban", "all")
        eventually(lambda: redis("HEXISTS", "sstpgate:b:v", "*") == "1", "the end of all bans is in the store")
    finally:
        os.kill(gates[1].process.pid, signal.SIGCONT)
    assert ended(gates[1]) == ("ended-by-admin", "end")
    gates[1].wait_event("unban")
    assert ctl(gates[1], "bans") == ""
    call.close()


def test_a_ban_by_points_ends_no_tunnel(bench, redis):
    gates = cluster(bench, redis, 2, ban_points=10, ban_time="1h")
    call = bench.client(gates[1], bind="127.0.0.5").establish().ping()
    misbehave(bench, gates[0], 2, bind="127.0.0.5")
    gates[1].wait_event("ban")
    ctl(gates[0], "end", "user", "nobody")
    gates[1].wait_event("end")                                     # sent after the ban
    call.ping()


def test_an_id_is_one_of_this_gate(bench, redis):
    gates = cluster(bench, redis, 2)
    call = bench.client(gates[1]).establish().ping()
    bench.client(gates[0]).establish().ping()
    number = ctl(gates[0], "tunnels", "--json")
    assert ctl(gates[0], "end", json.loads(number)["items"][0]["id"]) == "1 ended\n"
    ctl(gates[0], "end", "user", "nobody")
    gates[1].wait_event("end")
    call.ping()


def test_an_order_during_an_outage_says_that_it_was_not_sent(bench, redis):
    gates = cluster(bench, redis, 2)
    call = bench.client(gates[1]).establish().ping()
    bench.client(gates[0]).establish().ping()
    redis.kill()
    for gate in gates:
        down(gate)
    assert "do not get the order: the store is down" in ctl(gates[0], "end", "user", "alice")
    done = run("ctl", "-c", gates[0].config, "end", "user", "alice")
    assert done.returncode == 1 and "do not get the order: the store is down" in done.stderr
    call.ping()


def test_orders_that_could_end_too_much_are_not_carried_out(bench, stores):
    changes = [x for n, subject in enumerate(["e:", "e:all=yes", "e:user=alice\nmore=1", "*", "u:alice", "e:user=bob"], 1)
               for x in (str(n), subject, "end", "x", "1000", "0")]
    go = []

    def answer(words):
        if words[0] in (b"EVAL", b"EVALSHA") and words[5].startswith(b"name="):
            return plausible(words, beat=[0, "e", [], changes if go else [], 1])
        return plausible(words)

    gate = up(single(bench, stores(answer)))
    call = bench.client(gate).establish().ping()
    go.append(True)
    line = gate.wait_event("end")
    assert (line["gate"], line["tunnels"]) == ("x", "0")           # the last one: the order about bob
    call.ping()
    assert len(gate.events("end")) == 1


# -- bad stores: a clear line, and the local view --

def early_end(words):
    raise OSError("the store ends")


GARBAGE = {
    "another program": (lambda words: b"HTTP/1.1 400 Bad Request\r\n\r\n", "not RESP"),
    "a huge array": (lambda words: b"*2147483647\r\n", "too many values"),
    "a huge text": (lambda words: b"$536870912\r\n" + b"x" * 2000000, "too large"),
    "an early end": (early_end, "closed the connection|reset"),
    "answers without a command": (lambda words: b"+OK\r\n" * 100, "without a command|is not a hash"),
    "no hash": (lambda words: b"+OK\r\n", "is not a hash"),
    "no sense": (lambda words: plausible(words, beat=[1, 2]), "unexpected form"),
    "numbers for all": (lambda words: SHA if words[0] == b"SCRIPT" else 5, "unexpected form"),
    "a replica": (lambda words: plausible(words, beat=Exception("READONLY You can't write")), "READONLY"),
    "silence": (lambda words: b"", "does not answer"),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_store_that_answers_nonsense_is_reported_and_ignored(bench, stores, kind):
    answer, cause = GARBAGE[kind]
    gate = single(bench, stores(answer), max_tunnels_per_user=2, max_tunnels_per_address=9)
    assert re.search(cause, down(gate))
    bench.client(gate).establish().ping().close()


def test_a_store_that_does_not_decide_in_time(bench, stores):
    """The store answers all other commands. Each question costs shared-timeout at most, and then this gate decides."""
    store = stores(lambda words: plausible(words, enter=None))
    gate = up(single(bench, store, max_tunnels_per_user=1))
    call = bench.client(gate).establish().ping()
    fails(bench.client(gate))
    call.ping()


def test_a_store_that_refuses_for_no_reason(bench, stores):
    gate = up(single(bench, stores(lambda words: plausible(words, enter=[1])), max_tunnels_per_user=5))
    fails(bench.client(gate))
    assert gate.wait_call()["reason"] == "user-limit"
    assert gate.wait_event("limit", 1)["by"] == "all-gates"


def test_changes_that_make_no_sense_are_skipped(bench, stores):
    changes = ["1", "n:not a network", "manual", "x", "1000", "1",
               "x", "n:127.0.0.5", "manual", "x", "1000", "1",
               "2", "n:127.0.0.5", "nonsense", "x", "1000", "1",
               "3", "n:127.0.0.5", "manual", "x", "-5", "1",
               "4", "*", "manual", "x", "1000", "1",
               "5", "u:", "manual", "x", "1000", "1",
               "6", "n:127.0.0.6", "manual", "x", "99999999999999", "1",
               "6", "n:127.0.0.7", "manual", "x", "1000", "1",
               "7", 5, "manual", [], "1000", "1",
               "8", "n:127.0.0.5", "manual", "x", "1000", "-1",
               "9", "n:127.0.0.5", "manual", "x", "1000", "soon",
               "10", "n:127.0.0.5", "manual", "x", "1000", "9000000000000001",
               "11"]
    gate = up(single(bench, stores(lambda words: plausible(words, beat=[0, "e", ["g", 1, 2], changes, 1]))))
    assert gate.wait_event("ban")["network"] == "127.0.0.6"
    (net, left, manual), = [line.split() for line in ctl(gate, "bans").splitlines()]
    assert net == "127.0.0.6" and int(left) <= 30 * 24 * 3600
    admitted(bench, gate, bind="127.0.0.5")
    refused(bench, gate, bind="127.0.0.6")


def is_beat(words):
    return words[5:6] and words[5].startswith(b"name=")


def bans(count, first=1):
    """Returns the changes that ban `count` users."""
    return [field for n in range(first, first + count) for field in (str(n), f"u:user{n}", "manual", "other", "60000", str(n))]


def test_a_flood_of_bans_is_no_flood_of_lines(bench, stores):
    """The store sends 600 bans at once, and the last one more than a second later."""
    beats = []

    def answer(words):
        if is_beat(words):
            beats.append(words)
        return plausible(words, beat=(1, "epoch", [], bans(600) if len(beats) < 8 else bans(1, 900), 1))
    gate = up(single(bench, stores(answer)))
    lines = gate.wait(lambda: [e for e in gate.events("ban") if e["user"] == "user900"] and gate.events("ban"), "last ban")
    assert len(lines) == 101 and lines[-1]["lines-left-out"] == "500"
    tunnel = bench.client(gate).establish().ping()
    tunnel.disconnect()


def test_a_store_that_repeats_itself_is_asked_at_the_usual_pace(bench, stores):
    times = []

    def answer(words):
        if is_beat(words):
            times.append(time.monotonic())
        return plausible(words, beat=(0, "epoch", [], bans(300), 1))
    store = stores(answer)
    gate = up(single(bench, store))
    with store.more:
        assert store.more.wait_for(lambda: len(times) >= 8, DEADLINE)
    assert times[7] - times[1] > 1.5  # six steps of half a second
    gate.stop()


def test_a_count_that_the_store_has_made_is_not_sent_again(bench, stores):
    """A call sends one command for its address and one for its user, and one for both at its end."""
    store = stores(plausible)
    gate = up(single(bench, store, max_tunnels_per_user=3, max_tunnels_per_address=5))
    bench.client(gate).establish().ping().disconnect()
    gate.wait_call()
    counts = lambda words: dict(zip(words[6::2], words[7::2])) if words[5:6] == [b"10000"] else {}
    store.wait(lambda words: counts(words).get(b"u:alice") == b"0")
    assert all(n == b"0" for words in store.seen for n in counts(words).values()), store.seen
    assert sum(len(words) == 12 for words in store.seen) == 2


def test_releases_are_sent_once_in_a_tick(bench, stores):
    """A release has no command of its own, although questions follow it."""
    times = []

    def answer(words):
        if words[5:6] == [b"10000"] and words[6] != b"*":
            times.append(time.monotonic())
        return plausible(words)

    store = stores(answer)
    gate = up(single(bench, store, max_tunnels_per_user=3))
    for n in range(20):
        bench.client(gate).establish().close()
        gate.wait_call(n)
    store.wait(lambda words: words[5:6] == [b"10000"] and words[-1] == b"0")
    assert len(times) <= 2 + (times[-1] - times[0]) / 0.1


@pytest.mark.parametrize("client_first", [True, False])
def test_the_end_of_a_gate_with_an_open_question(bench, stores, client_first):
    """A question without an answer delays the end of neither its call nor the gate."""
    def answer(words):
        value = plausible(words)
        return None if value == (0,) else value
    store = stores(answer)
    gate = up(single(bench, store, max_tunnels_per_address=5, shared_timeout="1s"))
    client = bench.client(gate)
    client.open()
    store.wait(lambda words: words[5:6] and words[5].startswith(b"a:"))
    if client_first:
        client.wire.sock.close()
        gate.wait_event("checks")  # the end of a silent client
    gate.stop()


def test_the_next_store_is_tried(bench, redis):
    gate = bench.gate(bench.backend(), gate={"shared": f"unix:nowhere.sock\nshared = {redis.url}"})
    assert "cannot connect" in down(gate)
    up(gate)


def test_a_key_of_another_type(bench, redis):
    redis("SET", "sstpgate:gates", "x")
    gate = single(bench, redis)
    assert "WRONGTYPE" in down(gate)
    redis("DEL", "sstpgate:gates")
    up(gate)


def test_garbage_in_a_single_key(bench, redis):
    """An error about one address is no failure of the store."""
    redis("HSET", "sstpgate:r:127.0.0.5", "a", "b")
    gate, = cluster(bench, redis, 1, handshake_rate_per_address="100/s")
    bench.client(gate, bind="127.0.0.5").establish().ping()
    gate.wait(lambda: [e for e in gate.events("shared") if "WRONGTYPE" in e.fields.get("error", "")], "the error")
    bench.client(gate, bind="127.0.0.6").establish().ping()


def test_forgotten_scripts_are_sent_again(bench, redis):
    gates = cluster(bench, redis, 2, max_tunnels_per_user=1, ban_points=10, ban_time="1h")
    redis("SCRIPT", "FLUSH")
    bench.client(gates[0]).establish().ping()
    fails(bench.client(gates[1]))
    redis("SCRIPT", "FLUSH")
    misbehave(bench, gates[0], 2, bind="127.0.0.5")
    gates[1].wait_event("ban")


def test_passwords(bench, place):
    folder = tempfile.mkdtemp(prefix="redis-", dir=place.folder)
    (place.folder / "store.secret").write_text("s3same\n")
    (place.folder / "store.secret").chmod(0o600)
    server = Redis(folder, requirepass="s3same")
    try:
        gate = single(bench, server)
        assert "NOAUTH" in down(gate)
        up(single(bench, server, shared_password_file="store.secret"))
        (place.folder / "store.secret").write_text("wrong\n")
        assert "WRONGPASS" in down(single(bench, server, shared_password_file="store.secret"))
    finally:
        server.close()
        shutil.rmtree(folder)


def test_a_rate_is_counted_over_all_gates(bench, redis):
    gates = cluster(bench, redis, 2, handshake_rate_per_address="1/h")
    admitted(bench, gates[0], bind="127.0.0.5")
    fails(bench.client(gates[1], bind="127.0.0.5"))
    hit = gates[1].wait(lambda: [e for e in gates[1].events("limit") if "key" in e.fields], "limit")[0]
    assert (hit["key"], hit["by"]) == ("handshake-rate-per-address", "all-gates")
    admitted(bench, gates[1], bind="127.0.0.6")


def test_tls_with_a_pin_or_a_ca(bench, place, stores):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.back_ca.cert, place.back_ca.key)
    store = stores(plausible, tls=context)
    up(single(bench, store, shared_ca_file=str(place.ca.cert)))
    up(single(bench, store, shared_pin_sha256=place.back_ca.sha256))
    assert "shared-pin-sha256" in down(single(bench, store, shared_pin_sha256="00" * 32))
    assert "certificate" in down(single(bench, store))


def test_the_store_gets_no_secret(bench, stores):
    store = stores(plausible)
    gate = up(single(bench, store, max_tunnels_per_user=5, max_tunnels_per_address=5, ban_points=100))
    bench.client(gate).establish().ping().close()
    fails(bench.client(gate, password="geheim"))
    store.wait(lambda words: b"u:alice" in words)
    seen = b" ".join(b" ".join(words) for words in store.seen)
    assert b"sesame" not in seen and b"geheim" not in seen
