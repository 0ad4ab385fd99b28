"""The effects of rules on a call, in each of the three phases in which they decide: at the accept, at the
request, and when PPP shows the user (conf/README.md)."""

import datetime
import fcntl
import select
import statistics
import struct
import termios
import time
from pathlib import Path

import pytest

from conftest import USERS
from gate import run, write_config
from peers import head, pki, ppp, sstp
from peers.client import CallFailed, expect_failure, last_words
from test_address import admitted, refused
from test_fallback import MISSING, PAGE, Site, gate_before, without_date

GET = b"GET / HTTP/1.1\r\nHost: vpn.example.com\r\nConnection: close\r\n\r\n"
SSTP = head.request(b"vpn.example.com")
FOREIGN = head.request(b"www.example.com")
HELLO = bytes.fromhex("1603010005010000010000")
METHODS = ["pap", "mschapv2", "eap-mschapv2"]
CAP_NET_ADMIN = 12
UNSEEN = {"sandbox": "no"}  # a gate that keeps CAP_NET_ADMIN

# How long the client must receive nothing. A reset would be sent at once, before the line in the log.
SILENCE_MS = 300


def may_act_unseen():
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> CAP_NET_ADMIN & 1)


def line_of(gate, key, text):
    return str(1 + gate.config.read_text().splitlines().index(f"{key} = {text}"))


def call_from(gate, source):
    """Returns the line of the call from that address."""
    find = lambda: next((e for e in gate.events("call") if e["client"] == source), None)
    return gate.wait(find, f"call from {source}")


def answer(bench, gate, request, **knobs):
    """Returns all bytes of the answer, and the client, which has closed."""
    client = bench.client(gate, head=request, **knobs).establish("tls").send_request()
    octets = b""
    while (record := client.wire.read_record()) is not None:
        octets += record
    client.close()
    return octets, client


def dropped(client, may=None):
    """Asserts that the client gets no byte, FIN or RST, whatever it sends. may: the gate has CAP_NET_ADMIN, which
    the sandbox gives up. Without it some kernels attach no filters, and the reset leaves with a hop limit of 1: enough for
    loopback."""
    may = may_act_unseen() if may is None else may
    poll = select.poll()
    poll.register(client.wire.sock, select.POLLIN | select.POLLRDHUP)
    try:
        client.wire.sock.sendall(HELLO)
    except OSError:
        client.wire.ended = "reset"
    if may:
        assert not poll.poll(SILENCE_MS)
    elif poll.poll(SILENCE_MS):
        assert client.wire.wait_end() == "reset" and client.wire.records == 0


def request_reset(bench, gate, **knobs):
    """Asserts that the request is answered by a reset and nothing else."""
    failure = expect_failure(bench.client(gate, **knobs), "request")
    assert (failure.stage, failure.status, failure.end) == ("request", None, "reset")


@pytest.fixture
def site(bench):
    site = Site()
    bench.others.append(site)
    return site


# -- names of users --


@pytest.mark.parametrize("rule, name", [
    ("jürgen", "JÜRGEN"), ("JÜRGEN", "jürgen"), ("jürgen", "CORP\\Jürgen"), ("иван", "ИВАН@example.com"),
    ('"bob smith"', "Bob Smith"), ('"CORP\\bob *"', "corp\\BOB smith")])
def test_letter_case_of_a_user(bench, rule, name):
    """Directories ignore it beyond ASCII, too, so a rule must not be evaded with Shift."""
    server = bench.backend(users={name: "sesame", "alice": "sesame"}, auth=("pap",))
    gate = bench.gate(server, backend={"crypto_binding": "auto"}, rules=[("deny", f"user {rule}")])
    with bench.client(gate, user=name, auth=("pap",)) as client, pytest.raises(CallFailed):
        client.establish().ping()
    assert gate.wait_call()["reason"] == "user-denied"
    bench.client(gate, auth=("pap",)).establish().ping().disconnect()
    assert gate.wait_call(1)["reason"] == "client-disconnect"


# -- when the call is accepted --


