"""Devices with a private key: a TPM 2.0 (swtpm) and a token (SoftHSM), which can be pulled out and put back."""

import os
import select
import signal
import socket
import subprocess
import threading
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from .tls import DEADLINE

PIN = "123456"
CONF = """
openssl_conf = init
[init]
providers = providers
[providers]
default = software
{name} = device
[software]
activate = 1
[device]
activate = 1
{more}
"""


def execute(*arguments, env=None):
    done = subprocess.run([str(word) for word in arguments], env={**os.environ, **(env or {})}, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=DEADLINE)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def modules():
    """Returns the directory of OpenSSL's providers."""
    text = subprocess.run(["openssl", "version", "-m"], capture_output=True, text=True, timeout=DEADLINE).stdout
    return Path(text.split('"')[1])


class Device:
    """provider: name of the module of OpenSSL. env: for the programs that use the device."""

    provider = uri = None

    def __init__(self, folder):
        self.folder = Path(folder)
        self.pin = self.folder / "pin"
        self.pin.touch(mode=0o600)
        self.pin.write_text(PIN + "\n")
        self.env = {"OPENSSL_CONF": str(self.folder / "openssl.cnf")}

    def write_conf(self, more=""):
        (self.folder / "openssl.cnf").write_text(CONF.format(name=self.provider, more=more))


def read_exactly(end, n):
    octets = b""
    while len(octets) < n:
        more = end.recv(n - len(octets))
        if not more:
            raise ConnectionError
        octets += more
    return octets


class Tpm(Device):
    """swtpm serves one connection at a time. This broker passes the commands of all connections to it, one at a time,
    as the kernel does for /dev/tpmrm0; keys are persistent."""

    provider = "tpm2"
    HEAD = 10  # bytes: tag, size, code

    def __init__(self, folder, kind="ecc256"):
        super().__init__(folder)
        self.lock = threading.Lock()
        self.open, self.present = [], True
        sockets = [self.folder / "data", self.folder / "control"]
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--flags", "not-need-init,startup-clear",
             "--server", f"type=unixio,path={sockets[0]}", "--ctrl", f"type=unixio,path={sockets[1]}"],
            stdin=subprocess.DEVNULL)
        try:
            self._serve_all(sockets)
            self._make_key(kind)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _serve_all(self, sockets):
        self.ends = [self._connect(path) for path in sockets]
        self.doors = self._listen()
        for door, serve in zip(self.doors, [self._command, self._control]):
            threading.Thread(target=self._accept, args=(door, serve), daemon=True).start()
        tcti = f"swtpm:host=127.0.0.1,port={self.doors[0].getsockname()[1]}"
        self.env["TPM2OPENSSL_TCTI"] = tcti
        self.tools = {"TPM2TOOLS_TCTI": tcti}  # without the provider, because they use OpenSSL for themselves
        self.write_conf()

    def _connect(self, path):
        """Connects when swtpm has created its socket, which nothing reports."""
        for _ in range(int(DEADLINE / 0.02)):
            end = socket.socket(socket.AF_UNIX)
            try:
                end.connect(str(path))
                return end
            except OSError:
                end.close()
                assert self.process.poll() is None
                select.select([], [], [], 0.02)
        raise AssertionError("swtpm does not listen")

    @staticmethod
    def _listen():
        """Returns two listening sockets; the port of the second, for control, is one higher."""
        while True:
            first = socket.create_server(("127.0.0.1", 0))
            try:
                return first, socket.create_server(("127.0.0.1", first.getsockname()[1] + 1))
            except OSError:
                first.close()

    def _accept(self, door, serve):
        while True:
            try:
                end = door.accept()[0]
            except OSError:
                return
            if not self.present:
                end.close()
                continue
            self.open.append(end)
            threading.Thread(target=self._serve, args=(end, serve), daemon=True).start()

    def _serve(self, end, serve):
        try:
            while self.present:
                serve(end)
        except OSError:
            pass
        end.close()

    def _command(self, end):
        head = read_exactly(end, self.HEAD)
        command = head + read_exactly(end, int.from_bytes(head[2:6], "big") - self.HEAD)
        with self.lock:
            self.ends[0].sendall(command)
            head = read_exactly(self.ends[0], self.HEAD)
            answer = head + read_exactly(self.ends[0], int.from_bytes(head[2:6], "big") - self.HEAD)
        if self.present:
            end.sendall(answer)

    def _control(self, end):
        octets = end.recv(4096)
        if not octets:
            raise ConnectionError
        with self.lock:
            self.ends[1].sendall(octets)
            answer = self.ends[1].recv(4096)
        end.sendall(answer)

    def _make_key(self, kind):
        context = self.folder / "key.ctx"
        execute("tpm2_createprimary", "-C", "o", "-G", kind, "-p", PIN, "-c", context, "-a",
                "sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth", env=self.tools)
        text = execute("tpm2_evictcontrol", "-C", "o", "-c", context, "0x81000001", env=self.tools)
        assert b"persist" in text
        execute("tpm2_flushcontext", "-t", env=self.tools)
        self.uri = "handle:0x81000001?pass"

    def public(self):
        path = self.folder / "public.pem"
        execute("tpm2_readpublic", "-c", "0x81000001", "-f", "pem", "-o", path, env=self.tools)
        return serialization.load_pem_public_key(path.read_bytes())

    def pull(self):
        self.present = False
        for end in self.open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open.clear()

    def plug(self):
        self.present = True

    def close(self):
        self.pull()
        for end in (*self.doors, *self.ends):
            end.close()
        self.process.kill()
        self.process.wait()


class Token(Device):
    """A token of SoftHSM in a server of p11-kit, because a library in the gate would have a copy of it in memory."""

    provider = "pkcs11"
    MODULE = "/usr/lib/softhsm/libsofthsm2.so"
    uri = "pkcs11:token=gate;object=vpn;type=private"

    def __init__(self, folder, kind="EC:prime256v1"):
        super().__init__(folder)
        (self.folder / "tokens").mkdir()
        (self.folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {self.folder}/tokens\nlog.level = ERROR\n")
        self.inside = {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}
        execute("softhsm2-util", "--init-token", "--free", "--label", "gate", "--pin", PIN, "--so-pin", PIN,
                env=self.inside)
        self.tool("--login", "--pin", PIN, "--keypairgen", "--key-type", kind, "--label", "vpn", "--id", "01")
        [client] = Path("/usr/lib").glob("*/pkcs11/p11-kit-client.so")
        self.write_conf(f"pkcs11-module-path = {client}")
        self.socket = self.folder / "socket"
        self.env["P11_KIT_SERVER_ADDRESS"] = f"unix:path={self.socket}"
        self.plug()

    def tool(self, *arguments):
        return execute("pkcs11-tool", "--module", self.MODULE, "--token-label", "gate", *arguments, env=self.inside)

    def public(self):
        path = self.folder / "public.der"
        self.tool("--read-object", "--type", "pubkey", "--label", "vpn", "-o", path)
        return serialization.load_der_public_key(path.read_bytes())

    def pull(self):
        os.killpg(self.process.pid, signal.SIGKILL)  # the server has a process for each connection
        self.process.wait()
        self.process.stdout.close()
        self.socket.unlink()

    def plug(self):
        """Returns when the server has written its address."""
        self.process = subprocess.Popen(
            ["p11-kit", "server", "--foreground", "--provider", self.MODULE, "--name", self.socket, "pkcs11:token=gate"],
            env={**os.environ, **self.inside}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        assert b"P11_KIT_SERVER" in self.process.stdout.readline()

    def close(self):
        self.pull()
