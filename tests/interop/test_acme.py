"""Certificates by ACME: Pebble, the test CA of Let's Encrypt, validates the gate's name over the gate's own port while a
tunnel is up. The commands are those of RECIPES.md."""

import contextlib
import json
import os
import re
import socket
import ssl
import stat
import subprocess
import urllib.request

import pytest

import lab
from peers import pki
from peers.client import Client
from peers.server import Server

LEGO = 'lego --accept-tos --email admin@example.com --domains vpn.example.com'


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in sockets]


class Site:
    """A gate with `acme` and `acme-http`, in front of a strict server, and Pebble with its DNS. The ports of the two ACME
    clients are fixed, those of the gate are passed to Pebble."""

    def __init__(self, directory, server, back):
        self.directory, self.server, self.back = directory, server, back
        self.tls_alpn, self.http, dns, manage, *self.pebble_ports = free_ports(6)
        self.dns, self.manage = dns, manage
        self.cert, self.key = directory / "vpn.pem", directory / "vpn.key"
        self.users = directory / "users"
        self.admin = directory / "admin.sock"

    def configuration(self):
        return f"""\
[gate]
admin = unix:{self.admin}
[listener front]
listen = 127.0.0.1:0
listen-http = 127.0.0.1:0
certificate = vpn.pem
key = vpn.key
backend = server
acme = 127.0.0.1:{self.tls_alpn}
acme-http = 127.0.0.1:{self.http}
[backend server]
server = {self.server.address}
verify = pin
pin-sha256 = {self.back.sha256}
users-file = users
"""

    def reload(self):
        return f"{lab.GATE} ctl -c {self.directory}/gate.conf reload"

    def environment(self, **more):
        group = os.getgid()
        return {**os.environ, "LEGO_CA_CERTIFICATES": str(self.directory / "pebble-ca.crt"),
                "REQUESTS_CA_BUNDLE": str(self.directory / "pebble-ca.crt"),
                "CURL_CA_BUNDLE": str(self.directory / "pebble-ca.crt"),
                "DEPLOY_CERTIFICATE": str(self.cert), "DEPLOY_KEY": str(self.key), "DEPLOY_GROUP": str(group),
                "DEPLOY_RELOAD": self.reload(), **more}

    def log(self):
        return (self.directory / "gate.log").read_text()

    def client(self):
        return Client(self.address, host="vpn.example.com", user=lab.USER, password=lab.PASSWORD)