@pytest.mark.parametrize("action", ["reset", "drop", "decoy"])
@pytest.mark.parametrize("where", ["address", "file", "any"])
def test_accept(bench, tmp_path, where, action):
    """The action is taken, and the log names the client and the line of the rule."""
    networks = tmp_path / "blocked.txt"
    networks.write_text("# these\n127.0.0.60\n127.0.0.64/29\n")
    text = {"address": "127.0.0.64/29", "file": f"file {networks}", "any": "any"}[where]
    server = bench.backend()
    gate = bench.gate(server, gate=UNSEEN if action == "drop" else {},
                      rules=[("allow", "127.0.0.2"), ("deny", f"{text} action {action}")])
    if action == "reset":
        refused(bench, gate, bind="127.0.0.66")
    elif action == "decoy":
        assert expect_failure(bench.client(gate, bind="127.0.0.66")).status == 404
        assert gate.wait_call()["reason"] == "rule-denied"
    else:
        client = bench.client(gate, bind="127.0.0.66").open()
        gate.wait_event("deny")
        dropped(client)
    event = gate.wait_event("deny")
    host, port = event["client"].rsplit(":", 1)
    assert host == "127.0.0.66" and int(port) > 0
    assert (event["listener"], event["rule"], event["action"]) == ("front", "2", action)
    if where == "file":
        assert (event["file"], event["line"]) == (str(networks), "3")
    else:
        assert event["line"] == line_of(gate, "deny", f"{text} action {action}")
        assert "file" not in event.fields
    admitted(bench, gate, bind="127.0.0.2")
    assert len(server.calls) == 1 and len(gate.events("deny")) == 1
    gate.wait_call(1 if action == "decoy" else 0)


def test_drop_with_a_hello_under_way(bench):
    """Bytes that the client has sent before the decision are not answered either."""
    gate = bench.gate(bench.backend(), gate=UNSEEN, rules=[("deny", "127.0.0.66 action drop")])
    gate.pause()
    client = bench.client(gate, bind="127.0.0.66").open()
    client.wire.sock.sendall(HELLO)
    # Waits for the acknowledgement, without which the data would be retransmitted to a closed connection. There
    # is no event for it.
    waiting = bytes(4)
    while any(waiting := fcntl.ioctl(client.wire.sock, termios.TIOCOUTQ, waiting)):
        select.select([], [], [], 0.001)
    gate.resume()
    gate.wait_event("deny")
    dropped(client)


def test_drop_without_the_right(bench):
    """The sandbox gives up CAP_NET_ADMIN."""
    gate = bench.gate(bench.backend(), rules=[("deny", "127.0.0.66 action drop")])
    gate.pause()
    client = bench.client(gate, bind="127.0.0.66").open()
    gate.resume()
    gate.wait_event("deny")
    dropped(client, may=False)


def test_deny_action(bench):
    """Applies to rules without an action, and to default."""
    gate = bench.gate(bench.backend(), listener={"deny_action": "decoy", "default": "deny"},
                      rules=[("deny", "127.0.0.66"), ("deny", "127.0.0.67 action reset"),
                             ("allow", "127.0.0.2")])
    for source in ("127.0.0.66", "127.0.0.68"):
        assert expect_failure(bench.client(gate, bind=source)).status == 404
    refused(bench, gate, bind="127.0.0.67")
    events = [gate.wait_event("deny", n) for n in range(3)]
    assert [(e["rule"], e["action"]) for e in events] == [("1", "decoy"), ("default", "decoy"),
                                                          ("2", "reset")]
    admitted(bench, gate, bind="127.0.0.2")


def test_decoy_without_site(bench):
    """The answer to a denied client is the same as that to a request for an unknown name."""
    gate = bench.gate(bench.backend(), listener={"host": "vpn.example.com"},
                      rules=[("deny", "127.0.0.66 action decoy")])
    for request in (GET, SSTP, FOREIGN):
        denied, client = answer(bench, gate, request, bind="127.0.0.66")
        allowed, other = answer(bench, gate, GET if request == GET else FOREIGN)
        assert denied.startswith(b"HTTP/1.1 404 ")
        assert without_date(denied) == without_date(allowed)
        assert client.wire.ended == other.wire.ended == "close-notify"


def test_decoy_with_site(bench, site):
    """The client gets the site's own answer, for its pages and for the request of SSTP."""
    gate = gate_before(bench, site, host="vpn.example.com", deny="127.0.0.66 action decoy")
    for request, status, page in ((GET, 200, PAGE), (SSTP, 405, MISSING), (FOREIGN, 405, MISSING)):
        denied, client = answer(bench, gate, request, bind="127.0.0.66")
        allowed, other = answer(bench, gate, GET if request == GET else FOREIGN)
        assert denied.startswith(b"HTTP/1.1 %d " % status) and denied.endswith(page)
        assert without_date(denied) == without_date(allowed)
        assert client.wire.ended == other.wire.ended
    assert not bench.server.calls
    bench.client(gate).establish().ping().disconnect()


