"""Stores of several gates: a real redis-server, a store with scripted answers, and a port where a test can put another
program in the place of the store."""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

from .tls import DEADLINE


def encode(value):
    """Returns a value as RESP."""
    if isinstance(value, Exception):
        return b"-%b\r\n" % str(value).encode()
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, (list, tuple)):
        return b"*%d\r\n" % len(value) + b"".join(encode(item) for item in value)
    octets = value if isinstance(value, bytes) else value.encode()
    return b"$%d\r\n%b\r\n" % (len(octets), octets)


def start(options, ready):
    """Starts a server of Debian 12 or 13, and waits for the line that contains `ready`."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    assert program, "redis-server is missing"
    process = subprocess.Popen([program, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if ready in line.lower():                                  # valkey-server writes "Ready"
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process
    process.wait()
    raise AssertionError(f"{program} did not start: {lines}")


def command(*words):
    """Returns the answer of redis-cli."""
    cli = shutil.which("redis-cli") or shutil.which("valkey-cli")
    done = subprocess.run([cli, *map(str, words)], capture_output=True, text=True, timeout=DEADLINE, check=True)
    return done.stdout.strip()


class Redis:
    """A redis-server (or valkey-server) of its own, on a Unix socket, without a file on disk."""

    def __init__(self, directory, **settings):
        self.directory = Path(directory)
        self.path = self.directory / "redis.sock"
        self.settings = settings
        self.process = None
        self.start()

    @property
    def url(self):
        return f"unix:{self.path}"

    def start(self):
        options = {"port": 0, "unixsocket": self.path, "save": "", "appendonly": "no", "dir": self.directory,
                   **self.settings}
        self.process = start([word for name, value in options.items()
                              for word in (f"--{name.replace('_', '-')}", *str(value).split())],
                             b"ready to accept connections")
        return self

    def __call__(self, *words):
        """Sends one command. Returns the answer of redis-cli."""
        return command("-s", self.path, *words)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


class Sentinel:
    """A Sentinel that watches the store `mymaster` at 127.0.0.1:STORE. It writes its own configuration."""

    def __init__(self, directory, port, store, *lines):
        self.url = f"redis+sentinel://127.0.0.1:{port}/mymaster"
        config = Path(directory) / "sentinel.conf"
        config.write_text("\n".join([
            f"port {port}", "bind 127.0.0.1", f"dir {directory}", f"sentinel monitor mymaster 127.0.0.1 {store} 1",
            "sentinel down-after-milliseconds mymaster 500", "sentinel failover-timeout mymaster 5000", *lines, ""]))
        self.port = port
        self.process = start([config, "--sentinel"], b"+monitor")

    def __call__(self, *words):
        """Sends one command. Returns the answer of redis-cli."""
        return command("-p", self.port, *words)

    def close(self):
        self.process.kill()
        self.process.wait()


class Door:
    """A port with a server that a test can replace: serve(sock) handles a connection, which ends when it returns."""

    def __init__(self, serve):
        self.serve = serve
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        self.count = 0
        self.more = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock = self.listener.accept()[0]
                with self.more:
                    self.count += 1
                    self.more.notify_all()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with contextlib.suppress(OSError), sock:
            self.serve(sock)

    def wait(self, count):
        """Waits until `count` connections have been accepted."""
        with self.more:
            assert self.more.wait_for(lambda: self.count >= count, DEADLINE), self.count

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def forward(target):
    """Returns a function for Door.serve that forwards to the server at a path or an address."""
    def pump(source, sink):
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                sink.sendall(octets)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve(sock):
        with socket.socket(socket.AF_INET if isinstance(target, tuple) else socket.AF_UNIX) as server:
            server.connect(target if isinstance(target, tuple) else str(target))
            back = threading.Thread(target=pump, args=(server, sock), daemon=True)
            back.start()
            pump(sock, server)
            back.join()
    return serve


class Store:
    """A scripted store on a port of its own. answer(words): the answer to a command, as bytes that are sent as they
    are, or a value for encode(); None: no answer. Scripts are known by the words of their texts."""

    def __init__(self, answer=None, tls=None):
        self.answer = answer or (lambda words: b"+OK\r\n")
        self.context = tls
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen = []
        self.sockets = []
        self.more = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"{'rediss' if self.context else 'redis'}://127.0.0.1:{self.port}"

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock = self.listener.accept()[0]
                self.sockets.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with contextlib.suppress(OSError, ValueError, ssl.SSLError):
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as stream:
                self._answer(sock, stream)

    def _answer(self, sock, stream):
        while line := stream.readline():
            words = []
            for _ in range(int(line[1:])):
                length = int(stream.readline()[1:])
                words.append(stream.read(length + 2)[:-2])
            answer = self.answer(words)
            with self.more:
                self.seen.append(words)
                self.more.notify_all()
            if answer is not None:
                sock.sendall(answer if isinstance(answer, bytes) else encode(answer))

    def wait(self, found):
        """Waits until found(words) is true for a command that was received. Returns its words."""
        with self.more:
            assert self.more.wait_for(lambda: any(found(words) for words in self.seen), DEADLINE), self.seen
            return next(words for words in self.seen if found(words))

    def hang_up(self):
        """Ends all connections."""
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()
        self.hang_up()
        for sock in self.sockets:
            sock.close()
