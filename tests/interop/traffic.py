"""traffic.py serve ADDRESS PORT | exchange ADDRESS PORT

Ten megabytes in each direction over one TCP connection; each side sends the other the SHA-256 of the
data that it sent or received. `serve` prints a line once it listens; `exchange` fails on a difference."""

import hashlib
import os
import socket
import sys

SIZE = 10_000_000


def receive(connection, size):
    octets = bytearray()
    while len(octets) < size:
        more = connection.recv(min(65536, size - len(octets)))
        if not more:
            raise EOFError(f"connection ended after {len(octets)} of {size} bytes")
        octets += more
    return bytes(octets)


def digest(octets):
    return hashlib.sha256(octets).digest()


def serve(address):
    with socket.create_server(address) as listener:
        print("listening", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(digest(receive(connection, SIZE)))
                octets = os.urandom(SIZE)
                connection.sendall(octets + digest(octets))


def exchange(address):
    octets = os.urandom(SIZE)
    with socket.create_connection(address, timeout=200) as connection:
        connection.sendall(octets)
        assert receive(connection, 32) == digest(octets), "the peer received other data"
        octets = receive(connection, SIZE)
        assert receive(connection, 32) == digest(octets), "received other data"


{"serve": serve, "exchange": exchange}[sys.argv[1]]((sys.argv[2], int(sys.argv[3])))