@pytest.mark.alone
def test_decoy_takes_no_longer(bench, site):
    """Time reveals nothing: pages are requested in turn, and the medians are close."""
    gate = gate_before(bench, site, host="vpn.example.com", deny="127.0.0.66 action decoy")
    took = {"127.0.0.66": [], "127.0.0.65": []}
    for _ in range(60):
        for source, times in took.items():
            client = bench.client(gate, head=GET, bind=source).establish("tls")
            start = time.perf_counter()
            client.send_request().read_answer()
            times.append(time.perf_counter() - start)
            client.close()
            bench.clients.remove(client)
    denied, allowed = (statistics.median(times) for times in took.values())
    assert abs(denied - allowed) <= 0.3 * allowed + 0.001, (denied, allowed)


# -- at the request --

TENANT = head.request(b"vpn.example.com", uri=head.URI + b"?tenantid=acme")


@pytest.mark.parametrize("action", ["reset", "decoy"])
@pytest.mark.parametrize("condition, hit, miss", [
    ("host vpn.example.com", {}, {"host": "two.example.com"}),
    ("host *.example.com", {}, {"host": "example.com"}),
    ("sni vpn.example.com", {"sni": "vpn.example.com"}, {"sni": "two.example.com"}),
    ("tenant acme", {"head": TENANT}, {}),
], ids=["host", "below", "sni", "tenant"])
def test_request(bench, condition, hit, miss, action):
    rule = f"{condition} action {action}"
    server = bench.backend()
    gate = bench.gate(server, rules=[("deny", rule)])
    if action == "reset":
        request_reset(bench, gate, **hit)
    else:
        failure = expect_failure(bench.client(gate, **hit))
        assert (failure.status, failure.end) == (404, "close-notify")
    assert gate.wait_call()["reason"] == "rule-denied"
    event = gate.wait_event("deny")
    assert (event["rule"], event["line"], event["action"]) == ("1", line_of(gate, "deny", rule),
                                                               action)
    assert not server.calls
    bench.client(gate, **miss).establish().ping().disconnect()
    assert len(gate.events("deny")) == 1


def test_request_drop(bench):
    """The client does not even get the end of TLS."""
    gate = bench.gate(bench.backend(), gate=UNSEEN, rules=[("deny", "host vpn.example.com action drop")])
    client = bench.client(gate, tls_max="1.2").establish("tls").send_request()
    assert gate.wait_call()["reason"] == "rule-denied"
    dropped(client)


def test_one_tenant(bench):
    """A single allow excludes all other tenants."""
    server = bench.backend()
    gate = bench.gate(server, listener={"default": "deny"}, rules=[("allow", "tenant ACME")])
    bench.client(gate, head=TENANT).establish().ping().disconnect()
    for other in (SSTP, TENANT.replace(b"acme", b"acm"), TENANT.replace(b"acme", b"acmes"),
                  TENANT.replace(b"=acme", b"=evil&tenantid=acme")):
        request_reset(bench, gate, head=other)
    assert len(server.calls) == 1
    assert {gate.wait_event("deny", number)["rule"] for number in range(4)} == {"default"}


@pytest.mark.parametrize("value", [b"evil", b"%65vil", b"EV%49%4c", b"ev%69l&tenantid=acme"])
def test_escapes_hide_no_tenant(bench, value):
    """The server decodes the escapes, so the rule applies to the decoded value."""
    server = bench.backend()
    gate = bench.gate(server, rules=[("deny", "tenant evil")], backend={"pass-tenant": "yes"})
    request_reset(bench, gate, head=TENANT.replace(b"acme", value))
    assert not server.calls


@pytest.mark.parametrize("value", [b"evil%00", b"evil%00x", b"%0Aevil", b"evil%7f", b"evil%", b"evil%0g"])
def test_tenant_that_servers_read_in_other_ways(bench, value):
    """A server whose strings end at NUL would read `evil`, so such a request is not SSTP."""
    server = bench.backend()
    gate = bench.gate(server, rules=[("deny", "tenant evil")], backend={"pass-tenant": "yes"})
    assert expect_failure(bench.client(gate, head=TENANT.replace(b"acme", value))).status == 404
    assert gate.wait_call()["reason"] == "not-sstp"
    assert not server.calls


