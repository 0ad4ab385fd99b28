"""FreeRADIUS, with its own configuration; radclient and eapol_test, which ask it.

/etc/freeradius is neither read nor changed: all files of the server are in the directory of the
test, and it serves one port of loopback for authentication and one for accounting."""

import contextlib
import pathlib
import re
import socket
import subprocess
from dataclasses import dataclass

import lab
from peers import pki, radius

SECRET = "what-the-server-shares"
USERS = {"alice": "sesame", "bob": "wonder-land-7"}

# For FreeRADIUS 3.2.1. Reply-Message shows the client's address that the server has received.
RADIUSD = """\
prefix = /usr
libdir = /usr/lib/freeradius
name = radius
logdir = {folder}
run_dir = {folder}
pidfile = {folder}/radiusd.pid
max_request_time = 30
cleanup_delay = 5
max_requests = 16384
hostname_lookups = no
regular_expressions = yes
extended_expressions = yes

log {{
    destination = stdout
    auth = yes
}}

security {{
    allow_core_dumps = no
    max_attributes = 200
    reject_delay = 0
    status_server = yes
}}

thread pool {{
    start_servers = 2
    max_servers = 8
    min_spare_servers = 1
    max_spare_servers = 8
    max_requests_per_server = 0
}}

client loopback {{
    ipaddr = 127.0.0.1
    secret = {secret}
    require_message_authenticator = {require}
}}

modules {{
    pap {{
    }}
    chap {{
    }}
    mschap {{
    }}
    always ok {{
        rcode = ok
    }}
    files {{
        filename = {folder}/users
    }}
    detail {{
        filename = {folder}/detail
        permissions = 0600
    }}
    eap {{
        default_eap_type = mschapv2
        max_sessions = 4096
        tls-config common {{
            private_key_file = {cert.key}
            certificate_file = {cert.cert}
            ca_file = {ca.cert}
            fragment_size = 1024
            tls_min_version = "1.2"
            tls_max_version = "1.3"
        }}
        md5 {{
        }}
        mschapv2 {{
        }}
        tls {{
            tls = common
        }}
        peap {{
            tls = common
            default_eap_type = mschapv2
            virtual_server = inner
        }}
        ttls {{
            tls = common
            virtual_server = inner
        }}
    }}
}}

server outer {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {auth}
    }}
    listen {{
        type = acct
        ipaddr = 127.0.0.1
        port = {acct}
    }}
    authorize {{
        mschap
        chap
        eap {{
            ok = return
        }}
        files
        pap
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
        }}
        Auth-Type CHAP {{
            chap
        }}
        Auth-Type MS-CHAP {{
            mschap
        }}
        eap
    }}
    preacct {{
        ok
    }}
    accounting {{
        detail
    }}
    post-auth {{
        update reply {{{seal}
            &Reply-Message := "from %{{Calling-Station-Id}}"
        }}
        Post-Auth-Type REJECT {{
            update reply {{{seal}
                &Reply-Message := "not you"
            }}
        }}
    }}
}}

server inner {{
    authorize {{
        mschap
        eap {{
            ok = return
        }}
        files
        pap
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
        }}
        Auth-Type MS-CHAP {{
            mschap
        }}
        eap
    }}
}}
"""


@dataclass
class Server:
    folder: pathlib.Path
    auth: str                # HOST:PORT
    acct: str
    ca: pki.Cert
    client: pki.Cert         # alice's certificate, for EAP-TLS
    process: subprocess.Popen
    secret: str = SECRET

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def accounts(self):
        """Returns the accounting records as the server writes them."""
        path = self.folder / "detail"
        return path.read_text() if path.exists() else ""


def certificates(folder):
    ca = pki.make(folder, "radius-ca", key="rsa", ca=True)
    return (ca, pki.make(folder, "radius.sstpgate.test", key="rsa", issuer=ca),
            pki.make(folder, "alice", key="rsa", issuer=ca))


def two_ports():
    """Returns ports that were free a moment ago. FreeRADIUS accepts no port 0 (it means 1812) and no socket."""
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind(("127.0.0.1", 0))
            yield sock.getsockname()[1]


@contextlib.contextmanager
def server(folder, *, secret=SECRET, require=False):
    """Yields a Server that answers. require: all requests must have Message-Authenticator, and all
    answers have it; otherwise 3.2.1 adds it only to answers with EAP."""
    folder.mkdir()
    ca, cert, client = certificates(folder)
    (folder / "users").write_text("".join(f'{name} Cleartext-Password := "{password}"\n'
                                          for name, password in USERS.items()))
    log = folder / "log"
    for attempt in range(5):
        auth, acct = two_ports()
        (folder / "radiusd.conf").write_text(RADIUSD.format(
            folder=folder, cert=cert, ca=ca, secret=secret, auth=auth, acct=acct,
            require="yes" if require else "no",
            seal="\n&Message-Authenticator := 0x00" if require else ""))
        log.write_text("")
        # -f: in the foreground, but with threads, as in production.
        with lab.running(["freeradius", "-f", "-d", folder, "-l", "stdout"], log) as process:
            if not lab.eventually(
                    lambda: re.search(r"Ready to process requests|Failed binding", log.read_text()),
                    process, log)[0].startswith("Ready"):
                continue  # another program has taken the port meanwhile
            yield Server(folder, f"127.0.0.1:{auth}", f"127.0.0.1:{acct}", ca, client, process,
                         secret)
            return
    raise AssertionError(log.read_text())


# -- radclient --

