"""The SSTP port, as a browser, a scanner and haproxy see it."""

import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import threading

import pytest

import lab
from peers import proxy
from peers.client import Client
from peers.server import Server

PAGE = """<!DOCTYPE html>
<html><head><title>A bakery</title><link rel="stylesheet" href="/style.css"></head>
<body><h1>Bread</h1><p id="made">no script</p>
<script src="/script.js"></script></body></html>
"""
FILES = {"/": ("text/html", PAGE), "/style.css": ("text/css", "h1 { color: brown }"),
         "/script.js": ("text/javascript",
                        "document.getElementById('made').textContent = location.protocol + ' ' +"
                        " getComputedStyle(document.querySelector('h1')).color;")}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Bakery/1", ""

    def do_GET(self):
        kind, text = FILES.get(self.path, (None, ""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(text.encode())

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        site.daemon_threads = True
        threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02},
                         daemon=True).start()
        yield "127.0.0.1:%d" % site.server_address[1]
        site.shutdown()


@pytest.fixture
def server(back):
    with Server(back.cert, back.key, users={lab.USER: lab.PASSWORD}) as server:
        yield server


@contextlib.contextmanager
def gate(directory, front, back, server, listener="", backend="", more=""):
    """Yields the address and the path of the log."""
    made = subprocess.run([lab.GATE, "user", lab.USER], input=lab.PASSWORD + "\n", text=True,
                          capture_output=True, check=True)
    users = directory / "users"
    users.touch(mode=0o600)
    users.write_text(made.stdout)
    configuration, ready, log = (directory / name for name in ("gate.conf", "ready", "gate.log"))
    configuration.write_text(f"""\
[listener front]
listen = 127.0.0.1:0
certificate = {front.both}
host = {lab.NAME}
backend = server
{listener}
[backend server]
server = {server}
verify = pin
pin-sha256 = {back.sha256}
users-file = users
{backend}
{more}""")
    with lab.running([lab.GATE, "-c", configuration, "--ready-file", ready], log) as process:
        try:
            host, port = lab.eventually(lambda: lab.whole_line(ready), process,
                                        log).split()[1].split(":")
            yield (host, int(port)), log
        finally:
            print(f"--- gate\n{log.read_text()}")
    assert process.returncode == 0, f"the gate ended with {process.returncode}"


def with_site(site):
    return {"listener": "fallback = site",
            "more": f"[backend site]\nserver = {site}\ntls = no\ncrypto-binding = off\n"}


def dial(address, **knobs):
    client = Client(address, host=lab.NAME, user=lab.USER, password=lab.PASSWORD, **knobs)
    try:
        client.establish().ping()
        local = client.wire.sock.getsockname()
        client.disconnect()
    finally:
        client.close()
    return local


# Only this one address: no name look-ups, updates, or first-run pages.
CHROMIUM = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-extensions",
            "--disable-default-apps", "--disable-domain-reliability", "--metrics-recording-only",
            "--no-proxy-server", "--ignore-certificate-errors", "--timeout=200000", "--dump-dom"]


def test_browser(directory, front, back, server, site):
    """The page, its style and its script over the SSTP port: keep-alive, HTTP/1.1 by ALPN and several
    connections, as in a browser."""
    lab.require("chromium")
    with gate(directory, front, back, server.address, **with_site(site)) as (address, log):
        done = subprocess.run(
            [*CHROMIUM, f"--user-data-dir={directory}/profile",
             f"--host-resolver-rules=MAP {lab.NAME} 127.0.0.1, MAP * ~NOTFOUND", f"https://{lab.NAME}:{address[1]}/"],
            env={**os.environ, "HOME": str(directory)}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=lab.DEADLINE)
        dial(address)
    assert "https: rgb(165, 42, 42)" in done.stdout, done.stdout + done.stderr
    assert "<title>A bakery</title>" in done.stdout
    calls = [line for line in log.read_text().splitlines() if " call " in line]
    assert any("reason=not-sstp" in line and f"sni={lab.NAME}" in line for line in calls)
    assert "reason=client-disconnect" in calls[-1]
    assert len(server.calls) == 1


def test_scanner(directory, front, back, server):
    """testssl.sh finds the configured versions and no others, and neither the name of the product nor
    another weakness of HTTP."""
    lab.require("testssl")
    report = directory / "report.json"
    with gate(directory, front, back, server.address) as (address, _):
        done = subprocess.run(
            ["testssl", "-p", "-h", "--quiet", "--color", "0", "--ip", "127.0.0.1", "--nodns", "none",
             "--connect-timeout", "60", "--openssl-timeout", "60", "--jsonfile", report,
             f"{lab.NAME}:{address[1]}"],
            env={**os.environ, "HOME": str(directory), "TERM": "dumb"}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=lab.DEADLINE)
    said = done.stdout + done.stderr
    assert report.exists(), said
    found = {one["id"]: one for one in json.loads(report.read_text())}
    for version in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        assert "not offered" in found[version]["finding"], found[version]
    for version in ("TLS1_2", "TLS1_3"):
        assert "offered" in found[version]["finding"] and found[version]["severity"] == "OK"
    assert "404" in found["HTTP_status_code"]["finding"]
    assert not re.search(r"(?i)sstpgate|libuv", re.sub(re.escape(lab.NAME), "", said +
                                                       report.read_text()))
    bad = [one for one in found.values() if one["severity"] in ("HIGH", "CRITICAL")]
    assert not bad, bad


# -- haproxy, on both sides --

@contextlib.contextmanager
def haproxy(directory, front):
    """Runs haproxy with one section `listen` on a new port; yields the address."""
    log = directory / "haproxy.log"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (directory / "haproxy.cfg").write_text(f"""\
defaults
    mode tcp
    timeout connect 1m
    timeout client 5m
    timeout server 5m

{front(listener.fileno())}
""")
        with lab.running(["haproxy", "-db", "-f", directory / "haproxy.cfg"], log,
                         pass_fds=[listener.fileno()]):
            yield listener.getsockname()


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
def test_haproxy_before_the_gate(directory, front, back, server, option):
    """The gate's log has the client's address; the binding is right, because haproxy does not touch TLS."""
    lab.require("haproxy")
    trust = "accept-proxy = yes\ntrusted-proxies = 127.0.0.1\n"
    with gate(directory, front, back, server.address, trust) as (address, log):
        with haproxy(directory, lambda fd: f"""\
listen front
    bind fd@{fd}
    server gate 127.0.0.1:{address[1]} {option}
""") as before:
            local = dial(before, bind="127.0.0.7")
    call = next(line for line in log.read_text().splitlines() if " call " in line)
    assert f"client=127.0.0.7:{local[1]} proxy=127.0.0.1:" in call and "binding=verified" in call
    assert server.wait_over().verdict == "ok"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_behind_the_gate(directory, front, back, server, version):
    """haproxy accepts the gate's header and forwards it to a scripted server, which records it."""
    lab.require("haproxy")
    seen = []

    def take(call):
        seen.append(proxy.receive(call.sock))

    server.hooks["accepted"] = take
    with haproxy(directory, lambda fd: f"""\
listen back
    bind fd@{fd} accept-proxy
    server vpn {server.address} send-proxy-v2
""") as behind:
        with gate(directory, front, back, "127.0.0.1:%d" % behind[1],
                  backend=f"send-proxy = {version}") as (address, _):
            local = dial(address, bind="127.0.0.7")
    assert seen[0].source == local and seen[0].destination == address
    assert server.wait_over().verdict == "ok"