@pytest.mark.parametrize("rule, value", [
    (("allow", "tenant " + "t" * 100), b"%74" * 100), (("deny", "tenant evil"), b"evil#"),
    (("deny", "tenant " + "t" * 100), b"%74" * 78 + b"t" * 22)])
def test_tenant_that_no_server_gets(bench, rule, value):
    """A rule must not decide by a tenant that the server never receives."""
    server = bench.backend()
    gate = bench.gate(server, listener={"default": "deny" if rule[0] == "allow" else "allow"}, rules=[rule],
                      backend={"pass-tenant": "yes"})
    assert expect_failure(bench.client(gate, head=TENANT.replace(b"acme", value))).status == 404
    assert gate.wait_call()["reason"] == "not-sstp"
    assert not server.calls


def test_request_gets_the_site(bench, site):
    gate = gate_before(bench, site, host="vpn.example.com", deny="host vpn.example.com action decoy")
    denied, _ = answer(bench, gate, SSTP)
    assert gate.wait_call()["reason"] == "rule-denied"
    foreign, _ = answer(bench, gate, FOREIGN)
    assert denied.startswith(b"HTTP/1.1 405 ") and without_date(denied) == without_date(foreign)
    assert not bench.server.calls


# -- when PPP shows the user --


def results(client, seen):
    """Returns the frames that end an authentication, inside EAP too."""
    found = []
    for frame in seen:
        protocol, body = ppp.parse_frame(frame)
        code = body[0] if body else 0
        if protocol == ppp.PAP and code in (2, 3) or \
           protocol in (ppp.CHAP, ppp.EAP) and code in (3, 4) or \
           protocol == ppp.EAP and code == 1 and body[4] == 26 and body[5] in (3, 4):
            found.append(frame)
    return found


def people(bench, **more):
    names = {**USERS, **dict.fromkeys(("guest", "guest1", "alice@example.com"), USERS["alice"])}
    return bench.backend(users=names, **more)


def user_denied(bench, gate, server, *, change=None, number=0, **knobs):
    """Asserts a Call Disconnect for both peers, and no result of the login. change: called with the Client
    before its login."""
    client = bench.client(gate, **knobs).establish("start")
    source = "%s:%d" % client.wire.sock.getsockname()
    seen = []
    take = client.link.on_frame
    client.link.on_frame = lambda frame: (seen.append(frame), take(frame))
    if change:
        change(client)
    with pytest.raises(CallFailed) as failure:
        client.authenticate().connect().bring_up()
    assert failure.value.abort is not None and failure.value.abort.type == sstp.DISCONNECT
    assert client.wait_end() == "close-notify"
    client.close()
    assert not results(client, seen) and ppp.IPCP not in client.link.protocols
    record = server.wait_over(number)
    assert record.seen[-1] == "disconnect" and "connected" not in record.seen
    assert call_from(gate, source)["reason"] == "user-denied"
    event = next(event for event in gate.events("deny") if event["client"] == source)
    assert event["action"] == "disconnect"
    return event, record


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rule, default", [(("allow", "user alice"), "deny"),
                                           (("deny", "user guest*"), "allow")])
def test_user(bench, method, rule, default):
    server = people(bench, auth=(method,))
    gate = bench.gate(server, listener={"default": default}, rules=[rule])
    event, record = user_denied(bench, gate, server, auth=(method,), user="guest1")
    assert (event["user"], event["rule"]) == ("guest1", "1" if rule[0] == "deny" else "default")
    assert record.user is None, "the server never heard of it"
    event, _ = user_denied(bench, gate, server, auth=(method,), user="CORP\\guest1", number=1)
    assert event["user"] == "CORP\\guest1"
    for user in ("alice", "CORP\\alice", "alice@example.com"):
        bench.client(gate, auth=(method,), user=user).establish().ping().disconnect()
    assert len(gate.events("deny")) == 2


@pytest.mark.parametrize("user", ["alice", "CORP\\alice", "alice@example.com", "ALICE"])
def test_user_in_every_form(bench, user):
    """A pattern without a domain matches the name with every domain."""
    server = people(bench)
    gate = bench.gate(server, rules=[("deny", "user alice")])
    assert user_denied(bench, gate, server, user=user)[0]["user"] == user


