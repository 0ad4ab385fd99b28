"""A status listener without a gate: the files of the page and the objects of its API, with the headers that
the gate sends. Its data can be changed while a page is open."""

import json
import math
import random
import re
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

FILES = Path(__file__).resolve().parents[2] / "proxy/status"
TYPES = {"/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css"),
         "/page.js": ("page.js", "text/javascript")}
SHARED = {"store": "10.0.0.20:6379", "up": True, "cause": None, "gates": 3}
KINDS = ("gates", "status", "listeners", "servers", "certificates", "tunnels", "failures", "bans")
TOKEN = "correct-horse-battery-staple"
DAY = 86400


def policy():
    """The Content-Security-Policy of proxy/status/page.h."""
    text = re.search(r"#define PAGE_POLICY(.*?)\n\n", (FILES / "page.h").read_text(), re.S)[1]
    return "".join(re.findall(r'"(.*?)"', text))


def stamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


USERS = ["alice", "bob", "carol", "dave", "erin", "CORP\\frank", "CORP\\grace", "heidi@example.com", "ivan", "judy",
         "jürgen", "mallory", "niaj", "olivia", "peggy", "rupert", "sybil", "trent", "victor", "walter"]
SERVERS = ["10.20.0.11:443", "10.20.0.12:443", "10.20.0.13:443"]
REASONS = [
    ("refused", "tls", "no-host", "The client asked for a host name that no listener has.",
     "Use the name of the certificate in the client's connection, or add it to `host`.", None),
    ("failed", "login", "login-refused", "The VPN server refused the user's name or password.",
     "Check the password and the dial-in permission of the user.", "E=691"),
    ("refused", "request", "address-banned", "The address has collected too many points.",
     "Wait, or remove the ban with `sstpgate ctl unban`.", None),
    ("failed", "connect", "backend-unreachable", "No server of the backend accepted the connection.",
     "Check that the server runs and that the firewall lets the gate through.", "10.20.0.13:443: connection refused"),
    ("failed", "binding", "users-stale", "The crypto-binding does not fit the password in users-file.",
     "Write the user's new password with `sstpgate user -f FILE NAME`.", None),
]


