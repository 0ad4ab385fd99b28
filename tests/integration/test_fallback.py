"""A web site on the same port: requests that are not SSTP, or not for this gate, get the site's own answers."""

import hashlib
import http.client
import http.server
import re
import socket
import subprocess
import threading

import pytest

from peers import head, tls
from peers.client import Client, expect_failure

MB = 1 << 20
PAGE = b"<!DOCTYPE html><title>A bakery</title><h1>Bread</h1>\n"
MISSING = b"<!DOCTYPE html><title>Nothing here</title>\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every method, including SSTP's, in the same way."""
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Bakery/1", ""

    def _answer(self, status, octets):
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(octets)

    def do_GET(self):
        self.server.requests.append((self.command, self.path, self.headers["Host"], self.client_address))
        if self.path.startswith("/big/"):
            self._answer(200, bytes(range(256)) * (int(self.path[5:]) * MB // 256))
        else:
            self._answer(200 if self.path == "/" else 404, PAGE if self.path == "/" else MISSING)

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.command, self.path, self.headers["Host"], self.client_address))
        self._answer(200, hashlib.sha256(body).hexdigest().encode())

    def do_SSTP_DUPLEX_POST(self):
        """Refuses at once: a site does not read 2^64-1 bytes before it answers."""
        self.server.requests.append((self.command, self.path, self.headers["Host"], self.client_address))
        self.close_connection = True
        self._answer(405, MISSING)

    def log_message(self, *_):
        pass


class Site(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, cert=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cert, self.requests = cert, []
        if cert:
            context = tls.server_context(cert.cert, cert.key)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.address = "127.0.0.1:%d" % self.server_address[1]
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02},
                         daemon=True).start()

    def handle_error(self, *_):
        pass

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def gate_before(bench, site, server=None, gate=None, **listener):
    server = server or bench.backend()
    bench.server = server
    keys = {"server": site.address, "crypto-binding": "off"}
    keys |= {"verify": "pin", "pin-sha256": site.cert.sha256} if site.cert else {"tls": "no"}
    return bench.start({
        "gate": {"workers": 1, **(gate or {})},
        "listener front": bench.listener_keys(fallback="site", **listener),
        "backend back": bench.backend_keys(server),
        "backend site": keys})


@pytest.fixture(params=["plain", "tls"])
def site(request, bench, place):
    site = Site(place.back_ca if request.param == "tls" else None)
    bench.others.append(site)
    return site


def browser(gate, name="vpn.example.com"):
    """An http.client that accepts any certificate and connects to the gate for any name."""
    context = tls.client_context()
    connection = http.client.HTTPSConnection(name, context=context, timeout=tls.DEADLINE)
    sock = socket.create_connection(gate.address())
    sock.settimeout(tls.DEADLINE)
    connection.sock = context.wrap_socket(sock, server_hostname=name)
    return connection


def fetch(connection, method, path, body=None, **headers):
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer, answer.read()


def test_page(bench, site):
    """The client gets everything that the site sends, and nothing else."""
    gate = gate_before(bench, site)
    connection = browser(gate)
    answer, page = fetch(connection, "GET", "/")
    assert (answer.status, page) == (200, PAGE)
    assert answer.getheader("Server").strip() == "Bakery/1"
    assert {name for name, _ in answer.getheaders()} == {"Server", "Date", "Content-Type",
                                                         "Content-Length"}
    connection.close()
    call = gate.wait_call()
    assert (call["reason"], call["backend"], call["server"]) == ("not-sstp", "site", site.address)
    assert call["host"] == "vpn.example.com"
    assert not bench.server.calls


def test_many_on_one_connection(bench, site):
    gate = gate_before(bench, site)
    connection = browser(gate)
    for number in range(20):
        answer, page = fetch(connection, "GET", "/" if number % 2 else "/missing")
        assert (answer.status, page) == ((200, PAGE) if number % 2 else (404, MISSING))
    answer, page = fetch(connection, "HEAD", "/")
    assert (answer.status, page, answer.getheader("Content-Length")) == (200, b"", str(len(PAGE)))
    answer, page = fetch(connection, "GET", "/")
    assert page == PAGE
    connection.close()
    gate.wait_call()
    assert len(gate.events("call")) == 1 and len(site.requests) == 22
    assert len({address for *_, address in site.requests}) == 1, "one connection to the site"