def test_user_with_domain(bench):
    """A pattern with a realm matches only this realm."""
    server = people(bench)
    gate = bench.gate(server, listener={"default": "deny"}, rules=[("allow", "user *@example.com")])
    bench.client(gate, user="alice@example.com").establish().ping().disconnect()
    for number, user in enumerate(("alice", "alice@example.org", "CORP\\alice"), 1):
        user_denied(bench, gate, server, user=user, number=number)


@pytest.mark.parametrize("user", ["CORP\\alice@example.com", "alice@example.com@hub", "alice@example.com@"])
def test_user_with_domain_in_every_form(bench, user):
    """Each of these names is alice@example.com to some server."""
    server = bench.backend(users={user: USERS["alice"]})
    gate = bench.gate(server, rules=[("deny", "user alice@example.com")])
    assert user_denied(bench, gate, server, user=user)[0]["user"] == user


def two_names(other_first, inner_only=False):
    """Makes a client answer each question of the login twice, as alice and as guest. With "joined" as `shape`
    the second answer arrives before the server has answered the first."""
    def change(client):
        send = client.link.send

        def twice(protocol, body):
            both = [body, body.replace(b"alice", b"guest")]
            identity = protocol == ppp.EAP and body[4:5] == b"\1"
            if both[0] == both[1] or protocol not in (ppp.PAP, ppp.CHAP, ppp.EAP) or \
               (inner_only and identity):
                both = [body]
            for one in reversed(both) if other_first else both:
                send(protocol, one)
        client.link.send = twice
    return change


def admitted_as_alice(bench, gate, server, method, change):
    """Asserts that the gate does not forward the second name."""
    client = bench.client(gate, auth=(method,), shape="joined").establish("start")
    change(client)
    client.authenticate().connect().bring_up().ping().disconnect()
    call = gate.wait_call()
    assert (call["user"], call["reason"]) == ("alice", "client-disconnect")
    assert int(call["frames-dropped"]) >= 1
    assert server.calls[0].link.auth.user == "alice"


@pytest.mark.parametrize("other_first", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rule, default", [(("allow", "user alice"), "deny"),
                                           (("deny", "user guest"), "allow")])
def test_two_names(bench, method, rule, default, other_first):
    """The rules and the server use the first name."""
    server = people(bench, auth=(method,))
    gate = bench.gate(server, listener={"default": default}, rules=[rule])
    change = two_names(other_first)
    if other_first:
        user_denied(bench, gate, server, auth=(method,), shape="joined", change=change)
    else:
        admitted_as_alice(bench, gate, server, method, change)


@pytest.mark.parametrize("rule, default", [(("allow", "user x*"), "deny"),
                                           (("deny", "user x*"), "allow")])
@pytest.mark.parametrize("method", METHODS)
def test_two_names_of_which_none_matters(bench, method, rule, default):
    """A second name does not hide the first."""
    server = people(bench, auth=(method,))
    gate = bench.gate(server, listener={"default": default}, rules=[rule])
    change = two_names(False, inner_only=True)
    if default == "deny":
        user_denied(bench, gate, server, auth=(method,), shape="joined", change=change)
    else:
        admitted_as_alice(bench, gate, server, method, change)


def test_no_login_at_all(bench):
    """Call Connected arrives without a user name."""
    server = people(bench)
    gate = bench.gate(server, listener={"default": "deny"}, rules=[("allow", "user alice")])
    client = bench.client(gate, zero_key=True).establish("start")
    client.send(client.binding())
    assert last_words(client).type == sstp.DISCONNECT
    assert gate.wait_call()["reason"] == "user-denied"
    assert server.wait_over().seen == ["connect-request", "disconnect"]
    assert gate.wait_event("deny")["rule"] == "default"


def test_address_and_user(bench):
    """All conditions of a rule must hold."""
    server = people(bench)
    gate = bench.gate(server, rules=[("deny", "127.0.0.66 user alice")])
    user_denied(bench, gate, server, bind="127.0.0.66")
    bench.client(gate, bind="127.0.0.65").establish().ping().disconnect()
    bench.client(gate, bind="127.0.0.66", user="bob",
                 password=USERS["bob"]).establish().ping().disconnect()


# -- the time --


def hours(first, last):
    """Returns a time window relative to the current hour; it may cross midnight."""
    now = datetime.datetime.now(datetime.timezone.utc).hour
    return f"Mon-Sun {(now + first) % 24:02}:00-{(now + last) % 24:02}:00 UTC"


