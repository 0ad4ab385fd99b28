"""Stores of several gates: a real redis-server, and a scripted one that answers what a test wants."""

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
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program, "redis-server is missing"
        options = {"port": 0, "unixsocket": self.path, "save": "", "appendonly": "no", "dir": self.directory,
                   **self.settings}
        command = [program]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        for line in self.process.stdout:
            if b"ready to accept connections" in line:
                break
        else:
            raise AssertionError("redis-server did not start")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return self

    def __call__(self, *words):
        """Sends one command. Returns the answer as redis-cli prints it."""
        program = shutil.which("redis-cli") or shutil.which("valkey-cli")
        done = subprocess.run([program, "-s", self.path, *map(str, words)], capture_output=True, text=True,
                              timeout=DEADLINE, check=True)
        return done.stdout.strip()

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
