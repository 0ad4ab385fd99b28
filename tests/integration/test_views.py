"""The views of `sstpgate ctl`: tunnels, failures, listeners, certificates, servers, limits, bans, status; their
tables on a terminal, their JSON, and --watch; health; the completion of bash."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time
from datetime import datetime, timedelta, timezone

import pytest

from gate import BINARY, run
from peers.client import CallFailed, expect_failure
from peers.tls import DEADLINE

HOSTILE = '<script>\x1b]0;x\x07\u202e"'


@pytest.fixture
def site(bench):
    gate = bench.gate(bench.backend(), gate={"admin": "unix:views.sock", "max-tunnels-per-user": 50})
    gate.client = lambda **knobs: bench.client(gate, **knobs)
    return gate


def ctl(gate, *words):
    return run("ctl", "-c", gate.config, *words)


def view(gate, *words):
    done = ctl(gate, *words, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def when(text):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def table(text):
    lines = [re.split(r"  +", line.strip()) for line in text.splitlines()]
    return lines[0], lines[1:]


# -- tunnels --

def test_a_tunnel_has_all_fields(site):
    begin = datetime.now(timezone.utc)
    client = site.client(sni="vpn.example.com").establish().ping()
    listed = view(site, "tunnels")
    assert {key: listed[key] for key in ("total", "offset", "limit")} == {
        "total": 1, "offset": 0, "limit": 10000}
    [it] = listed["items"]
    up = site.wait_event("up")
    assert it["id"] == up["id"] and it["user"] == "alice" and it["client"] == up["client"]
    assert it["assigned"] == ".".join(str(octet) for octet in client.link.address)
    assert (it["listener"], it["backend"], it["server"]) == ("front", "back", up["server"])
    assert begin - timedelta(seconds=1) < when(it["start"]) < datetime.now(timezone.utc)
    assert 0 <= it["duration"] < DEADLINE
    assert it["up_bytes"] > 100 and it["down_bytes"] > 100
    assert it["up_packets"] > 5 and it["down_packets"] > 5
    assert it["up_rate"] > 0 and it["down_rate"] > 0
    assert (it["method"], it["binding"]) == (up["method"], up["binding"]) == ("ms-chapv2", "verified")
    assert (it["hash"], it["key"]) == (up["hash"], up["key"])
    assert it["tls"].startswith("TLSv1.") and it["cipher"] and it["host"] == "vpn.example.com"
    assert it["sni"] == "vpn.example.com"
    client.disconnect()
    site.wait_call()
    assert view(site, "tunnels")["items"] == []


def test_filters_and_pages(site):
    clients = [site.client(user="alice").establish() for _ in range(3)]
    ids = [item["id"] for item in view(site, "tunnels")["items"]]
    assert len(ids) == 3
    page = view(site, "tunnels", "limit", "2", "offset", "1")
    assert ([item["id"] for item in page["items"]], page["total"]) == (ids[1:], 3)
    server = view(site, "tunnels")["items"][0]["server"]
    for words, count in [(("user", "ALICE"), 3), (("user", "bob"), 0), (("id", ids[1]), 1),
                         (("address", "127.0.0.0/8"), 3), (("address", "192.0.2.0/24"), 0),
                         (("listener", "front"), 3), (("listener", "none"), 0),
                         (("server", "back"), 3), (("server", f"back/{server}"), 3),
                         (("server", "back/192.0.2.1:443"), 0),
                         (("user", "alice", "address", "192.0.2.0/24"), 0)]:
        assert view(site, "tunnels", *words)["total"] == count, words
    for words, problem in [(("user",), "a filter is two words"), (("limit", "0"), "limit is a number"),
                           (("address", "10.0.0.1/8"), "bits after the prefix"),
                           (("colour", "red"), "a filter is one of")]:
        done = ctl(site, "tunnels", *words)
        assert done.returncode == 1 and problem in done.stderr
    for client in clients:
        client.close()


def test_many_workers_have_one_list(bench):
    gate = bench.gate(bench.backend(), gate={"admin": "unix:many.sock", "workers": 3})
    clients = [bench.client(gate).establish() for _ in range(8)]
    listed = view(gate, "tunnels")["items"]
    assert len({item["id"] for item in listed}) == 8
    assert [item["start"] for item in listed] == sorted(item["start"] for item in listed)
    assert view(gate, "status")["tunnels"] == 8
    assert view(gate, "listeners")["items"][0]["tunnels"] == 8
    for client in clients:
        client.close()


# -- failures --

def test_failures_say_why(bench, site):
    client = site.client(password="wrong")
    with pytest.raises(CallFailed):
        client.establish()
    client.close()
    site.wait_call()
    expect_failure(site.client(host="vpn.example.com", tamper="mac"))
    site.wait_call(1)
    last, first = view(site, "failures")["items"]
    call = site.wait_call(1)
    assert (last["reason"], last["outcome"], last["stage"]) == (
        call["reason"], call["outcome"], call["stage"]) == ("binding-mac", "failed", "binding")
    assert (last["id"], last["client"], last["user"]) == (call["id"], call["client"], "alice")
    assert last["words"] == "no known key makes the client's crypto-binding"
    assert "users file" in last["remedy"] and last["listener"] == "front"
    assert last["backend"] == "back" and last["server"] == call["server"]
    assert first["reason"] == "login-refused" and first["words"] == "the VPN server refused the login"
    assert when(first["time"]) <= when(last["time"])
    assert view(site, "failures", "user", "bob")["items"] == []


def test_denied_addresses_and_health_checks(bench):
    """A denied address is a failure, with its rule; a health check and a call that ended well are none."""
    gate = bench.gate(bench.backend(), gate={"admin": "unix:denied.sock"},
                      rules=[("deny", "127.0.0.9")])
    bench.client(gate).establish().ping().disconnect()
    socket.create_connection(gate.address(), DEADLINE).close()
    expect_failure(bench.client(gate, bind="127.0.0.9"))
    gate.wait_event("deny")
    listed = gate.wait(lambda: view(gate, "failures")["items"], "a failure")
    assert [(it["reason"], it["outcome"]) for it in listed] == [("address-denied", "refused")]
    assert re.fullmatch(r"rule 1, line \d+", listed[0]["detail"])
    assert listed[0]["client"].startswith("127.0.0.9:")


def test_the_server_that_was_not_reached(bench):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{closed.getsockname()[1]}"
    gate = bench.gate(bench.backend(), gate={"admin": "unix:dead.sock"}, backend={"server": dead})
    expect_failure(bench.client(gate))
    gate.wait_call()
    [it] = view(gate, "failures")["items"]
    assert (it["reason"], it["backend"], it["server"]) == ("backend-unreachable", "back", dead)


# -- the configuration --

def test_listeners_certificates_servers_limits(bench, site):
    [it] = view(site, "listeners")["items"]
    assert it["name"] == "front" and it["addresses"] == ["%s:%d" % site.address()]
    assert (it["tunnels"], it["calls"], it["mode"], it["backend"]) == (0, 0, "enforce", "back")
    [cert] = view(site, "certificates")["items"]
    assert it["certificate_expires"] == cert["not_after"] and it["certificate_days"] == cert["days"]
    printed = run("binding", "-c", site.config, "front").stdout
    assert cert["leaf_sha256"] in printed.replace(":", "").lower()
    assert cert["listener"] == "front" and cert["names"] and cert["serial"]
    assert when(cert["not_before"]) < datetime.now(timezone.utc) < when(cert["not_after"])
    assert cert["staple"] == "none" and re.match(r"(EC|RSA) ", cert["key"])
    [server] = view(site, "servers")["items"]
    assert (server["backend"], server["state"], server["tunnels"]) == ("back", "up", 0)
    assert server["max_tunnels"] is None and server["backup"] is False
    limits = {row["name"]: row for row in view(site, "limits")["items"]}
    assert limits["max-tunnels"]["used"] == 0 and limits["max-tunnels"]["limit"] > 0
    assert limits["max-tunnels-per-user"]["limit"] == 50
    assert limits["handshake-rate"]["limit"] is None
    assert view(site, "bans")["items"] == []


def test_status(site):
    it = view(site, "status")
    assert it["pid"] == site.process.pid and it["state"] == "serving" and it["writable"] is True
    assert it["version"] in run("-v").stdout and it["configuration"] == str(site.config)
    assert (it["reload"], it["stale_files"], it["configuration_outdated"]) == (None, [], False)
    assert abs(when(it["started"]) - datetime.now(timezone.utc)) < timedelta(seconds=2 * DEADLINE)
    history = it["history"]
    assert history["step"] == 10
    assert {len(history[key]) for key in
            ("tunnels", "up_bytes", "down_bytes", "failures", "tunnel_seconds")} in ({0}, {1}, {2})
    assert ctl(site, "reload").returncode == 0
    reload = view(site, "status")["reload"]
    assert reload["ok"] is True and reload["cause"] == "admin-socket" and when(reload["time"])


# -- health --

def test_health(bench, site):
    done = ctl(site, "health")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    server = view(site, "servers")["items"][0]["server"]
    assert ctl(site, "drain", f"back/{server}").returncode == 0
    done = ctl(site, "health")
    assert done.returncode == 1
    assert done.stderr == "sstpgate ctl: listener front: every server of backend back is down or drained\n"
    assert ctl(site, "resume", f"back/{server}").returncode == 0
    client = site.client().establish()
    assert ctl(site, "drain").returncode == 0
    done = ctl(site, "health")
    assert done.returncode == 1 and "draining" in done.stderr
    client.close()


# -- tables --

def terminal(gate, *words, columns=80, keys=b"", until=None):
    """Runs ctl on a terminal of this width. keys: sent once the output has matched `until`. Returns the exit
    code, the output, and whether the terminal's settings are as before."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    before = termios.tcgetattr(slave)
    process = subprocess.Popen([BINARY, "ctl", "-c", gate.config, *words], stdin=slave, stdout=slave,
                               stderr=slave, start_new_session=True)
    text, end = b"", time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if select.select([master], [], [], 0.05)[0]:
            text += os.read(master, 65536)
        elif process.poll() is not None:
            break
        if until and re.search(until, text):
            until = None
            if isinstance(keys, bytes):
                os.write(master, keys)
            else:
                process.send_signal(keys)
    code = process.wait(DEADLINE)
    after = termios.tcgetattr(slave)
    os.close(master)
    os.close(slave)
    return code, text.decode().replace("\r\n", "\n"), before == after


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_a_table_fits_the_terminal(site, columns):
    client = site.client().establish()
    code, text, _ = terminal(site, "tunnels", columns=columns)
    names, [row] = table(text)
    assert code == 0 and max(len(line) for line in text.splitlines()) <= columns
    assert names[:2] == ["id", "user"] and row[1] == "alice"
    assert ("method" in names) == (columns == 140)
    client.close()