def days(*offsets):
    names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    today = datetime.datetime.now(datetime.timezone.utc).weekday()
    return ",".join(names[(today + n) % 7] for n in offsets) + " 00:00-24:00 UTC"


@pytest.mark.parametrize("window, holds", [
    (lambda: hours(-3, 4), True), (lambda: hours(6, 12), False),
    (lambda: days(-1, 0, 1), True), (lambda: days(2, 3, 4, 5), False),
], ids=["hours", "other-hours", "days", "other-days"])
def test_time(bench, window, holds):
    rule = f"any time {window()}"
    gate = bench.gate(bench.backend(), rules=[("deny", rule)])
    if holds:
        refused(bench, gate)
        assert gate.wait_event("deny")["line"] == line_of(gate, "deny", rule)
    else:
        admitted(bench, gate)
        assert not gate.events("deny")


# -- dry-run --


@pytest.mark.parametrize("rule", ["127.0.0.0/8 action reset", "any action decoy", "any action drop",
                                  "host vpn.example.com", "user alice"])
def test_dry_run(bench, rule):
    """Every client is admitted, and each call that would be denied causes one line."""
    gate = bench.gate(bench.backend(), listener={"mode": "dry-run"},
                      rules=[("deny", rule), ("deny", "user *")])
    for number in range(2):
        bench.client(gate).establish().ping().disconnect()
        event = gate.wait_event("deny", number)
        assert (event["rule"], event["action"]) == ("1", "dry-run")
        assert gate.wait_call(number)["reason"] == "client-disconnect"
    assert len(gate.events("deny")) == 2


def test_dry_run_of_one_rule(bench):
    """The others are enforced; the log names the dry-run rule, and -t counts it."""
    gate = bench.gate(bench.backend(), rules=[("deny", "127.0.0.66"), ("deny", "dry-run user alice"),
                                              ("deny", "127.0.0.67 dry-run action drop")])
    refused(bench, gate, bind="127.0.0.66")
    assert gate.wait_event("deny")["action"] == "reset"
    bench.client(gate).establish().ping().disconnect()
    event = gate.wait_event("deny", 1)
    assert (event["rule"], event["action"], event["user"]) == ("2", "dry-run", "alice")
    assert gate.wait_call()["reason"] == "client-disconnect"
    assert len(gate.events("deny")) == 2
    done = run("-t", "-c", gate.config)
    assert done.returncode == 0
    assert "warning: listener front: dry-run: 2 of 3 rules are not enforced" in done.stdout + done.stderr
    assert "2 of 3 rules are not enforced" in gate.wait_event("config")["msg"]


# -- tunnels that are up --


class Setting:
    """A gate whose rules can change while alice and bob are up, from addresses of their own."""

    def __init__(self, bench, **listener):
        self.server = people(bench)
        self.keys = {"gate": {"workers": 1}, "listener front": bench.listener_keys(**listener),
                     "backend back": bench.backend_keys(self.server)}
        self.gate = bench.start(self.keys)
        self.alice = bench.client(self.gate, bind="127.0.0.66").establish().ping()
        self.bob = bench.client(self.gate, bind="127.0.0.67", user="bob",
                                password=USERS["bob"]).establish().ping()

    def deny(self, rule):
        self.keys["listener front"]["deny"] = rule
        write_config(self.gate.config, self.keys)
        assert self.gate.reload()[-1].level == "info"


RECHECKED = ["127.0.0.66", "user alice", "user ali* host vpn.example.com", "127.0.0.66 action drop",
             "127.0.0.66 action decoy"]


@pytest.mark.parametrize("rule", RECHECKED)
def test_recheck(bench, rule):
    it = Setting(bench, recheck_tunnels="yes")
    it.deny(rule)
    assert last_words(it.alice).type == sstp.DISCONNECT
    assert it.server.wait_over().seen[-1] == "disconnect"
    call = it.gate.wait_call()
    assert (call["reason"], call["user"]) == ("rules-changed", "alice")
    event = it.gate.wait_event("deny")
    assert (event["action"], event["user"], event["rule"]) == ("disconnect", "alice", "1")
    it.bob.ping().disconnect()
    assert len(it.gate.events("deny")) == 1


@pytest.mark.parametrize("keys", [{"recheck_tunnels": "no"}, {},
                                  {"recheck_tunnels": "yes", "mode": "dry-run"}])