class Data:
    """The objects of the API. `tunnels`, `failures` and the others are lists of items."""

    def __init__(self, tunnels=186, seed=7, now=None):
        self.random = random.Random(seed)
        self.now = now or datetime.now(timezone.utc)
        self.writable = True
        self.gates, self.missing = [], None
        self.tunnels = [self.tunnel(i) for i in range(tunnels)]
        self.failures = [self.failure(i) for i in range(43)]
        self.listeners = [
            self.listener("public", ["192.0.2.10:443", "[2001:db8::10]:443"], 63, tunnels * 3 // 4),
            self.listener("partners", ["192.0.2.11:443"], 9, tunnels - tunnels * 3 // 4),
            self.listener("trial", ["192.0.2.12:8443"], 63, 0, mode="dry-run")]
        self.servers = [self.server(i, name) for i, name in enumerate(SERVERS)]
        self.certificates = [self.certificate(item) for item in self.listeners]
        self.bans = [{"net": "203.0.113.77/32", "user": None, "left": 512.0, "cause": "points"},
                     {"net": "198.51.100.0/24", "user": None, "left": 5100.0, "cause": "manual"},
                     {"net": None, "user": "mallory", "left": 3000.0, "cause": "manual"}]
        self.status = self.make_status()

    def tunnel(self, i):
        r = self.random
        age = 30 + r.expovariate(1 / 14000)
        down, up = r.expovariate(1 / 4e5) * age / 10, r.expovariate(1 / 9e4) * age / 10
        public = r.random() < 0.75
        return {
            "id": f"{i % 4}-{i + 12}", "user": USERS[i % len(USERS)] + (str(i // len(USERS)) if i >= 20 else ""),
            "client": f"198.51.{r.randrange(100, 104)}.{r.randrange(1, 255)}:{r.randrange(1024, 65535)}",
            "assigned": f"10.99.{i // 250}.{i % 250 + 2}", "listener": "public" if public else "partners",
            "backend": "rras", "server": SERVERS[i % 2],
            "start": stamp(self.now - timedelta(seconds=age)), "duration": age,
            "up_bytes": int(up), "up_packets": int(up / 400), "down_bytes": int(down), "down_packets": int(down / 900),
            "up_rate": r.choice([0, 0, 120, 5200, 81000]) * r.random(),
            "down_rate": r.choice([0, 90, 7000, 420000, 2e6]) * r.random(),
            "method": r.choice(["mschapv2", "mschapv2", "eap-mschapv2", "peap"]), "binding": "verified",
            "hash": "sha256", "key": "users", "tls": r.choice(["1.3", "1.3", "1.2"]),
            "cipher": "TLS_AES_256_GCM_SHA384",
            "host": "vpn.example.com", "sni": "vpn.example.com"}

    def failure(self, i):
        r = self.random
        outcome, stage, reason, words, remedy, detail = REASONS[(i * i + i // 3) % len(REASONS)]
        known = stage in ("login", "binding")
        return {"time": stamp(self.now - timedelta(seconds=20 + i * 97 + r.random() * 60)), "id": f"{i % 4}-{900 - i}",
                "listener": r.choice(["public", "public", "partners"]),
                "client": f"203.0.113.{r.randrange(1, 255)}:{r.randrange(1024, 65535)}",
                "user": r.choice(USERS) if known else None,
                "host": "vpn.example.com" if stage != "tls" else None, "sni": "vpn.example.com",
                "outcome": outcome, "stage": stage, "reason": reason, "words": words, "remedy": remedy,
                "detail": detail, "backend": "rras" if stage in ("login", "binding", "connect") else None,
                "server": SERVERS[0] if known else None}

    def listener(self, name, addresses, days, tunnels, mode="enforce"):
        return {"name": name, "addresses": addresses, "tunnels": tunnels, "mode": mode,
                "calls": tunnels + (3 if tunnels else 0), "backend": "rras",
                "certificate_expires": stamp(self.now + timedelta(days=days)), "certificate_days": days}

    def server(self, i, name):
        down = i == 2
        return {"backend": "rras", "server": name, "state": "down" if down else "up",
                "since": 1260.0 if down else 6.2 * DAY, "cause": "connection refused" if down else None,
                "max_tunnels": 4000,
                "tunnels": 0 if down else len(self.tunnels) // 2,
                "weight": 1, "backup": down, "check": "sstp", "check_seconds": None if down else 0.0031 + i * 0.0007}

    def certificate(self, listener):
        return {"listener": listener["name"], "file": f"/etc/sstpgate/{listener['name']}.pem",
                "subject": "CN=vpn.example.com", "names": ["vpn.example.com", "vpn2.example.com"],
                "issuer": "CN=Example CA", "serial": "04a1f2",
                "not_before": stamp(self.now - timedelta(days=27)), "not_after": listener["certificate_expires"],
                "days": listener["certificate_days"], "key": "EC P-256", "staple": "good", "leaf_sha256": "ab" * 32}

    def make_status(self):
        return {"version": "0.2.0", "pid": 4711, "state": "serving", "uptime": 6.2 * DAY,
                "started": stamp(self.now - timedelta(days=6.2)),
                "workers": 4, "calls": len(self.tunnels) + 6, "calls_max": 20000,
                "tunnels": len(self.tunnels), "bans": 3,
                "configuration": "/etc/sstpgate/sstpgate.conf", "configuration_outdated": False,
                "reload": {"time": stamp(self.now - timedelta(hours=30)), "ok": True, "cause": None}, "stale_files": [],
                "sandbox": "landlock, seccomp", "dropped_log_lines": 0, "old_tunnels": 0, "history": self.history()}

    def history(self):
        r, n = self.random, 360
        wave = [0.94 + 0.06 * math.sin(i / 40) + 0.012 * math.sin(i / 7) for i in range(n)]
        top = max(len(self.tunnels), 1)
        flow = [max(0.1, 1 + 0.3 * math.sin(i / 23) + r.gauss(0, 0.12)) for i in range(n)]
        return {"step": 10, "time": stamp(self.now), "tunnels": [round(top * w / wave[-1]) for w in wave],
                "up_bytes": [int(2.2e7 * f) for f in flow],
                "down_bytes": [int(9.1e7 * f * r.uniform(0.9, 1.1)) for f in flow],
                "failures": [1 if r.random() < 0.09 else 4 if i in (212, 213, 214) else 0 for i in range(n)],
                "tunnel_seconds": [None if r.random() < 0.2 else 0.3 + 0.08 * r.random() + (0.5 if 205 < i < 216 else 0)
                                   for i in range(n)]}

    def share(self, names=("gate-a.0badcafe", "gate-b.12345678", "gate-c.deadbeef")):
        """Makes it the gate names[0] of several, among which the tunnels are distributed."""
        self.status["shared"] = SHARED
        self.missing = []
        self.gates = [{"name": name.split(".")[0], "version": "0.2.0", "started": self.status["started"], "tunnels": 7,
                       "state": "draining" if i == 2 else "serving", "gate": name, "mine": i == 0}
                      for i, name in enumerate(names)]
        self.tunnels = [{"gate": names[i % len(names)], **item} for i, item in enumerate(self.tunnels)]
        return self

    def answer(self, kind, limit, every=False):
        if kind == "status":
            return {**self.status, "writable": self.writable}
        items = getattr(self, kind)
        missing = {"missing": self.missing} if kind == "tunnels" and every else {}
        return {"total": len(items), "offset": 0, "limit": limit, "items": items[:limit], **missing}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def reply(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", self.server.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def reply_json(self, status, value):
        self.reply(status, "application/json", json.dumps(value).encode())

    def do_GET(self):
        url = urlsplit(self.path)
        name = url.path.removeprefix("/api/v1/")
        if url.path in TYPES:
            file, kind = TYPES[url.path]
            self.reply(200, f"{kind}; charset=utf-8", (FILES / file).read_bytes())
        elif self.server.broken:
            self.reply(503, "text/plain", b"the gate is busy\n")
        elif name != url.path and name in KINDS:
            self.server.asked[name] = self.server.asked.get(name, 0) + 1
            query = parse_qs(url.query)
            limit = int(query.get("limit", ["100"])[0])
            self.reply_json(200, self.server.data.answer(name, limit, query.get("gates") == ["all"]))
        else:
            self.reply(404, "text/plain", b"not found\n")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        name = urlsplit(self.path).path.removeprefix("/api/v1/")
        if not self.server.data.writable or self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.server.refused.append((name, self.headers.get("Authorization")))
            return self.reply_json(403, {"ok": False, "error": "the token is wrong"})
        values = {key: value[0] for key, value in parse_qs(body).items()}
        self.server.posts.append((name, values))
        if values.get("address") == "nonsense":
            return self.reply_json(400, {"ok": False, "error": "'nonsense' is no address"})
        if name == "end":
            tunnels = self.server.data.tunnels
            name_of = lambda item: f"{item['gate']}/{item['id']}" if "gate" in item else item["id"]
            self.server.data.tunnels = [item for item in tunnels if name_of(item) != values.get("id")]
            return self.reply_json(200, {"ok": True, "text": f"{len(tunnels) - len(self.server.data.tunnels)} ended"})
        return self.reply_json(200, {"ok": True, "text": f"{name}: done"})


class Server(ThreadingHTTPServer):
    """Serves `data` at a free port of the loopback address. `posts` are the accepted actions, `refused` those
    without the token; `broken` makes the API answer 503."""

    daemon_threads = True

    def __init__(self, data, port=0, handler=Handler):
        super().__init__(("127.0.0.1", port), handler)
        self.data, self.policy = data, policy()
        self.posts, self.refused, self.asked, self.broken = [], [], {}, False
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()
