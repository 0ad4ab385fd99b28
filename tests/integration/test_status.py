"""The status listener: who may use it, its bounds, health and readiness. The objects of the API and the metrics have
tests of their own."""

import contextlib
import ctypes
import grp
import http.client
import json
import os
import re
import signal
import socket
import statistics
import stat
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from conftest import USERS
from gate import eventually, run
from netns import Namespace
from peers.tls import DEADLINE
from test_limits import misbehave

TOKEN = "a token of 24 bytes, say"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
WRONG = {"Authorization": "Bearer another"}


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=DEADLINE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(str(self.path))


def dial(gate, source="127.0.0.1", number=0):
    return http.client.HTTPConnection(*gate.address("status", number), DEADLINE, source_address=(source, 0))


def fetch(connection, method, path, body=None, headers=()):
    """Returns status, text and the fields of the answer."""
    connection.request(method, path, body, dict(headers))
    answer = connection.getresponse()
    with contextlib.closing(connection):
        text = answer.read().decode()
    return SimpleNamespace(status=answer.status, text=text, fields=answer.headers)


def get(gate, path, source="127.0.0.1", **headers):
    return fetch(dial(gate, source), "GET", path, headers=headers)


def post(gate, path, body="", headers=(), source="127.0.0.1"):
    return fetch(dial(gate, source), "POST", path, body,
                 {"Content-Type": "application/x-www-form-urlencoded", **dict(headers)})


def raw(gate, octets, source="127.0.0.1"):
    """Sends these bytes and returns all that comes back."""
    with socket.create_connection(gate.address("status"), DEADLINE, source_address=(source, 0)) as sock:
        sock.sendall(octets)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := sock.recv(65536):
                answer += part
    return answer


def token_file(bench, text=TOKEN):
    path = bench.place.folder / f"token-{bench.count}"
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    return path


def gate_of(bench, server=None, **keys):
    gate = {"status": "127.0.0.1:0", **{k.replace("_", "-"): v for k, v in keys.items()}}
    return bench.gate(server or bench.backend(), gate=gate)


@pytest.fixture(scope="module")
def plain(shared):
    """A gate with a token, for tests that leave it as it is."""
    return gate_of(shared, status_token_file=token_file(shared).name)


# ---- what is served ----

def test_health_and_readiness(plain):
    health, ready = get(plain, "/healthz"), get(plain, "/readyz")
    assert (health.status, health.text) == (200, "ok\n")
    assert (ready.status, ready.text) == (200, "ready\n")


def test_fields_of_an_answer(plain):
    """No browser shows an answer inside another page, guesses its type or keeps it."""
    for path in ("/", "/healthz", "/nothing"):
        fields = get(plain, path).fields
        policy = fields["Content-Security-Policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
                "img-src 'self' data:", "frame-ancestors 'none'", "base-uri 'none'",
                "form-action 'none'"} <= set(policy)
        assert fields["X-Content-Type-Options"] == "nosniff" and fields["Cache-Control"] == "no-store"
        assert fields["Referrer-Policy"] == "no-referrer" and fields["Access-Control-Allow-Origin"] is None


def test_the_files_of_the_page(plain):
    for path, name, kind in (("/", "page.html", "text/html"), ("/page.css", "page.css", "text/css"),
                             ("/page.js", "page.js", "text/javascript")):
        answer = get(plain, path)
        source = Path(__file__).resolve().parents[2] / "proxy/status" / name
        assert answer.text == source.read_text() and answer.fields["Content-Type"].startswith(kind)


def test_listen_and_ready_file(plain):
    assert f"listen status=http address=127.0.0.1:{plain.address('status')[1]}" in plain.text()


# ---- readiness ----

def test_not_ready_without_a_server(bench):
    """The text names the listener and its backend; the gate is as healthy as before."""
    server = bench.backend()
    gate = gate_of(bench, server, workers=2)
    assert get(gate, "/readyz").status == 200
    sections = {"gate": {"status": "127.0.0.1:0"}, "listener front": bench.listener_keys(),
                "backend back": {**bench.backend_keys(server), "check": "tcp", "check-interval": "1s",
                                 "server": "127.0.0.1:1"}}
    gate = bench.start(sections)
    gate.wait_log("server backend=back .*state=down")
    ready = get(gate, "/readyz")
    assert (ready.status, ready.text) == (503, "listener front: every server of backend back is down or drained\n")
    assert get(gate, "/healthz").status == 200