def test_upload(bench, site):
    """Head and body arrive in any pieces; of 3 MB the gate never holds more than a window."""
    gate = gate_before(bench, site)
    body = bytes(range(256)) * (3 * MB // 256)
    connection = browser(gate)
    base = gate.rss()
    for _ in range(3):
        answer, digest = fetch(connection, "POST", "/", body)
        assert digest.decode() == hashlib.sha256(body).hexdigest()
    assert gate.rss() - base < 4 * MB
    connection.close()
    assert int(gate.wait_call()["up-octets"]) > 9 * MB


def test_download(bench, site):
    gate = gate_before(bench, site)
    connection = browser(gate)
    base = gate.rss()
    connection.request("GET", "/big/24")
    answer = connection.getresponse()
    seen = hashlib.sha256()
    while part := answer.read(65536):
        seen.update(part)
    assert seen.digest() == hashlib.sha256(bytes(range(256)) * (24 * MB // 256)).digest()
    assert gate.rss() - base < 8 * MB
    connection.close()


def test_head_first(bench, site):
    gate = gate_before(bench, site)
    answer, page = fetch(browser(gate), "HEAD", "/")
    assert (answer.status, page, answer.getheader("Content-Length")) == (200, b"", str(len(PAGE)))


def test_octet_by_octet(bench, site):
    """Each byte of the request is in a record of its own; the gate replays the request from the first byte
    on."""
    gate = gate_before(bench, site)
    request = b"GET / HTTP/1.1\r\nHost: bakery.example\r\nConnection: close\r\n\r\n"
    client = bench.client(gate, head=request, head_pieces=1).establish("tls").send_request()
    answer = client.read_answer()
    assert answer.status == 200
    client.wait_end()
    assert site.requests[0][:3] == ("GET", "/", "bakery.example")


def test_several_at_once(bench, site):
    """Pipelined: the bytes after the first request reach the site, too."""
    gate = gate_before(bench, site)
    one = b"GET / HTTP/1.1\r\nHost: bakery.example\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    client = bench.client(gate, head=one * 9 + last).establish("tls").send_request()
    octets = b""
    while (record := client.wire.read_record()) is not None:
        octets += record
    assert octets.count(b"HTTP/1.1 200") == 10 and octets.count(PAGE) == 10


def straight(site, request):
    """Returns the site's answer without a gate."""
    sock = socket.create_connection(site.server_address)
    if site.cert:
        sock = tls.client_context().wrap_socket(sock)
    with sock:
        sock.settimeout(tls.DEADLINE)
        sock.sendall(request)
        octets = b""
        while more := sock.recv(65536):
            octets += more
    return octets


def without_date(octets):
    return re.sub(rb"\r\nDate: [^\r]*", b"", octets)


@pytest.mark.parametrize("how", ["host", "sni"])
def test_sstp_for_a_foreign_host(bench, site, how):
    """An SSTP request for a name that is not admitted reaches the site unchanged."""
    gate = gate_before(bench, site, host="secret.example")
    request = head.request(b"secret.example" if how == "sni" else b"www.example")
    sni = "www.example" if how == "sni" else None
    client = bench.client(gate, sni=sni, head=request).establish("tls").send_request()
    octets = b""
    while (record := client.wire.read_record()) is not None:
        octets += record
    assert without_date(octets) == without_date(straight(site, request))
    assert octets.startswith(b"HTTP/1.1 405 ")
    client.close()
    assert gate.wait_call()["reason"] == "host-refused"
    bench.client(gate, host="secret.example").establish().ping().disconnect()
    assert not bench.server.calls[1:] and bench.server.wait_over().verdict == "ok"


def test_foreign_names_get_the_site(bench, site):
    gate = gate_before(bench, site, host="secret.example")
    for name in ("www.example", "secret.example"):
        answer, page = fetch(browser(gate, name), "GET", "/")
        assert (answer.status, page) == (200, PAGE)
        assert site.requests[-1][2] == name
    assert not bench.server.calls


def test_tunnels_beside_it(bench, site):
    gate = gate_before(bench, site)
    tunnel = bench.client(gate).establish().ping()
    connection = browser(gate)
    for _ in range(3):
        assert fetch(connection, "GET", "/")[1] == PAGE
        tunnel.ping()
    connection.close()
    tunnel.disconnect()


def test_reload_keeps_connections(bench, site):
    gate = gate_before(bench, site)
    connection = browser(gate)
    assert fetch(connection, "GET", "/")[1] == PAGE
    text = gate.config.read_text()
    gate.config.write_text(re.sub(r"\[backend site\](.|\n)*", "", text)
                           .replace("fallback = site\n", ""))
    assert gate.reload()[-1].level == "info"
    assert fetch(connection, "GET", "/")[1] == PAGE
    answer, page = fetch(browser(gate), "GET", "/")
    assert answer.status == 404 and page != PAGE and not NAMES.search(page)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_site_down(bench, site, method):
    gate = gate_before(bench, site)
    site.shutdown()
    site.server_close()
    answer, page = fetch(browser(gate), method, "/", b"x" * 100 if method == "POST" else None)
    assert (answer.status, page) == (503, b"" if method == "HEAD" else b"Service Unavailable\n")
    assert answer.getheader("Connection").lower() == "close" and not answer.getheader("Server")
    call = gate.wait_call()
    assert (call["reason"], call["backend"]) == ("not-sstp", "site")
    assert call["detail"] == "the web site is not available: backend-unreachable"
    bench.client(gate).establish().ping().disconnect()


def test_silence_ends(bench, site):
    """timeout-web ends a connection without data."""
    gate = gate_before(bench, site)
    gate.config.write_text(gate.config.read_text().replace("workers = 1", "workers = 1\n"
                                                           "timeout-web = 1s"))
    assert gate.reload()[-1].level == "info"
    connection = browser(gate)
    assert fetch(connection, "GET", "/")[1] == PAGE
    assert connection.sock.recv(1) == b""
    gate.wait_call()


# -- no trace of the product --

NAMES = re.compile(rb"sstpgate|sstp|libuv|openssl", re.IGNORECASE)


def test_nothing_names_the_product(bench):
    """The heads of all statuses, and everything that TLS shows, as curl and openssl s_client print them."""
    dead = bench.backend(refuse=403)
    gate = bench.gate(dead)
    host, port = gate.address()
    url = f"https://{host}:{port}/"

    def curl(*options):
        done = subprocess.run(["curl", "-ksvi", "--max-time", "60", "--noproxy", "*", *options],
                              capture_output=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        # The lines of curl about itself and its request are removed.
        said = [line for line in done.stderr.splitlines() if line.startswith(b"< ")]
        return done.stdout + b"\n".join(said)

    answers = {404: [curl(url), curl("-I", url), curl("-X", "POST", "-d", "x", url)],
               400: [curl("-H", "Content-Length: 7", "-H", "Content-Length: 8", url)]}
    for status, shown in answers.items():
        for one in shown:
            assert one.startswith(b"HTTP/1.1 %d " % status), one
            assert not NAMES.search(one), one
            assert b"server:" not in one.lower()
    for request, status in ((head.request(b"vpn.example.com"), 503),):
        client = Client(gate.address(), head=request)
        bench.clients.append(client)
        client.establish("tls").send_request()
        assert client.read_answer().status == status
        assert not NAMES.search(client.answer + client.answer_rest)
    done = subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}", "-alpn", "h2,http/1.1",
                           "-showcerts", "-status", "-tlsextdebug"],
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    assert b"ALPN protocol: http/1.1" in done.stdout
    assert not NAMES.search(re.sub(rb"(?m)^.*SSL-Session.*$", b"", done.stdout)), done.stdout


def test_accepted_head_names_nothing(bench):
    """The 200 is the same as that of every SSTP server."""
    client = bench.client(bench.gate(bench.backend())).establish("request")
    assert not NAMES.search(client.answer)
