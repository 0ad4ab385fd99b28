"""What an administrator does to the running gate: end, ban, unban, drain, resume, drain-time, and the admin socket's
group and mode."""

import grp
import os
import signal
import stat
import time

import pytest

from gate import run
from peers.client import CallFailed, expect_failure
from peers.tls import DEADLINE
from test_views import ctl, view

STRANGE = "j\u00fcrgen 100% \"x\""


@pytest.fixture
def site(bench):
    return start(bench)


@pytest.fixture(autouse=True)
def no_bans(bench):
    """The directory belongs to all tests of the file."""
    (bench.place.folder / "bans").unlink(missing_ok=True)


def start(bench, workers=2, **keys):
    gate = bench.gate(bench.backend(), gate={"admin": "unix:actions.sock", "ban-file": "bans",
                                             "workers": workers, **keys})
    gate.client = lambda **knobs: bench.client(gate, **knobs)
    return gate


def done(gate, *words):
    """Carries out a command that must succeed; returns its output."""
    it = ctl(gate, *words)
    assert (it.returncode, it.stderr) == (0, "")
    return it.stdout


def refused(gate, *words):
    it = ctl(gate, *words)
    assert it.returncode == 1
    return it.stderr


def ids(gate, *filters):
    return [item["id"] for item in view(gate, "tunnels", *filters)["items"]]


# -- end --

def test_end_one_tunnel(site):
    first, second = site.client().establish().ping(), site.client().establish().ping()
    [one, two] = ids(site)
    assert done(site, "end", one) == "1 ended\n"
    ended = site.wait_call()
    assert (ended["id"], ended["reason"], ended["outcome"], ended["stage"]) == (
        one, "ended-by-admin", "ended", "up")
    line = site.wait_event("end")
    assert (line["by"], line["id"], line["tunnels"]) == ("admin-socket", one, "1")
    assert ids(site) == [two]
    closed, open_ = (first, second) if ended["client"].endswith(
        f":{first.wire.sock.getsockname()[1]}") else (second, first)
    with pytest.raises(CallFailed, match="disconnect"):
        closed.next()
    open_.ping()
    open_.close()
    assert "no tunnel matches" in refused(site, "end", one)


@pytest.mark.parametrize("words", [("user", "ALICE"), ("address", "127.0.0.0/8"), ("listener", "front"),
                                   ("server", "back")])
def test_end_all_that_match(site, words):
    clients = [site.client().establish() for _ in range(3)]
    assert "no tunnel matches" in refused(site, "end", words[0], "192.0.2.9" if words[0] == "address" else "x")
    assert done(site, "end", *words) == "3 ended\n"
    for number, client in enumerate(clients):
        assert site.wait_call(number)["reason"] == "ended-by-admin"
        client.close()
    assert view(site, "failures")["items"] == []


def test_end_needs_a_filter(site):
    assert "usage" in refused(site, "end")
    assert "a filter is one of" in refused(site, "end", "all", "tunnels")


# -- bans --

def test_ban_an_address(bench, site):
    """The tunnels of the address end, and new calls are refused, without ban-points, until the ban is lifted; other
    addresses are not concerned. The ban survives a restart."""
    banned, other = site.client(bind="127.0.0.9").establish(), site.client().establish()
    assert done(site, "ban", "127.0.0.8/30", "1h") == "banned for 3600 s; 1 ended\n"
    line = site.wait_event("ban")
    assert (line["by"], line["net"], line["seconds"], line["tunnels"]) == (
        "admin-socket", "127.0.0.8/30", "3600", "1")
    banned.wait_end()
    expect_failure(site.client(bind="127.0.0.10"))
    [failure] = view(site, "failures")["items"]
    assert (failure["reason"], failure["detail"]) == ("limit", "ban-points")
    other.ping().close()
    [ban] = view(site, "bans")["items"]
    assert (ban["net"], ban["user"], ban["cause"]) == ("127.0.0.8/30", None, "manual")
    assert 3500 < ban["left"] <= 3600
    site.signal(signal.SIGTERM)
    assert site.wait_exit() == 0
    again = start(bench)
    expect_failure(again.client(bind="127.0.0.10"))
    assert done(again, "bans").startswith("127.0.0.8/30 ") and done(again, "bans").endswith(" manual\n")
    assert done(again, "unban", "127.0.0.9") == "1 lifted\n"
    assert again.wait_event("unban")["by"] == "admin-socket"
    again.client(bind="127.0.0.10").establish().ping().close()
    assert view(again, "bans")["items"] == []


@pytest.mark.parametrize("name, domain", [("Alice", "CORP\\alice"), ("CORP\\ALICE", "CORP\\alice")])
def test_ban_a_user(bench, site, name, domain):
    """The tunnels of the user end; a login is refused as soon as the name is known, and costs no points."""
    client = site.client(user=domain).establish()
    assert done(site, "ban", "user", name) == "banned for 600 s; 1 ended\n"
    client.wait_end()
    client.close()
    assert site.wait_call()["detail"] == "ban"
    failed = expect_failure(site.client(user=domain))
    call = site.wait_call(1)
    assert (call["reason"], call["outcome"], call["stage"]) == ("user-banned", "refused", "login")
    assert failed.stage != "up"
    if "\\" in name:
        site.client(user="alice").establish().ping().close()
    [ban] = view(site, "bans")["items"]
    assert (ban["net"], ban["user"]) == (None, name)
    assert done(site, "unban", "user", name.lower()) == "1 lifted\n"
    site.client(user=domain).establish().ping().close()


