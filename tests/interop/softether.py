"""SoftEther VPN Server as a backend: a server that is independent of this project.

It runs in a namespace with only loopback and a tap, so that its requests to the internet cannot leave.
In its tunnels 192.168.30.1 is its own IP stack and 192.168.30.254 the tap, that is Linux."""

import contextlib
import os
import subprocess
import sys

import lab

TAP = "192.168.30.254"
TAP_PORT = 5001  # where traffic.py listens, on the tap

# Debian's build (5.01.9674+git20200806 in Debian 11, 12 and sid) looks up the protocol of a new
# connection by name and then loses the result, so that SSTP is never answered; upstream fixed that in
# December 2020. These are the bytes of the loop, and of a loop that keeps the entry: it walks the list
# in r14 with r13 as index and exits with the entry in rax.
BROKEN = bytes.fromhex(
    "488b470831db4889c24885c07528eb3190488b521089d84889ee488b04c2488b38e89b1b130085c0"
    "7417498b570883c3014885d2740b3b5a0872d6660f1f440000")
CORRECTED = bytes.fromhex(
    "4c8b77084d85f674384531ed453b6e08732f498b56104e8b24ea498b3c244889eee89b1b130041ff"
    "c585c075df4c89e0eb70").ljust(len(BROKEN), b"\x90")

# Before its first start: its port, and no contact with other machines.
CONFIGURATION = """\
declare root
{
	declare DDnsClient
	{
		bool Disabled true
	}
	declare ListenerList
	{
		declare Listener0
		{
			bool DisableDos true
			bool Enabled true
			uint Port 443
		}
	}
	declare ServerConfiguration
	{
		bool DisableDosProtection true
		bool DisableGetHostNameWhenAcceptTcp true
		bool DisableNatTraversal true
		bool DontBackupConfig true
		bool EnableVpnAzure false
		string KeepConnectHost 127.0.0.1
		string ListenIP 127.0.0.1
		string PortsUDP 0
		bool UseKeepConnect false
	}
}
"""

# All other settings are made in the running server. SecureNAT would try three ways to reach the
# internet; here it is reduced to a host in the hub that assigns addresses.
COMMANDS = """\
ServerCertSet /LOADCERT:{certificate} /LOADKEY:{key}
HubCreate VPN /PASSWORD:none-needed
Hub VPN
ExtOptionSet DisableKernelModeSecureNAT /VALUE:1
ExtOptionSet DisableIpRawModeSecureNAT /VALUE:1
NatDisable
UserCreate {user} /GROUP:none /REALNAME:none /NOTE:none
UserPasswordSet {user} /PASSWORD:{password}
DhcpSet /START:192.168.30.10 /END:192.168.30.250 /MASK:255.255.255.0 /EXPIRE:7200 \
/GW:192.168.30.1 /DNS:none /DNS2:none /DOMAIN:none /LOG:no
SecureNatEnable
BridgeCreate VPN /DEVICE:lab /TAP:yes
"""


@contextlib.contextmanager
def running(directory, certificate):
    """Yields its address on the loopback of this host."""
    directory.mkdir()
    program = lab.SOFTETHER.read_bytes()
    if program.count(BROKEN) == 1:  # otherwise another build, which may not need the fix
        program = program.replace(BROKEN, CORRECTED)
    copy = directory / "vpnserver"
    copy.write_bytes(program)
    copy.chmod(0o755)
    (directory / "hamcore.se2").symlink_to(lab.SOFTETHER.with_name("hamcore.se2"))
    for name in ("lib", "log", "run"):
        (directory / name).mkdir()
    (directory / "lib" / "vpn_server.config").write_text(CONFIGURATION)
    (directory / "commands").write_text(COMMANDS.format(
        certificate=certificate.cert, key=certificate.key, user=lab.USER, password=lab.PASSWORD))

    log = directory / "softether.log"
    setup = "\n".join(f"mkdir -p /var/{name}/softether && "
                      f"mount --bind {directory}/{name} /var/{name}/softether"
                      for name in ("lib", "log", "run"))
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(lab.running_in_namespaces(
            setup, [copy, "start", "--foreground"], log, "--mount"))
        inside = ["nsenter", "-t", str(server.pid), "--net", "--"]
        lab.eventually(lambda: "port 443) has started" in log.read_text(), server, log)
        imported = subprocess.run(
            [*inside, "vpncmd", "localhost:443", "/SERVER", f"/IN:{directory}/commands"],
            capture_output=True, text=True)
        if imported.stdout.count("completed successfully") < COMMANDS.count("\n"):
            raise AssertionError(imported.stdout + imported.stderr)
        address_tap = [*inside, "ip", "address", "add", f"{TAP}/24", "dev", "tap_lab"]
        lab.eventually(lambda: subprocess.run(address_tap, capture_output=True).returncode == 0,
                       server, log)
        subprocess.run([*inside, "ip", "link", "set", "tap_lab", "up"], check=True)
        traffic = stack.enter_context(lab.running(
            [*inside, sys.executable, lab.HERE / "traffic.py", "serve", TAP, TAP_PORT], log,
            stdout=subprocess.PIPE, text=True))
        assert traffic.stdout.readline() == "listening\n", log.read_text()
        yield stack.enter_context(lab.relay(
            log, os.getpid(), "127.0.0.1:0", server.pid, "127.0.0.1:443"))