def test_no_recheck(bench, keys):
    """New rules apply to new calls only."""
    it = Setting(bench, **keys)
    it.deny("127.0.0.66")
    it.alice.ping()
    if "mode" not in keys:
        refused(bench, it.gate, bind="127.0.0.66")
    it.alice.ping().disconnect()
    it.bob.ping().disconnect()
    assert [it.gate.wait_call(n)["reason"] for n in range(2)] == ["client-disconnect"] * 2


@pytest.mark.parametrize("rule", ["127.0.0.68", "user alice"])
@pytest.mark.parametrize("stage", ["tls", "start", "authenticate"])
def test_recheck_of_one_on_its_way(bench, stage, rule):
    """A call that the old rules have admitted is ended when it would become a tunnel that the new ones deny."""
    it = Setting(bench, recheck_tunnels="yes")
    client = bench.client(it.gate, bind="127.0.0.68").establish(stage)
    it.deny(rule)
    with pytest.raises(CallFailed) as failure:
        steps = [client.ask, client.start, client.authenticate, client.connect, client.bring_up]
        for step in steps[{"tls": 0, "start": 2, "authenticate": 3}[stage]:]:
            step()
        client.ping()
    assert failure.value.abort is not None and failure.value.abort.type == sstp.DISCONNECT
    source = "%s:%d" % client.wire.sock.getsockname()
    client.wait_end()
    client.close()
    assert call_from(it.gate, source)["reason"] == "rules-changed"
    it.bob.ping().disconnect()


# -- the time --


def zone_that_changes(at, before, after):
    """A TZif file of version 2: seconds east of UTC before and after a time."""
    def head(times, types):
        return b"TZif2" + bytes(15) + struct.pack(">6I", 0, 0, 0, times, types, 4)

    kinds = struct.pack(">iBB", before, 0, 0), struct.pack(">iBB", after, 1, 0)
    return (head(0, 1) + kinds[0] + b"XXX\0" + head(1, 2) + struct.pack(">q", at) + b"\1" + b"".join(kinds)
            + b"XXX\0" + b"\n\n")


@pytest.mark.calm
@pytest.mark.parametrize("recheck", ["yes", "no"])
def test_a_window_that_ends(bench, tmp_path, recheck):
    """The clock changes from morning to evening as in a change to summer time, and nothing is reloaded."""
    now = int(time.time())
    zone = tmp_path / "zone"
    zone.write_bytes(zone_that_changes(now + 4, 6 * 3600 - now % 86400, 18 * 3600 - now % 86400))
    server = people(bench)
    keys = {"gate": {"workers": 1, "timeout-idle": "7s"},
            "listener front": bench.listener_keys(
                recheck_tunnels=recheck, default="deny",
                allow=["user bob", "any time Mon-Sun 00:00-12:00 local"]),
            "backend back": bench.backend_keys(server)}
    gate = bench.start(keys, before=(
        "unshare", "--mount", "sh", "-c", f'mount --bind {zone} /etc/localtime && exec "$@"', "sh"))
    alice = bench.client(gate).establish().ping()
    bob = bench.client(gate, user="bob", password=USERS["bob"]).establish().ping()
    line = gate.wait_call()
    if recheck == "yes":
        assert (line["reason"], line["user"]) == ("window-ended", "alice")
    else:
        assert line["reason"] == "idle-timeout"
    alice.close()
    bob.close()


def test_max_session(bench):
    gate = bench.gate(bench.backend(), listener={"max_session": "2s"})
    client = bench.client(gate).establish().ping()
    assert last_words(client).type == sstp.DISCONNECT
    line = gate.wait_call()
    assert line["reason"] == "max-session" and 2 <= float(line["duration"]) < 6


# -- certificates that expire --


def expiring(bench, days):
    cert = pki.make(bench.place.folder, f"days-{days}", names=["vpn.example.com"], days=days)
    return bench.gate(bench.backend(), listener={"certificate": Path(cert.both).name})


def test_expiry(bench):
    """Warnings appear at the start and at every reload."""
    gate = expiring(bench, 5)
    for number in range(2):
        event = gate.wait_event("expiry", number)
        assert event.level == "warning" and "days-5.pem" in event["msg"]
        assert gate.reload()[-1].level == "info"
    assert len(gate.events("expiry")) == 3
    admitted(bench, gate)


def test_no_expiry(bench):
    gate = expiring(bench, 90)
    assert gate.reload()[-1].level == "info"
    admitted(bench, gate)
    assert not gate.events("expiry")