def test_not_ready_while_its_servers_are_drained(bench):
    server = bench.backend()
    gate = gate_of(bench, server, admin="unix:status-drain.sock")
    assert run("ctl", "-c", gate.config, "drain", f"back/{server.address}").returncode == 0
    assert get(gate, "/readyz").status == 503
    assert run("ctl", "-c", gate.config, "ready", f"back/{server.address}").returncode == 0
    assert get(gate, "/readyz").status == 200


def test_not_ready_from_the_start_of_a_drain(bench):
    gate = gate_of(bench)
    client = bench.client(gate).establish()
    gate.signal(signal.SIGQUIT)
    gate.wait_log("no new calls")
    ready = get(gate, "/readyz")
    assert (ready.status, ready.text) == (503, "the gate is draining\n")
    assert get(gate, "/healthz").status == 200
    client.disconnect()
    assert gate.wait_exit() == 0


@contextlib.contextmanager
def thread_stopped(tid):
    """Stops one thread of another process, as a fault in it would do."""
    libc = ctypes.CDLL(None, use_errno=True)
    attach, detach = 16, 17
    assert libc.ptrace(attach, tid, None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(tid, 0x40000000)  # __WALL
    try:
        yield
    finally:
        assert libc.ptrace(detach, tid, None, None) == 0


def threads(gate):
    """Returns the numbers of the main thread and of the worker, and that of the listener."""
    pid = gate.process.pid
    tids = {(task / "comm").read_text().strip(): int(task.name)
            for task in Path(f"/proc/{pid}/task").iterdir()}
    return pid, tids["worker-0"], tids["status"]


@pytest.mark.long
@pytest.mark.parametrize("which", ["worker", "main"])
def test_unhealthy_when_a_thread_hangs(bench, which):
    """The answer names the thread; it needs neither of both. Everything else that the main thread would answer is
    refused after 5 s."""
    gate = gate_of(bench)
    main, worker, _ = threads(gate)
    with thread_stopped(worker if which == "worker" else main):
        expected = "worker 0 does not answer\n" if which == "worker" else "the main thread does not answer\n"
        late = None if which == "worker" else get(gate, "/readyz")
        health = eventually(lambda: (answer := get(gate, "/healthz")).status != 200 and answer, "still healthy")
        assert (health.status, health.text) == (503, expected)
        if late:
            assert late.status == 503 and "has not begun this request" in late.text
        else:
            assert get(gate, "/readyz").status == 200  # the main thread does not wait for the worker
    eventually(lambda: get(gate, "/healthz").status == 200, "still unhealthy")


# ---- who may connect ----

@pytest.fixture
def machine():
    machine = Namespace()
    with machine.entered():
        machine.ip("address add 192.0.2.1/32 dev lo")
        machine.ip("address add 192.0.2.2/32 dev lo")
        yield machine
    machine.close()


def test_only_loopback_may_connect(bench, machine):
    """status-allow admits more addresses, also after a reload."""
    gate = bench.gate(bench.backend(), gate={"status": "0.0.0.0:0", "workers": 1})
    port = gate.address("status")[1]
    gate.addresses["status"] = [("127.0.0.1", port)]
    assert get(gate, "/healthz").status == 200
    gate.addresses["status"] = [("192.0.2.1", port)]
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        get(gate, "/healthz", source="192.0.2.2")
    gate.wait_log(r"warning status client=192\.0\.2\.2:\d+ refused=address")
    gate.config.write_text(gate.config.read_text().replace("[gate]", "[gate]\nstatus-allow = 192.0.2.2"))
    gate.reload()
    assert get(gate, "/healthz", source="192.0.2.2").status == 200
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        get(gate, "/healthz", source="192.0.2.1")


def test_ipv6(bench):
    gate = bench.gate(bench.backend(), gate={"status": "[::1]:0"})
    connection = http.client.HTTPConnection(*gate.address("status"), DEADLINE)
    assert fetch(connection, "GET", "/healthz").status == 200


def test_unix_socket(bench):
    """The mode of the file admits the owner and the group. Every Host is accepted, and the gate removes the file."""
    gate = bench.gate(bench.backend(), gate={"status": ["unix:status.sock", "127.0.0.1:0"],
                                             "status-token-file": token_file(bench).name})
    path = bench.place.folder / "status.sock"
    mode = os.lstat(path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    assert fetch(Unix(path), "GET", "/healthz", headers={"Host": "anything"}).text == "ok\n"
    assert fetch(Unix(path), "POST", "/api/v1/end", "", WRONG).status == 403
    gate.wait_log("warning status client=unix path=/api/v1/end refused=token")
    assert get(gate, "/healthz").status == 200
    gate.signal(signal.SIGTERM)
    assert gate.wait_exit() == 0 and not path.exists()


def test_unix_socket_has_a_group_and_a_mode(bench):
    group = next(it for it in grp.getgrall() if it.gr_gid != os.getegid())
    gate = bench.gate(bench.backend(), gate={"status": "unix:shared.sock", "status-group": group.gr_name,
                                             "status-mode": "0666"})
    it = os.lstat(bench.place.folder / "shared.sock")
    assert (it.st_gid, stat.S_IMODE(it.st_mode)) == (group.gr_gid, 0o666)
    gate.config.write_text(gate.config.read_text().replace("0666", "0600"))
    gate.reload()
    gate.wait_log("a change of status-group or status-mode requires a restart")


def test_stale_unix_socket_is_replaced(bench):
    keys = {"status": "unix:stale-status.sock"}
    gate = bench.gate(bench.backend(), gate=keys)
    gate.process.kill()
    gate.wait_exit()
    gate.expected_exit = -signal.SIGKILL
    gate = bench.gate(bench.backend(), gate=keys)
    path = bench.place.folder / "stale-status.sock"
    assert fetch(Unix(path), "GET", "/healthz").status == 200


# ---- names and origins ----

def test_dns_rebinding(bench):
    """A name that is not known here may be that of an attacker's page."""
    gate = gate_of(bench, status_host="gate.example")
    port = gate.address("status")[1]
    for host in ("127.0.0.1", f"localhost:{port}", "[::1]:9143", f"Gate.example:{port}"):
        assert get(gate, "/healthz", Host=host).status == 200
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", ""):
        for path in ("/", "/healthz", "/metrics", "/api/v1/tunnels"):
            answer = get(gate, path, Host=host)
            assert answer.status == 421 and "status-host" in answer.text
    gate.wait_log("refused=host")


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])
def test_a_page_of_another_origin_cannot_act(plain, headers):
    """The token makes no difference."""
    answer = post(plain, "/api/v1/reload", "", {**RIGHT, **headers})
    assert answer.status == 403 and "another origin" in json.loads(answer.text)["error"]