@contextlib.contextmanager
def pebble(site):
    """Runs Pebble and its DNS server, which resolves each name to this machine."""
    folder = site.directory
    ca = pki.make(folder, "pebble-ca", ca=True)
    own = pki.make(folder, "pebble", issuer=ca, names=["127.0.0.1", "localhost"])
    listen, manage = site.pebble_ports
    (folder / "pebble.json").write_text(json.dumps({"pebble": {
        "listenAddress": f"127.0.0.1:{listen}", "managementListenAddress": f"127.0.0.1:{manage}",
        "certificate": own.cert, "privateKey": own.key, "httpPort": site.http_address[1], "tlsPort": site.address[1],
        "ocspResponderURL": "", "externalAccountBindingRequired": False}}))
    dns = ["pebble-challtestsrv", "-dns01", f"127.0.0.1:{site.dns}", "-management", f"127.0.0.1:{site.manage}",
           "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]
    log = folder / "pebble.log"
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    site.directory_url = f"https://127.0.0.1:{listen}/dir"
    with lab.running(dns, folder / "dns.log"), \
            lab.running(["pebble", "-config", folder / "pebble.json", "-dnsserver", f"127.0.0.1:{site.dns}"], log,
                        env=environment) as process:
        context = ssl.create_default_context(cafile=ca.cert)

        def ready():
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(site.directory_url, context=context).read()
        lab.eventually(ready, process, log)
        try:
            yield
        finally:
            print(f"--- pebble\n{log.read_text()}")


@pytest.fixture
def site(directory, back):
    """With a certificate that the gate signed itself until the first one is issued."""
    lab.require("pebble pebble-challtestsrv lego")
    with Server(back.cert, back.key, users={lab.USER: lab.PASSWORD}) as server:
        site = Site(directory, server, back)
        first = pki.make(directory, "first", names=["vpn.example.com"])
        for path, of in ((site.cert, first.cert), (site.key, first.key)):
            path.touch(mode=0o600)
            path.write_bytes(open(of, "rb").read())
        made = subprocess.run([lab.GATE, "user", lab.USER], input=lab.PASSWORD + "\n", text=True, capture_output=True,
                              check=True)
        site.users.touch(mode=0o600)
        site.users.write_text(made.stdout)
        path, ready, log = (directory / name for name in ("gate.conf", "ready", "gate.log"))
        path.write_text(site.configuration())
        with lab.running([lab.GATE, "-c", path, "--ready-file", ready], log) as process:
            lines = lab.eventually(lambda: lab.whole_line(ready), process, log).splitlines()
            site.address, site.http_address = (lab.address(line.split()[-1]) for line in lines)
            try:
                with pebble(site):
                    yield site
            finally:
                print(f"--- gate\n{log.read_text()}")
        assert process.returncode == 0, f"the gate ended with {process.returncode}"


def presented(site):
    """Returns the certificate that a client gets."""
    client = site.client()
    try:
        return client.establish("tls").wire.peer_der
    finally:
        client.close()


def der_of(path):
    pem = re.search(r"-----BEGIN CERT.*?-----END CERTIFICATE-----\n", path.read_text(), re.S)[0]
    return ssl.PEM_cert_to_DER_cert(pem)


def do(site, command, **environment):
    done = subprocess.run(["sh", "-c", command], env=site.environment(**environment), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=lab.DEADLINE, cwd=site.directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def check_new(site, old):
    """The gate presents what the hook has installed, readable by its group only. Returns it."""
    new = presented(site)
    assert new != old and new == der_of(site.cert)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (site.cert, site.key)] == [0o640, 0o640]
    return new


def with_tunnel(site, *steps):
    """Runs the steps while a tunnel is up, which loses nothing."""
    client = site.client()
    try:
        client.establish().ping()
        for step in steps:
            step()
            client.ping()
        client.disconnect()
    finally:
        client.close()


def recipe(words):
    """Returns the first block of RECIPES.md after these words."""
    text = (lab.ROOT / "RECIPES.md").read_text()
    return re.search(r"^```\n(.*?)^```", text[text.index(words):], re.M | re.S)[1]


HOOK = f"/bin/sh {lab.ROOT}/conf/acme/deploy"


@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01"])
def test_lego(site, challenge):
    """Issue, install, renew: once over the SSTP port alone, once over plain HTTP."""
    way = f"--tls --tls.port 127.0.0.1:{site.tls_alpn}" if challenge == "tls-alpn-01" else \
        f"--http --http.port 127.0.0.1:{site.http}"
    lego = f"{LEGO} --path {site.directory}/lego --server {site.directory_url} {way}"
    shown = [presented(site)]

    def issue():
        do(site, f"{lego} run --run-hook '{HOOK}'")
        shown.append(check_new(site, shown[-1]))

    def renew():
        do(site, f"{lego} renew --days 36500 --no-random-sleep --renew-hook '{HOOK}'")
        shown.append(check_new(site, shown[-1]))
    with_tunnel(site, issue, renew)
    assert len(set(shown)) == 3
    lines = [line for line in site.log().splitlines() if "reason=acme-passed" in line]
    assert len(lines) >= 2
    assert all(("sni=vpn.example.com" if challenge == "tls-alpn-01" else "host=vpn.example.com") in line
               for line in lines)
    client = site.client()
    client.establish().ping().disconnect()
    client.close()


def test_certbot(site):
    """Standalone, whose port is the gate's `acme-http`; its files are readable by root only, and the hook copies them."""
    lab.require("certbot")
    folders = " ".join(f"--{name}-dir {site.directory}/certbot-{name}" for name in ("config", "work", "logs"))
    certbot = f"certbot {{}} {folders} --server {site.directory_url}"
    shown = [presented(site)]

    def issue():
        do(site, certbot.format("certonly") + " --non-interactive --agree-tos --email admin@example.com"
           f" --domain vpn.example.com --standalone --http-01-address 127.0.0.1 --http-01-port {site.http}"
           f" --deploy-hook '{HOOK}'")
        shown.append(check_new(site, shown[-1]))

    def renew():
        """As certbot.timer does: the options are those of the first command."""
        do(site, certbot.format("renew") + " --force-renewal --no-random-sleep-on-renew")
        shown.append(check_new(site, shown[-1]))
    with_tunnel(site, issue, renew)
    assert len(set(shown)) == 3


def test_dehydrated(site):
    """With the hook of RECIPES.md, which runs a web server for the tokens."""
    lab.require("dehydrated curl")
    folder = site.directory / "dehydrated"
    hook = recipe("hook`, with mode 0755").replace("/var/lib/dehydrated/www", f"{folder}/www").replace(
        "8080", str(site.http)).replace("/run/dehydrated-www.pid", f"{folder}/www.pid").replace(
        "/bin/sh /etc/sstpgate/deploy", HOOK)
    settings = recipe("/etc/dehydrated/conf.d/sstpgate.sh`").replace("/var/lib/dehydrated/www", f"{folder}/www").replace(
        "/etc/dehydrated/hook", f"{folder}/hook")
    (folder / "www/.well-known/acme-challenge").mkdir(parents=True)
    (folder / "hook").write_text(hook)
    (folder / "hook").chmod(0o755)
    (folder / "config").write_text(f"{settings}BASEDIR={folder}\nCA={site.directory_url}\n")
    (folder / "domains.txt").write_text("vpn.example.com\n")
    dehydrated = f"dehydrated --config {folder}/config"
    shown = [presented(site)]

    def issue():
        do(site, f"{dehydrated} --register --accept-terms && {dehydrated} --cron")
        shown.append(check_new(site, shown[-1]))

    def renew():
        do(site, f"{dehydrated} --cron --force --force-validation")
        shown.append(check_new(site, shown[-1]))
    with_tunnel(site, issue, renew)
    assert len(set(shown)) == 3


def test_uacme(site):
    """tls-alpn-01 by ualpn. uacme trusts the CAs of the system only, so Pebble's is one in a namespace."""
    lab.require("uacme ualpn unshare", "/usr/share/uacme/ualpn.sh")
    folder = site.directory / "uacme"
    uacme = f"uacme -a {site.directory_url} -c {folder}"
    deploy = f"{HOOK} {folder}/vpn.example.com/cert.pem {folder}/private/vpn.example.com/key.pem"
    setup = f"""set -e
mount --bind {site.directory}/pebble-ca.crt /etc/ssl/certs/ca-certificates.crt
mount -t tmpfs none /run
ualpn -b 127.0.0.1@{site.tls_alpn} -c 127.0.0.1@443 -S 0666 &
trap 'kill $!' EXIT
until [ -S /run/ualpn.sock ]; do kill -0 $!; done
"""
    shown = [presented(site)]

    def inside(commands):
        script = folder.with_suffix(".sh")
        script.write_text(setup + commands)
        do(site, f"unshare --mount sh {script}")
        shown.append(check_new(site, shown[-1]))

    def issue():
        inside(f"{uacme} -y new admin@example.com\n"
               f"{uacme} -h /usr/share/uacme/ualpn.sh issue vpn.example.com && {deploy}\n")

    def renew():
        inside(f"{uacme} -f -h /usr/share/uacme/ualpn.sh issue vpn.example.com && {deploy}\n")
    with_tunnel(site, issue, renew)
    assert len(set(shown)) == 3