def test_a_pipe_gets_every_column(site):
    client = site.client().establish()
    names, [row] = table(ctl(site, "tunnels").stdout)
    assert names == list(view(site, "tunnels")["items"][0])
    assert row[names.index("user")] == "alice" and len(row) == len(names)
    client.close()


def test_an_empty_table_has_its_names(site):
    assert table(ctl(site, "failures").stdout) == (
        ["time", "id", "listener", "client", "user", "host", "sni", "outcome", "stage", "reason", "words",
         "remedy", "detail", "backend", "server"], [])


def test_hostile_bytes_do_not_reach_the_terminal(bench, site):
    expect_failure(site.client(user=HOSTILE))
    site.wait_call()
    for done in (ctl(site, "failures").stdout, terminal(site, "failures", columns=400)[1]):
        assert "<script>\\u001b]0;x\\u0007\\u202e" in done
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", done)
    assert view(site, "failures")["items"][0]["user"] == HOSTILE


def test_ctl_escapes_the_answer_of_any_program(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        pid = os.fork()
        if pid == 0:
            peer, _ = server.accept()
            peer.recv(100)
            peer.sendall(b"a\tb\x1b[2J\n\x9b\xff\nerror: \x1b[31mred\n")
            os._exit(0)
        done = run("ctl", "-s", path, "status")
        os.waitpid(pid, 0)
    assert done.stdout == "a\tb\\u001b[2J\n\\udc9b\\udcff\n"
    assert done.stderr == "sstpgate ctl: \\u001b[31mred\n"


# -- watch --

@pytest.mark.parametrize("keys", [b"q", signal.SIGINT, signal.SIGTERM])
def test_watch_ends_and_restores_the_terminal(site, keys):
    client = site.client().establish()
    done, text, restored = terminal(site, "tunnels", "--watch", "0.1", keys=keys,
                                    until=rb"(?s)alice.*alice")
    assert (done, restored) == (0, True)
    assert text.startswith("\x1b[?1049h") and text.endswith("\x1b[?25h\x1b[?1049l")
    assert "Every 0.1s: sstpgate ctl tunnels" in text
    client.close()


def test_watch_ends_with_the_gate(site):
    process = subprocess.Popen([BINARY, "ctl", "-c", site.config, "--watch=0.1", "status"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline().startswith(b"version: ")
    site.signal(signal.SIGTERM)
    assert site.wait_exit() == 0
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1 and re.search(b"no gate at|no answer from", errors)


def test_watch_into_a_pipe(site):
    """Another program gets one object after the other."""
    process = subprocess.Popen([BINARY, "ctl", "-c", site.config, "tunnels", "--json", "--watch", "0.1"],
                               stdout=subprocess.PIPE)
    for _ in range(3):
        assert json.loads(process.stdout.readline())["total"] == 0
    process.terminate()
    assert process.wait(DEADLINE) == 0
    process.stdout.close()


@pytest.mark.parametrize("arguments, text", [
    (["--watch=x", "status"], "usage:"), (["status", "--watch=0"], "usage:"), (["--json"], "usage:"),
    (["--json", "reload"], "reload has no answer as JSON"),
    (["-s", "/x", "drain", "", "--json"], "drain has no answer as JSON")])
def test_wrong_usage(arguments, text):
    done = run("ctl", *arguments)
    assert done.returncode == 2 and text in done.stderr


# -- completion --

def complete(line):
    """Returns what bash offers at the end of the line."""
    words = line.split(" ")
    script = (f'eval "$({BINARY} --completion bash)"\nCOMP_WORDS=("$@")\nCOMP_CWORD=$(($# - 1))\n'
              '_sstpgate\nprintf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True,
                          timeout=DEADLINE)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_completion():
    commands = {line.split()[0] for line in run("ctl", "help").stdout.split("\n\n")[0].splitlines()}
    assert commands <= complete("sstpgate ctl ")
    assert complete("sstpgate ctl tun") == {"tunnels"}
    assert complete("sstpgate -c /etc/x.conf ctl -s /run/x fail") == {"failures"}
    assert {"user", "address", "listener", "server", "--json"} <= complete("sstpgate ctl tunnels ")
    assert complete("sstpgate ctl unban a") == {"all"}
    assert complete("sstpgate ct") == {"ctl"}
    assert {"user", "binding", "ctl", "--test", "--completion"} <= complete("sstpgate ")
    assert complete("sstpgate --com") == {"--completion"}
    assert complete("sstpgate ctl status x") == set()


def test_completion_of_another_shell():
    done = run("--completion", "fish")
    assert done.returncode == 2 and "bash" in done.stderr
