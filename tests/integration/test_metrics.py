"""The metrics (conf/OPERATION.md#metrics), as `sstpgate ctl metrics` prints them: each counter with the event
that it counts, their form, and the files that use their names."""

import json
import re
import socket
import subprocess
import time

import pytest

from conftest import USERS
from gate import ROOT, eventually, run
from peers.client import CallFailed, Client, expect_failure
from peers.tls import DEADLINE
from test_fallback import Site
from test_limits import misbehave

SAMPLE = re.compile(r'([a-z_]+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Metrics(dict):
    """The samples of one scrape, by name and labels."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        for line in text.splitlines():
            if not line.startswith("#"):
                name, labels, value = SAMPLE.fullmatch(line).groups()
                key = (name, frozenset(LABEL.findall(labels or "")))
                assert key not in self, line
                self[key] = float(value)

    def __call__(self, name, **labels):
        """Returns the value of one sample; None: it is missing."""
        return self.get((name, frozenset(labels.items())))

    def names(self):
        """Returns the names of the metrics, without the suffixes of histograms."""
        return re.findall(r"^# TYPE (\S+)", self.text, re.M)


def scrape(gate):
    done = run("ctl", "-c", gate.config, "metrics")
    assert (done.returncode, done.stderr) == (0, "")
    return Metrics(done.stdout)


def start(bench, server, gate=None, **more):
    return bench.gate(server, gate={"admin": f"unix:metrics-{bench.count}.sock", **(gate or {})}, **more)


def wait_for(gate, value, name, **labels):
    """Scrapes until the sample has this value, because no line of the log reports the event."""
    eventually(lambda: scrape(gate)(name, **labels) == value, lambda: (name, labels, scrape(gate).text))


# -- what is counted --

def test_a_tunnel(bench):
    """The samples of a tunnel exist while it is up, and the bytes are those of its line in the log."""
    gate = start(bench, bench.backend())
    client = bench.client(gate).establish().ping()
    m = scrape(gate)
    front = {"listener": "front"}
    at = {"listener": "front", "backend": "back"}
    assert (m("sstpgate_calls"), m("sstpgate_tunnels", **at), m("sstpgate_tunnels_total", **at)) == (1, 1, 1)
    assert m("sstpgate_handshakes_total", **front, version="TLSv1.3") == 1
    assert m("sstpgate_handshakes_total", **front, version="TLSv1.2") == 0
    for side in ("client", "server"):
        assert sum(m("sstpgate_tls_records_total", side=side, path=path) for path in ("gate", "openssl")) == 1
    assert m("sstpgate_bindings_total", verdict="verified", key="ms-chapv2", hash="sha256") == 1
    for name in ("sstpgate_handshake_seconds", "sstpgate_tunnel_setup_seconds"):
        assert m(f"{name}_count") == m(f"{name}_bucket", le="+Inf") == m(f"{name}_bucket", le="30") == 1
        assert 0 <= m(f"{name}_sum") < DEADLINE
    assert m("sstpgate_tunnel_setup_seconds_sum") >= m("sstpgate_handshake_seconds_sum")

    before = [m("sstpgate_packets_total", **front, direction=d) for d in ("up", "down")]
    client.ping()
    live = scrape(gate)
    assert [live("sstpgate_packets_total", **front, direction=d) for d in ("up", "down")] == [
        n + 1 for n in before]

    client.close()
    call = gate.wait_call()
    m = scrape(gate)
    for direction in ("up", "down"):
        assert m("sstpgate_bytes_total", **front, direction=direction) == int(call[f"{direction}-octets"])
        assert m("sstpgate_packets_total", **front, direction=direction) == int(call[f"{direction}-packets"])
    assert m("sstpgate_calls_total", **front, reason="client-closed", outcome="ended") == 1
    assert (m("sstpgate_calls"), m("sstpgate_tunnels", **at), m("sstpgate_tunnels_total", **at)) == (0, 0, 1)
    assert m("sstpgate_bindings_total", verdict="verified", key="ms-chapv2", hash="sha256") == 1


def test_calls_that_fail(bench):
    """Reasons that did not occur have no sample, except the usual ones, which are 0 from the start."""
    gate = start(bench, bench.backend(users={"alice": "other"}))
    m = scrape(gate)
    front = {"listener": "front"}
    assert m("sstpgate_calls_total", **front, reason="login-refused", outcome="failed") == 0
    assert m("sstpgate_calls_total", **front, reason="host-refused", outcome="refused") is None
    client = bench.client(gate)
    with pytest.raises(CallFailed):
        client.establish()
    client.close()
    assert gate.wait_call()["reason"] == "login-refused"
    misbehave(bench, gate)
    m = scrape(gate)
    assert m("sstpgate_calls_total", **front, reason="login-refused", outcome="failed") == 1
    assert m("sstpgate_calls_total", **front, reason="client-bad-packet", outcome="failed") == 1
    assert m("sstpgate_login_failures_total", **front) == 1
    assert m("sstpgate_tunnels_total", **front, backend="back") == 0


def test_no_call_is_missing(bench):
    """Calls without a line `call` count, too: health checks and denied addresses."""
    gate = start(bench, bench.backend(), rules=[("deny", "127.0.0.8")])
    socket.create_connection(gate.address()).close()
    expect_failure(bench.client(gate, bind="127.0.0.8"))
    front = {"listener": "front"}
    wait_for(gate, 1, "sstpgate_calls_total", **front, reason="client-closed", outcome="ended")
    wait_for(gate, 1, "sstpgate_calls_total", **front, reason="address-denied", outcome="refused")
    assert scrape(gate)("sstpgate_denials_total", **front, action="reset") == 1


def test_a_binding_that_is_refused(bench):
    server = bench.backend()
    gate = start(bench, server)
    client = Client(bench.mitm(gate, "none").address)
    bench.clients.append(client)
    expect_failure(client, "connected")
    gate.wait_call()
    m = scrape(gate)
    assert m("sstpgate_binding_leaf_unknown_total") == 1
    assert m("sstpgate_bindings_total", verdict="failed", key="none", hash="sha256") == 1
    assert m("sstpgate_calls_total", listener="front", reason="binding-leaf", outcome="failed") == 1


def test_each_action_of_a_denial(bench):
    rules = [("deny", "address 127.0.0.2 action reset"), ("deny", "address 127.0.0.3 action drop"),
             ("deny", "address 127.0.0.4 action decoy"), ("deny", "address 127.0.0.5 dry-run"), ("deny", "user alice")]
    gate = start(bench, bench.backend(), rules=rules)
    for number, source in enumerate(("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")):
        client = bench.client(gate, bind=source)
        if number == 1:
            gate.pause()  # a reset that came earlier would be an error of connect()
            client.open()
            gate.resume()
        else:
            expect_failure(client)
    actions = [(event["client"].partition(":")[0], event["action"]) for event in gate.wait(
        lambda: gate.events("deny") if len(gate.events("deny")) >= 5 else None, "deny")]
    m = scrape(gate)
    for action in ("reset", "drop", "decoy", "disconnect", "dry-run"):
        assert m("sstpgate_denials_total", listener="front", action=action) == sum(
            a == action for _, a in actions), action
    assert {a for _, a in actions} == {"reset", "drop", "decoy", "disconnect", "dry-run"}


def test_limits_and_bans(bench):
    server = bench.backend()
    gate = start(bench, server, gate={"max-tunnels-per-address": 1, "max-tunnels": 3, "ban-points": 5})
    bench.client(gate, bind="127.0.0.2").establish()
    expect_failure(bench.client(gate, bind="127.0.0.2"))
    misbehave(bench, gate, bind="127.0.0.3")
    expect_failure(bench.client(gate, bind="127.0.0.3"))
    m = scrape(gate)
    assert m("sstpgate_limit_hits_total", limit="max-tunnels-per-address") == 1
    assert m("sstpgate_limit_hits_total", limit="ban-points") == 1
    assert m("sstpgate_limit_hits_total", limit="max-tunnels") == 0
    assert (m("sstpgate_bans"), m("sstpgate_bans_total")) == (1, 1)
    assert run("ctl", "-c", gate.config, "unban", "all").returncode == 0
    m = scrape(gate)
    assert (m("sstpgate_bans"), m("sstpgate_bans_total")) == (0, 1)
    assert run("ctl", "-c", gate.config, "ban", "192.0.2.1").returncode == 0
    m = scrape(gate)
    assert (m("sstpgate_bans"), m("sstpgate_bans_total")) == (1, 2)
    for source in ("127.0.0.4", "127.0.0.5"):
        bench.client(gate, bind=source).establish()
    waits = socket.create_connection(gate.address())
    gate.wait_log("max-tunnels .* reached")
    assert scrape(gate)("sstpgate_limit_hits_total", limit="max-tunnels") >= 1
    waits.close()


def test_a_full_server(bench):
    server = bench.backend()
    gate = start(bench, server, backend={"server": f"{server.address} max-tunnels 1"})
    bench.client(gate).establish()
    expect_failure(bench.client(gate))
    name = server.address
    m = scrape(gate)
    assert m("sstpgate_limit_hits_total", limit="server-max-tunnels") == 1
    assert m("sstpgate_server_tunnels", backend="back", server=name) == 1


def test_the_web_site_counts_as_bytes(bench):
    with Site() as site:
        gate = bench.start({
            "gate": {"workers": 1, "admin": "unix:metrics-web.sock"},
            "listener front": bench.listener_keys(fallback="web"),
            "backend web": {"server": site.address, "tls": "no"},
            "backend back": bench.backend_keys(bench.backend())})
        client = bench.client(gate, head=b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        client.open().secure().send_request()
        client.read_answer()
        client.close()
        call = gate.wait_call()
        m = scrape(gate)
        assert int(call["up-octets"]) > 0
        for direction in ("up", "down"):
            assert m("sstpgate_bytes_total", listener="front", direction=direction) == int(
                call[f"{direction}-octets"])
            assert m("sstpgate_packets_total", listener="front", direction=direction) == 0


def test_servers(bench):
    """A server that is checked, and one that is down."""
    server = bench.backend()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        down = "{}:{}".format(*closed.getsockname())
    gate = start(bench, server, backend={"server": [server.address, down], "check": "tcp",
                                         "check-interval": "1s", "fall": 1})
    both = [{"backend": "back", "server": name} for name in (server.address, down)]
    gate.wait_event("server")
    wait_for(gate, 0, "sstpgate_server_up", **both[1])
    m = scrape(gate)
    assert m("sstpgate_server_up", **both[0]) == 1
    assert 0 <= m("sstpgate_server_check_seconds", **both[0]) < DEADLINE
    assert m("sstpgate_server_check_seconds", **both[1]) is None  # none has passed


def test_the_process(bench):
    began = time.time()
    gate = start(bench, bench.backend(), gate={"workers": 2})
    m = scrape(gate)
    assert abs(m("process_start_time_seconds") - began) < DEADLINE
    assert m("process_open_fds") == gate.descriptors() + 1  # the connection of ctl
    assert 0 < m("process_resident_memory_bytes") < m("process_virtual_memory_bytes")
    assert m("process_max_fds") >= m("process_open_fds")
    assert 0 < m("process_cpu_seconds_total") < DEADLINE
    assert {value for (name, _), value in m.items() if name == "sstpgate_build_info"} == {1}
    for worker in ("0", "1"):
        assert 0 <= m("sstpgate_loop_lag_seconds", worker=worker) < DEADLINE
    assert (m("sstpgate_draining"), m("sstpgate_log_lines_dropped_total")) == (0, 0)


def test_the_end_of_a_certificate(bench):
    end = subprocess.run(["openssl", "x509", "-in", bench.place.front.cert, "-noout", "-enddate", "-dateopt",
                          "iso_8601"], capture_output=True, text=True, check=True).stdout.strip()
    seconds = time.mktime(time.strptime(end, "notAfter=%Y-%m-%d %H:%M:%SZ")) - time.timezone
    gate = start(bench, bench.backend())
    assert scrape(gate)("sstpgate_certificate_not_after_seconds", listener="front",
                        certificate=str(bench.place.front.both)) == seconds


def test_a_drain(bench):
    gate = start(bench, bench.backend())
    client = bench.client(gate).establish()
    run("ctl", "-c", gate.config, "drain")
    assert scrape(gate)("sstpgate_draining") == 1
    client.close()


# -- a reload --

def test_reloads(bench):
    """The outcome is that of the last one. Counters of a listener continue, also while it is gone."""
    gate = start(bench, bench.backend())
    at = {"listener": "front", "backend": "back"}
    client = bench.client(gate).establish().ping()
    m = scrape(gate)
    assert m("sstpgate_last_reload_success") == 1
    assert m("sstpgate_last_reload_timestamp_seconds") == m("process_start_time_seconds")
    good = gate.config.read_text()

    gate.config.write_text(good.replace("default = allow", "default = perhaps"))
    gate.reload()
    assert scrape(gate)("sstpgate_last_reload_success") == 0

    gate.config.write_text(good.replace("listener front", "listener other"))
    gate.reload()
    m = scrape(gate)
    assert m("sstpgate_last_reload_success") == 1
    assert abs(m("sstpgate_last_reload_timestamp_seconds") - time.time()) < DEADLINE
    assert (m("sstpgate_tunnels", **at), m("sstpgate_tunnels_total", **at)) == (1, 1)
    assert m("sstpgate_tunnels_total", listener="other", backend="back") == 0

    gate.config.write_text(good)
    gate.reload()
    client.close()
    gate.wait_call()
    bench.client(gate, number=0).establish().close()
    gate.wait_call(1)
    m = scrape(gate)
    assert m("sstpgate_tunnels_total", **at) == 2
    assert m("sstpgate_calls_total", listener="front", reason="client-closed", outcome="ended") == 2


# -- the form --

def check_form(text):
    return subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True,
                          timeout=DEADLINE)


@pytest.fixture(scope="module")
def metrics(shared):
    """The metrics of a gate with every kind of section, and with a file whose name needs escapes."""
    odd = shared.place.folder / 'a "quoted" \\ name'
    odd.write_bytes(open(shared.place.front.both, "rb").read())
    odd.chmod(0o600)
    secret = shared.place.folder / "metrics.secret"
    secret.touch(mode=0o600)
    secret.write_text("of sixteen bytes and more\n")
    gate = shared.start({
        "gate": {"workers": 2, "admin": "unix:metrics-form.sock"},
        "listener front": shared.listener_keys(),
        "listener odd": {**shared.listener_keys(), "certificate": str(odd)},
        "backend back": {**shared.backend_keys(shared.backend()), "check": "tcp"},
        "radius nps": {"listen": "127.0.0.1:0", "clients": "127.0.0.0/8", "secret-file": "metrics.secret",
                       "server": "127.0.0.1:1"}})
    shared.client(gate).establish().ping().close()
    gate.wait_call()
    wait_for_check(gate)
    return scrape(gate)


def wait_for_check(gate):
    eventually(lambda: "sstpgate_server_check_seconds{" in scrape(gate).text, "no health check")


def test_promtool_has_nothing_to_say(metrics):
    done = check_form(metrics.text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_values_are_escaped(bench, metrics):
    assert '/a \\"quoted\\" \\\\ name"' in metrics.text


def test_no_address_of_a_client_and_no_user_in_labels(metrics):
    for name, labels in metrics:
        for key, value in labels:
            assert key not in ("user", "client", "address"), name
            assert value not in USERS, name
            assert key == "server" or not re.search(r"\d+\.\d+\.\d+\.\d+", value), (name, value)


# -- the files that use the names --

def test_the_chapter_lists_every_metric(metrics):
    text = (ROOT / "conf/OPERATION.md").read_text()
    listed = re.findall(r"^\| `((?:sstpgate|process)_[a-z_]+)(?:\{([a-z_, ]+)\})?` \|", text, re.M)
    assert sorted(name for name, _ in listed) == sorted(metrics.names())
    for name, labels in listed:
        for key, sample in metrics.items():
            if key[0] == name:
                assert {k for k, _ in key[1]} == set(filter(None, labels.split(", "))), key


def used_in(text):
    return set(re.findall(r"\b(?:sstpgate|process)_[a-z_]+", text))


def test_every_name_in_the_dashboard_and_in_the_rules_exists(metrics):
    board = json.loads((ROOT / "conf/grafana.json").read_text())
    exprs = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    exprs += [var["definition"] for var in board["templating"]["list"] if var["type"] == "query"]
    exprs += re.findall(r"^ +expr: (.*)$", (ROOT / "conf/prometheus-rules.yml").read_text(), re.M)
    known = set(metrics.names())
    known |= {f"{name}_{suffix}" for name in known if name.endswith("_seconds")
              for suffix in ("bucket", "sum", "count")}
    assert len(exprs) > 20
    for expr in exprs:
        assert used_in(expr) and used_in(expr) <= known, expr


def test_the_rules():
    """Each alert has a case in which it fires."""
    alerts = re.findall(r"alert: (\w+)", (ROOT / "conf/prometheus-rules.yml").read_text())
    cases = (ROOT / "tests/prometheus/rules.yml").read_text()
    for alert in alerts:
        assert re.search(rf"alertname: {alert}\n +exp_alerts:\n +- exp_labels", cases), alert
    for command in (["check", "rules", "conf/prometheus-rules.yml"],
                    ["test", "rules", "tests/prometheus/rules.yml"]):
        done = subprocess.run(["promtool", *command], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
