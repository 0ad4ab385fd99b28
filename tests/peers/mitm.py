#!/usr/bin/python3
"""A man in the middle: terminates the client's TLS with another certificate, opens a second TLS
connection to the real server and forwards everything. `trick` is what it does to Call Connected:
    none    nothing: the client has hashed the wrong certificate
    hash    inserts the right certificate's hash: the Compound MAC is then wrong
    nonce   inserts another nonce, as from another call
"""

import argparse
import os
import socket
import sys
import threading
from pathlib import Path

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from peers import sstp, tls
from peers.server import parse_address


class Mitm:
    def __init__(self, target, cert, key, trick="none", listen=("127.0.0.1", 0)):
        self.target, self.trick = target, trick
        self.context = tls.server_context(cert, key)
        self.sock = socket.create_server(listen)
        self.address = self.sock.getsockname()
        self.tricked = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._call, args=(sock,), daemon=True).start()

    def _call(self, sock):
        front = tls.Tls(sock, self.context, server_side=True)
        front.handshake()
        back = tls.Tls(socket.create_connection(self.target), tls.client_context())
        back.handshake()
        threading.Thread(target=self._pass, args=(back, front, lambda octets: octets),
                         daemon=True).start()
        self._pass(front, back, self._trickster(back.peer_der))

    def _pass(self, source, target, change):
        try:
            while (octets := source.read_record()) is not None:
                target.write(change(octets))
            target.finish_writing()
        except OSError:
            target.close()

    def _trickster(self, leaf):
        """Returns a function over the client's records. The test client sends each packet in one record."""
        def change(octets):
            if self.trick == "none" or len(octets) != 112 or octets[4:6] != b"\0\4":
                return octets
            self.tricked += 1
            if self.trick == "hash":
                return octets[:48] + sstp.cert_hash(octets[15], leaf) + octets[80:]
            return octets[:16] + os.urandom(32) + octets[48:]
        return change


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, type=parse_address, metavar="HOST:PORT")
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--listen", default="127.0.0.1:0", type=parse_address)
    parser.add_argument("--trick", choices=("none", "hash", "nonce"), default="none")
    options = parser.parse_args()
    with Mitm(options.target, options.cert, options.key, options.trick, options.listen) as mitm:
        print("%s:%d" % mitm.address, flush=True)
        try:
            mitm._thread.join()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
