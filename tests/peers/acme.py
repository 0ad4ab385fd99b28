"""The two sides of a validation of ACME by tls-alpn-01 (RFC 8737) and by http-01 (RFC 8555 8.3): a validator, and a
responder as an ACME client has one while it asks for a certificate."""

import datetime
import hashlib
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from peers import tls

PROTOCOL = "acme-tls/1"
IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


def challenge_certificate(folder, name, authorization=b"key authorization"):
    """Makes the certificate of RFC 8737 3. Returns the paths of its PEM files, and its DER."""
    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([])
    now = datetime.datetime.now(datetime.timezone.utc)
    digest = b"\x04\x20" + hashlib.sha256(authorization).digest()
    cert = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(secret.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(IDENTIFIER, digest), critical=True)
            .sign(secret, hashes.SHA256()))
    paths = folder / "challenge.pem", folder / "challenge.key"
    paths[0].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    paths[1].touch(mode=0o600)
    paths[1].write_bytes(secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                              serialization.NoEncryption()))
    return *paths, cert.public_bytes(serialization.Encoding.DER)


def context(*protocols):
    """Returns the context of a client that offers these protocols; none: no ALPN."""
    made = tls.client_context()
    made.set_ecdh_curve("prime256v1")  # OpenSSL 3.5 has a key of 1.2 kB otherwise: too much in records of one byte
    if protocols:
        made.set_alpn_protocols(protocols)
    return made


def hello(*protocols, name="vpn.example.com"):
    """Returns the first flight of a client: one record with its ClientHello."""
    out = ssl.MemoryBIO()
    machine = context(*protocols).wrap_bio(ssl.MemoryBIO(), out, False, name)
    try:
        machine.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def in_records(flight, most):
    """Returns the flight with its one record cut into records of at most `most` bytes."""
    assert len(flight) == 5 + int.from_bytes(flight[3:5], "big")
    message = flight[5:]
    pieces = [message[at:at + most] for at in range(0, len(message), most)]
    return b"".join(flight[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


def validate(address, *protocols, name="vpn.example.com", bind=None):
    """Connects as a validator does. Returns the certificate that was shown, and the protocol that was selected."""
    source = (bind, 0) if bind else None
    with socket.create_connection(address, tls.DEADLINE, source) as sock, \
            context(*(protocols or [PROTOCOL])).wrap_socket(sock, server_hostname=name) as secured:
        return secured.getpeercert(True), secured.selected_alpn_protocol()


class Responder:
    """Listens as an ACME client does. serve(responder, socket) handles each connection in a thread of its own;
    `received` has the bytes of each one that take() has read, `accepted` the number of connections."""

    def __init__(self, serve):
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self.received, self.accepted = [], 0
        self.go = threading.Event()  # ends connections that wait
        self.more = threading.Condition()
        self._threads = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self):
        while True:
            try:
                sock = self._listener.accept()[0]
            except OSError:
                return
            with self.more:
                self.accepted += 1
                self.more.notify_all()
            thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _run(self, sock):
        sock.settimeout(tls.DEADLINE)
        with sock:
            try:
                self._serve(self, sock)
            except (OSError, ssl.SSLError):
                pass

    def take(self, sock, enough=None):
        """Reads until the peer ends, or `enough` bytes have come."""
        octets = b""
        while enough is None or len(octets) < enough:
            more = sock.recv(65536)
            if not more:
                break
            octets += more
        with self.more:
            self.received.append(octets)
            self.more.notify_all()
        return octets

    def wait(self, condition):
        with self.more:
            assert self.more.wait_for(condition, tls.DEADLINE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self._accepting.join(tls.DEADLINE)
        for thread in self._threads:
            thread.join(tls.DEADLINE)
            assert not thread.is_alive()


def answers(certificate, key):
    """Returns the function of a Responder that answers tls-alpn-01."""
    made = tls.server_context(certificate, key)
    made.set_alpn_protocols([PROTOCOL])

    def serve(_, sock):
        with made.wrap_socket(sock, server_side=True) as secured:
            while secured.recv(4096):
                pass
    return serve
