"""Several gates that act as one, through redis-server or a scripted store (conf/README.md, several gates)."""

import contextlib
import re
import shutil
import tempfile

import pytest

from conftest import USERS
from gate import eventually, run
from peers.client import CallFailed
from peers.store import Redis, Store
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

    yield start
    for store in made:
        store.close()


def up(gate):
    """Waits until the gate uses its store."""
    gate.wait(lambda: [e for e in gate.events("shared") if e.fields.get("state") == "up"], "shared up")
    return gate


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


def test_a_gate_that_dies_gives_its_counts_back(bench, redis):
    gates = cluster(bench, redis, 2, max_tunnels_per_user=1)
    bench.client(gates[0]).establish().ping()
    fails(bench.client(gates[1]))
    gates[0].process.kill()
    gates[0].wait_exit()
    gates[0].expected_exit = -9
    eventually(lambda: works(bench.client(gates[1])), "the lease of the dead gate has ended")


def test_a_store_that_was_killed_and_restarted_is_filled_again(bench, redis):
    gates = cluster(bench, redis, 2, max_tunnels_per_user=1, ban_points=10, ban_time="1h")
    call = bench.client(gates[0]).establish().ping()
    misbehave(bench, gates[0], 2, bind="127.0.0.5")
    gates[1].wait_event("ban")
    redis.kill()
    for gate in gates:
        gate.wait(lambda: [e for e in gate.events("shared") if e.fields.get("state") == "down"], "shared down")
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
    gates[1].wait(lambda: [e for e in gates[1].events("shared") if e.fields.get("state") == "down"], "down")
    redis.resume()
    eventually(lambda: not works(bench.client(gates[1])), "the count of the other gate is known again")


def test_a_silent_store_refuses_if_the_configuration_says_so(bench, redis):
    gate, = cluster(bench, redis, 1, max_tunnels_per_user=5, shared_fail="refuse")
    bench.client(gate).establish().ping().close()
    redis.kill()
    gate.wait(lambda: [e for e in gate.events("shared") if e.fields.get("state") == "down"], "down")
    fails(bench.client(gate))
    assert gate.wait_call(1)["reason"] == "user-limit"


def test_a_ban_and_a_lift_during_an_outage_reach_the_others(bench, redis):
    gates = cluster(bench, redis, 2, ban_points=10, ban_time="1h")
    ctl(gates[0], "ban", "198.51.100.0/24", "1h")
    gates[1].wait_event("ban")
    redis.pause()
    for gate in gates:
        gate.wait(lambda: [e for e in gate.events("shared") if e.fields.get("state") == "down"], "down")
    ctl(gates[0], "unban", "198.51.100.0/24")
    ctl(gates[0], "ban", "203.0.113.0/24", "1h")
    redis.resume()
    gates[1].wait_event("unban")
    eventually(lambda: ctl(gates[1], "bans").split()[:1] == ["203.0.113.0/24"], "the ban")
    assert "198.51.100" not in ctl(gates[0], "bans")