@dataclass
class Reply:
    kind: str            # Access-Accept and so on; None: no answer
    attributes: dict     # name to the list of its values, as printed
    text: str

    def __getitem__(self, name):
        return self.attributes[name][0]


def radclient(address, what, attributes, *, secret=SECRET):
    """what: auth, acct, status. attributes: pairs of name and value. radclient fills in
    Message-Authenticator if it is one of them (0x00), and computes CHAP and MS-CHAP from a password."""
    lines = "".join(f"{name} = {value}\n" for name, value in attributes)
    done = subprocess.run(
        ["radclient", "-x", "-r", "1", "-t", "60", address, what, secret],
        input=lines, capture_output=True, text=True, timeout=lab.DEADLINE)
    text = done.stdout + done.stderr
    head = re.search(r"^Received (\S+) Id .*$", done.stdout, re.MULTILINE)
    found = {}
    if head:
        for name, value in re.findall(r"^\t(\S+) = (.*)$", done.stdout[head.end():], re.MULTILINE):
            found.setdefault(name, []).append(value.strip('"'))
    return Reply(head[1] if head else None, found, text)


# -- eapol_test --

METHODS = {
    "eap-mschapv2": "eap=MSCHAPV2\npassword=\"{password}\"",
    "peap": "eap=PEAP\npassword=\"{password}\"\nanonymous_identity=\"outer\"\n"
            "ca_cert=\"{ca.cert}\"\nphase2=\"auth=MSCHAPV2\"",
    "eap-ttls": "eap=TTLS\npassword=\"{password}\"\nca_cert=\"{ca.cert}\"\nphase2=\"auth=PAP\"",
    "eap-tls": "eap=TLS\nca_cert=\"{ca.cert}\"\nclient_cert=\"{client.cert}\"\n"
               "private_key=\"{client.key}\"",
    "eap-tls-1.3": "eap=TLS\nca_cert=\"{ca.cert}\"\nclient_cert=\"{client.cert}\"\n"
                   "private_key=\"{client.key}\"\nphase1=\"tls_disable_tlsv1_3=0\"",
}


@dataclass
class Eapol:
    """The output of eapol_test. msk: the key that its EAP derived (64 octets, or as many as the method
    has); recv, send: MS-MPPE-Recv-Key and -Send-Key of the Accept."""
    success: bool
    msk: bytes
    recv: bytes
    send: bytes
    text: str


def parse_eapol(text):
    def last(pattern):
        found = re.findall(rf"{pattern} - hexdump\(len=\d+\): ([0-9a-f ]+)", text)
        return bytes.fromhex(found[-1]) if found else None
    return Eapol(text.rstrip().endswith("SUCCESS"),
                 last("Derived key"), last(r"MS-MPPE-Recv-Key \(crypt\)"),
                 last(r"MS-MPPE-Send-Key \(sign\)"), text)


def eapol_command(folder, address, method, user="alice", password=None, *, ca, client,
                  secret=SECRET, more=()):
    """Returns the command line of one login, and writes its configuration into folder."""
    network = METHODS[method].format(password=password or USERS.get(user, ""), ca=ca,
                                     client=client)
    path = folder / f"{method}.eapol"
    path.write_text(f"network={{\nkey_mgmt=WPA-EAP\nidentity=\"{user}\"\n{network}\n}}\n")
    host, _, port = address.rpartition(":")
    return ["eapol_test", "-c", path, "-a", host, "-p", port, "-s", secret, "-t", "60", *more]


def eapol_test(folder, server, method, address=None, **options):
    """One login at address, or directly at the server."""
    command = eapol_command(folder, address or server.auth, method, ca=server.ca,
                            client=server.client, **options)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=lab.DEADLINE)
    return parse_eapol(done.stdout)


class EapolPeer:
    """eapol_test as the EAP implementation of a scripted client (auth.EapCarrier): it receives the VPN
    server's packets from PPP as challenges of a RADIUS server, and its answers go back over PPP. It
    receives no keys; those that it derives are the client's."""

    def __init__(self, folder, method, *, ca, client, user="alice", password=None):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(60)
        address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        command = eapol_command(folder, address, method, user, password, ca=ca, client=client,
                                more=["-n"])  # the Accept has no keys; do not expect them
        self.log = folder / f"{method}.log"
        self._end = contextlib.ExitStack()
        self.process = self._end.enter_context(lab.running(command, self.log))
        self.asked = self.source = None
        self.login = None

    def close(self):
        self.sock.close()
        self._end.close()

    def _hear(self):
        """Returns its next Access-Request; skips retransmissions."""
        before = self.asked and self.asked.authenticator
        while self.asked is None or self.asked.authenticator == before:
            octets, self.source = self.sock.recvfrom(8192)
            self.asked = radius.parse(octets)
        return self.asked.eap

    def _say(self, code, eap):
        answer = radius.Packet(code, self.asked.ident, attributes=[
            *radius.eap_message(eap), (radius.STATE, b"one"), (radius.MESSAGE_AUTHENTICATOR, bytes(16))])
        octets = answer.sign_response(SECRET.encode(), self.asked.authenticator)
        self.sock.sendto(octets, self.source)

    def answer(self, request):
        if self.asked is None:
            # eapol_test has made up the Request/Identity; the server's request has another identifier.
            said = self._hear()
            return said[:1] + request[1:2] + said[2:]
        self._say(radius.ACCESS_CHALLENGE, request)
        return self._hear()

    def succeeded(self, success):
        self._say(radius.ACCESS_ACCEPT, success)
        self.process.wait(60)
        self.login = parse_eapol(self.log.read_text(errors="replace"))
        return self.login.msk[:32]