def test_a_user_of_any_name(bench, site):
    assert done(site, "ban", "user", STRANGE, "1d").startswith("banned for 86400 s")
    [ban] = view(site, "bans")["items"]
    assert ban["user"] == STRANGE
    site.signal(signal.SIGTERM)
    assert site.wait_exit() == 0
    again = start(bench)
    assert view(again, "bans")["items"][0]["user"] == STRANGE
    assert "no such ban" in refused(again, "unban", "user", "bob")
    assert done(again, "unban", "all") == "1 lifted\n"


def test_bans_that_are_refused(bench):
    gate = start(bench, **{"ban-exempt": "127.0.0.0/24"})
    assert "ban-exempt" in refused(gate, "ban", "127.0.0.9")
    assert "a duration" in refused(gate, "ban", "192.0.2.1", "5")
    assert "a duration" in refused(gate, "ban", "192.0.2.1", "0")
    assert "bits after the prefix" in refused(gate, "ban", "192.0.2.1/24")
    assert "not an address" in refused(gate, "ban", "alice")
    done(gate, "ban", "127.0.0.0/8")  # wider than the exempt addresses, which stay admitted
    gate.client(bind="127.0.0.9").establish().ping().close()
    expect_failure(gate.client(bind="127.1.0.9"))


# -- drain and resume --

def test_a_drain_can_be_undone(bench, site):
    """Tunnels continue; new connections are refused by the kernel; after resume all is as before."""
    client = site.client().establish()
    done(site, "drain")
    assert site.wait_event("stop")["by"] == "admin-socket"
    assert view(site, "status")["state"] == "draining"
    site.wait(lambda: not accepts(site), "refused connections")
    client.ping()
    assert ids(site) != [] and "already draining" in refused(site, "drain")
    done(site, "resume")
    assert site.wait_event("resume")["by"] == "admin-socket"
    assert view(site, "status")["state"] == "serving"
    clients = [site.client().establish().ping() for _ in range(4)]
    client.ping()
    assert "is not draining" in refused(site, "resume")
    for one in [client, *clients]:
        one.close()
    assert done(site, "reload")


def accepts(gate):
    try:
        gate.client().open()
        return True
    except (CallFailed, OSError):
        return False


def test_the_port_stays_reserved(bench, site):
    """No other program can listen on the port during a drain."""
    import socket
    client = site.client().establish()
    done(site, "drain")
    site.wait(lambda: not accepts(site), "refused connections")
    with socket.socket() as other, pytest.raises(OSError):
        other.bind(site.address())
    client.close()


def test_a_drain_without_calls_ends_the_gate(site):
    done(site, "drain")
    assert site.wait_exit() == 0


def test_a_drain_after_a_resume_ends_the_gate(site):
    client = site.client().establish()
    done(site, "drain")
    done(site, "resume")
    client.disconnect()
    site.wait_call()
    site.client().establish().ping().disconnect()
    done(site, "drain")
    assert site.wait_exit() == 0


@pytest.mark.calm
def test_drain_time_spreads_the_end(bench):
    gate = start(bench, **{"drain-time": "4s"})
    clients = [gate.client().establish() for _ in range(8)]
    begin = time.monotonic()
    done(gate, "drain")
    assert gate.wait_exit(DEADLINE) == 0
    assert time.monotonic() - begin < DEADLINE
    ends = [gate.wait_call(number) for number in range(8)]
    assert {(it["reason"], it["detail"]) for it in ends} == {("ended-by-admin", "drain-time")}
    seconds = [it.line[:19] for it in ends]
    assert max(seconds.count(second) for second in seconds) <= 4
    for client in clients:
        client.close()


@pytest.mark.calm
def test_drain_time_of_a_server(bench):
    """The tunnels of the server end, and the gate continues; resume keeps the tunnels that are left."""
    gate = start(bench, **{"drain-time": "1s"})
    client = gate.client().establish()
    server = view(gate, "servers")["items"][0]["server"]
    done(gate, "drain", f"back/{server}")
    assert gate.wait_event("server")["by"] == "admin-socket"
    assert gate.wait_call()["detail"] == "drain-time"
    client.close()
    done(gate, "resume", f"back/{server}")
    gate.client().establish().ping().close()


# -- the socket --

def test_group_and_mode(bench):
    group = next(it for it in grp.getgrall() if it.gr_gid != os.getegid())
    gate = start(bench, **{"admin-group": group.gr_name, "admin-mode": "0660"})
    it = os.lstat(bench.place.folder / "actions.sock")
    assert (it.st_gid, stat.S_IMODE(it.st_mode)) == (group.gr_gid, 0o660)
    assert view(gate, "status")["state"] == "serving"
    gate.config.write_text(gate.config.read_text().replace("0660", "0600"))
    assert "a change of admin-group or admin-mode requires a restart" in done(gate, "reload")


def test_no_such_group(bench):
    done_ = run("-t", "-c", bench.config({
        "gate": {"admin": "unix:a.sock", "admin-group": "nonesuch"}, "listener front": bench.listener_keys(),
        "backend back": bench.backend_keys(bench.backend())}))
    assert done_.returncode == 1 and "admin-group: there is no group 'nonesuch'" in done_.stderr