@pytest.mark.parametrize("field", ["Host: localhost", "Origin: http://localhost", "Sec-Fetch-Site: same-origin",
                                   f"Authorization: Bearer {TOKEN}", "Content-Length: 0",
                                   "Content-Type: application/x-www-form-urlencoded"])
def test_a_field_that_appears_twice(plain, field):
    """A proxy in front may take the other one."""
    name = field.split(":")[0]
    head = ["POST /api/v1/resume HTTP/1.1", "Connection: close"]
    others = ["Host: localhost", f"Authorization: Bearer {TOKEN}", "Content-Length: 0"]
    head += [line for line in others if not line.startswith(name)] + [field, field.replace(name, name.lower())]
    answer = raw(plain, "\r\n".join([*head, "", ""]).encode())
    assert answer.startswith(b"HTTP/1.1 400 ") and b"only once" in answer


def test_no_preflight_is_answered(plain):
    """Without the answer, no browser sends a field Authorization for a page of another origin."""
    answer = fetch(dial(plain), "OPTIONS", "/api/v1/end",
                   headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"})
    assert answer.status == 405 and answer.fields["Allow"] == "POST"
    assert answer.fields["Access-Control-Allow-Origin"] is None


# ---- tokens ----

def test_read_only_without_a_token_file(bench):
    gate = gate_of(bench)
    answer = post(gate, "/api/v1/reload", headers=RIGHT)
    assert answer.status == 403 and "status-token-file" in json.loads(answer.text)["error"]
    assert gate.events("reload") == []


@pytest.mark.parametrize("action", ["end", "ban", "unban", "drain", "resume", "reload"])
def test_each_action_needs_the_token(plain, action):
    missing = post(plain, f"/api/v1/{action}", "user=nobody")
    assert missing.status == 401 and missing.fields["WWW-Authenticate"].startswith("Bearer")
    wrong = post(plain, f"/api/v1/{action}", "user=nobody", WRONG)
    assert wrong.status == 403 and json.loads(wrong.text) == {"ok": False, "error": "the token is wrong"}


def test_wrong_tokens_ban_their_address(bench):
    """Calls and actions, even with the right token, but not monitoring."""
    gate = gate_of(bench, status_token_file=token_file(bench).name, ban_points=30, admin="unix:tokens.sock")
    for _ in range(3):
        assert post(gate, "/api/v1/reload", headers=WRONG, source="127.0.0.9").status == 403
    gate.wait_log(r"warning ban client=127\.0\.0\.9:\d+ seconds=600 msg=.*wrong tokens")
    banned = post(gate, "/api/v1/reload", headers=RIGHT, source="127.0.0.9")
    assert banned.status == 403 and json.loads(banned.text)["error"] == "the address is banned"
    assert gate.events("reload") == []
    assert run("ctl", "-c", gate.config, "bans").stdout.startswith("127.0.0.9 ")
    assert get(gate, "/healthz", source="127.0.0.9").status == 200
    # others are not banned, and a missing token costs nothing
    for _ in range(4):
        assert post(gate, "/api/v1/reload", source="127.0.0.8").status == 401
    assert post(gate, "/api/v1/reload", headers=WRONG, source="127.0.0.8").status == 403
    assert run("ctl", "-c", gate.config, "bans").stdout.count("\n") == 1


def test_guesses_cost_a_connection_each(plain):
    guess = (b"POST /api/v1/end HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %d\r\n"
             b"Content-Length: 0\r\n\r\n")
    answer = raw(plain, guess % 1 + guess % 2)
    assert answer.count(b"HTTP/1.1 403") == 1 and b"Connection: close" in answer


@pytest.mark.long
def test_a_new_token_is_in_force_at_once(bench):
    """The gate watches the file. A file that cannot be used leaves the old token in force."""
    path = token_file(bench)
    gate = gate_of(bench, status_token_file=path.name)
    path.write_text("another\n")
    gate.wait_log("a file has changed: its new content is in force")
    assert "the token is wrong" not in post(gate, "/api/v1/end", headers=WRONG).text
    assert "the token is wrong" in post(gate, "/api/v1/end", headers=RIGHT).text
    path.write_text("\n")
    gate.wait_log("its old content stays in force")
    assert "the token is wrong" not in post(gate, "/api/v1/end", headers=WRONG).text


@pytest.mark.parametrize("mode, text, problem", [
    (0o644, TOKEN, "accessible to other users"), (0o600, "", "is empty"), (None, None, "cannot be opened")])
def test_a_token_file_that_is_no_secret(bench, mode, text, problem):
    path = bench.place.folder / f"bad-token-{bench.count}"
    if mode is not None:
        path.touch(mode=mode)
        path.write_text(text + "\n")
    config = bench.config({"gate": {"status": "127.0.0.1:0", "status-token-file": path.name},
                           "listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(bench.backend())})
    done = run("-t", "-c", config)
    assert done.returncode == 1 and problem in done.stderr + done.stdout
    assert re.search(r"conf:3: status-token-file cannot be used", done.stderr + done.stdout)


# ---- start and reload ----

def test_an_address_that_is_in_use(bench):
    first = gate_of(bench)
    port = first.address("status")[1]
    config = bench.config({"gate": {"status": f"127.0.0.1:{port}"}, "listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(bench.backend())})
    done = run("-c", config)
    assert done.returncode == 1
    assert f"conf:2: status: cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr


def test_a_file_that_is_no_socket_is_not_replaced(bench):
    precious = bench.place.folder / "precious-status"
    precious.write_text("precious")
    config = bench.config({"gate": {"status": ["127.0.0.1:0", "unix:precious-status"]},
                           "listener front": bench.listener_keys(),
                           "backend back": bench.backend_keys(bench.backend())})
    done = run("-c", config)
    assert done.returncode == 1 and re.search(r"conf:3: status: cannot listen on \S+/precious-status: File exists",
                                              done.stderr)
    assert precious.read_text() == "precious"


def test_another_address_needs_a_restart(bench):
    gate = gate_of(bench)
    gate.config.write_text(gate.config.read_text().replace("status = 127.0.0.1:0", "status = 127.0.0.1:1"))
    gate.reload()
    gate.wait_log("a change of status requires a restart")
    assert get(gate, "/healthz").status == 200


# ---- bounds ----

def test_a_large_head(plain):
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: %s\r\n\r\n"
    assert raw(plain, head % (b"a" * 6000)).startswith(b"HTTP/1.1 200")
    assert raw(plain, head % (b"a" * 9000)).startswith(b"HTTP/1.1 431")
    assert raw(plain, b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 20000)).startswith((b"HTTP/1.1 414", b"HTTP/1.1 431"))
    assert raw(plain, b"\0" * 20000 + b"\r\n\r\n")[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 431", b"HTTP/1.1 414")


def test_a_large_body(plain):
    assert post(plain, "/api/v1/end", "a" * 5000, RIGHT).status == 413
    chunked = b"POST /api/v1/end HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw(plain, chunked).startswith(b"HTTP/1.1 411")


def test_mistakes_in_parameters(plain):
    for query in ("user=%", "user=a&user=b", "=", "user=%00"):
        answer = get(plain, f"/api/v1/tunnels?{query}")
        assert answer.status == 400 and json.loads(answer.text)["ok"] is False


def crowd(gate, stop):
    """200 clients that keep connections open: idle ones, and ones in the middle of a head or a body. They do not
    exclude a request that comes at once."""
    starts = [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ", b"GET",
              b"POST /api/v1/end HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN.encode() +
              b"\r\nContent-Length: 4000\r\n\r\nuser="]
    for number in range(200):
        sock = stop.enter_context(socket.create_connection(gate.address("status"), DEADLINE))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(starts[number % len(starts)])


def test_a_crowd_excludes_no_client(bench):
    gate = gate_of(bench, status_token_file=token_file(bench).name)
    before = gate.descriptors()
    with contextlib.ExitStack() as stop:
        crowd(gate, stop)
        for _ in range(5):
            assert get(gate, "/healthz").text == "ok\n"
        assert gate.descriptors() <= before + 16  # of one address


def round_trips(client, count=200):
    """Returns the median, in seconds."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        client.ping()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


@pytest.mark.alone
def test_a_crowd_leaves_the_tunnels_untouched(bench):
    gate = gate_of(bench, bench.backend(), status_token_file=token_file(bench).name)
    client = bench.client(gate).establish()
    calm = round_trips(client)
    with contextlib.ExitStack() as stop:
        crowd(gate, stop)
        busy = round_trips(client)
    assert busy < 2 * calm + 0.001
    client.disconnect()


# ---- the API ----

VIEWS = {
    "tunnels": "id user client assigned listener backend server start duration up_bytes up_packets down_bytes "
               "down_packets up_rate down_rate method binding hash key tls cipher client_records server_records host "
               "sni",
    "failures": "time id listener client user host sni outcome stage reason words remedy detail backend server",
    "listeners": "name addresses tunnels calls mode certificate_expires certificate_days backend",
    "servers": "backend server state since cause tunnels max_tunnels weight backup check check_seconds",
    "certificates": "listener file subject names issuer serial not_before not_after days key staple leaf_sha256",
    "bans": "net user left cause",
    "limits": "name limit used hits",
}
STATUS = ("version pid state started uptime workers calls calls_max tunnels bans configuration configuration_outdated "
          "reload stale_files sandbox dropped_log_lines old_tunnels history writable")


def view(gate, name, **query):
    query = "&".join(f"{key}={value}" for key, value in query.items())
    answer = get(gate, f"/api/v1/{name}?{query}")
    assert answer.status == 200 and answer.fields["Content-Type"] == "application/json"
    return json.loads(answer.text)


def test_the_status_object(bench, plain):
    shown = view(plain, "status")
    assert set(STATUS.split()) <= set(shown)
    assert shown["pid"] == plain.process.pid and shown["state"] == "serving" and shown["writable"] is True
    assert view(gate_of(bench), "status")["writable"] is False


@pytest.mark.parametrize("name", VIEWS)
def test_each_list_has_its_fields(bench, name):
    """conf/OPERATION.md has the same names."""
    gate = gate_of(bench, max_tunnels_per_user=9, ban_points=50, status_token_file=token_file(bench).name)
    misbehave(bench, gate)
    bench.client(gate).establish()
    assert post(gate, "/api/v1/ban", "user=mallory", RIGHT).status == 200
    shown = view(gate, name)
    assert (shown["offset"], shown["limit"]) == (0, 100) and shown["total"] == len(shown["items"]) > 0
    assert list(shown["items"][0]) == VIEWS[name].split()
    guide = (Path(__file__).resolve().parents[2] / "conf/OPERATION.md").read_text()
    row = re.search(rf"^\| `{name}` \| (.*) \|$", guide.split("### Objects of the API")[1], re.M)[1]
    assert [field for field in re.findall(r"`(\w+)`", row) if field in VIEWS[name].split()] == VIEWS[name].split()


def test_pages_and_filters(bench):
    gate = gate_of(bench, bench.backend(users=USERS))
    for user in ("alice", "bob", "carol"):
        bench.client(gate, user=user, password=USERS[user]).establish()
    assert view(gate, "tunnels", limit=2, offset=1)["total"] == 3
    assert len(view(gate, "tunnels", limit=2, offset=2)["items"]) == 1
    shown = view(gate, "tunnels", user="bob")
    assert shown["total"] == 1 and shown["items"][0]["user"] == "bob"
    assert view(gate, "tunnels", address="127.0.0.0/8")["total"] == 3
    assert view(gate, "tunnels", address="192.0.2.0/24")["total"] == 0


@pytest.mark.parametrize("query", ["limt=3", "limit=0", "limit=10001", "limit=x", "offset=-1", "address=a", "user="])
def test_wrong_parameters(plain, query):
    answer = get(plain, f"/api/v1/tunnels?{query}")
    assert answer.status == 400 and json.loads(answer.text)["error"]


def act(gate, name, body="", headers=None):
    answer = post(gate, f"/api/v1/{name}", body, RIGHT if headers is None else headers)
    shown = json.loads(answer.text)
    assert set(shown) == {"ok", "text" if shown["ok"] else "error"} and shown["ok"] == (answer.status == 200)
    return answer.status, shown


def logged(gate, name, **fields):
    """Waits for the line of an action with these fields and returns it."""
    wanted = {"action": name, **fields}.items()
    find = lambda: [event for event in gate.events("status") if wanted <= event.fields.items()]
    event = gate.wait(find, f"action {name}")[-1]
    assert event["by"] == "status" and re.fullmatch(r"127\.0\.0\.1:\d+", event["client"])
    return event


@pytest.fixture
def acting(bench):
    return gate_of(bench, bench.backend(users=USERS), status_token_file=token_file(bench).name, ban_points=100)


@pytest.mark.long
def test_end(bench, acting):
    alice = bench.client(acting).establish()
    bob = bench.client(acting, user="bob", password=USERS["bob"]).establish()
    assert act(acting, "end", "user=bob")[0] == 200
    bob.wait_end()
    assert acting.wait_call(0)["user"] == "bob"
    assert logged(acting, "end", user="bob")
    acting.wait_log(r"info end by=status user=bob tunnels=1")
    alice.ping()
    tunnel, = view(acting, "tunnels")["items"]
    assert act(acting, "end", f"id={tunnel['id']}")[0] == 200
    alice.wait_end()
    status, shown = act(acting, "end", f"id={tunnel['id']}")
    assert status == 409 and shown["error"] == "no tunnel matches"
    acting.wait_log(r'by=status .*action=end .*error="no tunnel matches"')


@pytest.mark.long
def test_end_of_a_server(bench, acting):
    """BACKEND or BACKEND/SERVER, as of `ctl end server`."""
    name = view(acting, "servers")["items"][0]["server"]
    for i, server in enumerate(("back", f"back/{name}")):
        client = bench.client(acting).establish()
        assert act(acting, "end", "server=nowhere")[0] == 409
        assert act(acting, "end", f"server={server}&user=bob")[0] == 409
        assert act(acting, "end", f"server={server}")[0] == 200
        client.wait_end()
        assert acting.wait_call(i)["reason"] == "ended-by-admin"
        acting.wait_log(f"info end by=status server={server} tunnels=1")


def test_nothing_ends_everything_by_mistake(bench, acting):
    client = bench.client(acting).establish()
    assert act(acting, "end")[0] == 409
    for body in ("users=alice", "user=", "listener=front&x=1", "servers=back", "all=yes", "address=127.0.0.1/8"):
        assert act(acting, "end", body)[0] == 400, body
    client.ping()


def test_ban_and_unban(bench, acting):
    assert act(acting, "ban", "address=192.0.2.0/24&time=90s")[0] == 200
    assert act(acting, "ban", "user=%3Cscript%3E")[0] == 200
    bans = view(acting, "bans")["items"]
    assert {(ban["net"], ban["user"], ban["cause"]) for ban in bans} == {
        ("192.0.2.0/24", None, "manual"), (None, "<script>", "manual")}
    assert logged(acting, "ban", user="<script>")
    assert act(acting, "ban", "address=192.0.2.0/24&time=never")[0] == 409
    assert act(acting, "unban", "address=192.0.2.0/24")[0] == 200
    assert act(acting, "unban", "user=%3Cscript%3E")[0] == 200
    assert act(acting, "unban", "user=%3Cscript%3E")[0] == 409
    assert view(acting, "bans")["total"] == 0 and logged(acting, "unban", error="no such ban")


def test_drain_and_resume(bench, acting):
    client = bench.client(acting).establish()  # the gate ends with its last call
    server = view(acting, "servers")["items"][0]
    name = f"{server['backend']}/{server['server']}"
    assert act(acting, "drain", f"server={name}")[0] == 200
    assert view(acting, "servers")["items"][0]["state"] == "drain" and get(acting, "/readyz").status == 503
    assert act(acting, "resume", f"server={name}")[0] == 200
    assert get(acting, "/readyz").status == 200
    assert act(acting, "drain", "server=nowhere")[0] == 409
    assert act(acting, "drain")[0] == 200
    assert view(acting, "status")["state"] == "draining" and get(acting, "/readyz").text == "the gate is draining\n"
    assert act(acting, "resume")[0] == 200
    assert view(acting, "status")["state"] == "serving" and get(acting, "/readyz").status == 200
    assert logged(acting, "drain") and logged(acting, "resume")
    client.ping()


def test_reload(acting):
    assert act(acting, "reload") == (200, {"ok": True, "text": "the new configuration is in force"})
    acting.wait_log("info reload by=status")
    assert logged(acting, "reload", error="-")
    acting.config.write_text(acting.config.read_text() + "nonsense\n")
    status, shown = act(acting, "reload")
    assert status == 409 and "the old configuration stays in force" in shown["error"]
    assert view(acting, "status")["reload"]["ok"] is False


def test_parameters_may_be_in_the_query(acting):
    assert post(acting, "/api/v1/ban?user=a", "time=5m", RIGHT).status == 200
    assert post(acting, "/api/v1/ban?user=b", "user=c", RIGHT).status == 400


def test_metrics(plain):
    answer = get(plain, "/metrics")
    assert answer.status == 200 and answer.fields["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\nsstpgate_draining 0\n" in answer.text


def test_an_upgrade_keeps_the_sockets(bench):
    """The new process serves them, also the file of the Unix socket, when the old one has ended."""
    gate = gate_of(bench, status=["127.0.0.1:0", "unix:upgraded-status.sock"])
    path = bench.place.folder / "upgraded-status.sock"
    client = bench.client(gate).establish()
    first = gate.process.pid
    gate.upgrade()
    assert view(gate, "status")["pid"] == gate.pid != first
    client.disconnect()
    assert gate.process.wait(DEADLINE) == 0
    assert fetch(Unix(path), "GET", "/readyz").text == "ready\n"
