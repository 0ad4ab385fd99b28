"""sstpc and SoftEther, with the gate between them: two programs that are independent of this project.

SoftEther does not read the crypto-binding, so these tests show that the gate forwards the stream
correctly; test_strict.py shows that the binding is right."""

import re
import statistics
from concurrent.futures import ThreadPoolExecutor

import pytest

import lab
from softether import TAP, TAP_PORT

pytestmark = pytest.mark.usefixtures("machine")


@pytest.fixture
def gate(directory, front, back, softether_server):
    with lab.gate(directory / "gate", front, softether_server, back) as address:
        yield address


def test_ping_and_ten_megabytes_each_way(directory, gate, front):
    call = lab.call(directory / "call", gate, front,
                    while_up=f"/usr/bin/python3 traffic.py exchange {TAP} {TAP_PORT}")
    assert call.up and call.answered, call
    assert call.notes.get("while_up") == "passed", call


def test_what_checks_are_answered(directory, front, back, softether_server):
    """PROTOCOL.md 1.4. The checks demand a status that no server sends, so that the log reports the real one."""
    directory = directory / "gate"
    directory.mkdir()
    configuration = f"[listener front]\nlisten = 127.0.0.1:0\ncertificate = {front.both}\nbackend = tls\n"
    for check, more in (("tls", ""), ("http", "check-statuses = 999"), ("sstp", "check-statuses = 999")):
        configuration += (f"[backend {check}]\nserver = {softether_server}\ncheck = {check}\n{more}\n"
                          f"pin-sha256 = {back.sha256}\ncrypto-binding = off\n")
    (directory / "sstpgate.conf").write_text(configuration)
    log = directory / "gate.log"

    def changes():
        lines = re.findall(r" server backend=(.*)", log.read_text())
        return lines if len(lines) == 2 else None

    with lab.running([lab.GATE, "-c", directory / "sstpgate.conf"], log) as gate:
        causes = lab.eventually(changes, gate, log)
    causes = {line.split()[0]: line.split("cause=")[1] for line in causes}
    assert causes == {"http": '"check: answer: status 404"', "sstp": '"check: answer: status 200"'}


def test_wrong_password_is_refused(directory, gate, front):
    call = lab.call(directory / "call", gate, front, password="not " + lab.PASSWORD)
    assert not call.up, call
    assert "authentication failed" in call.log("pppd.log"), call


def retransmissions(call):
    """Returns how many Configure-Requests pppd has sent again, because no answer came within a second."""
    sent = re.findall(r"sent (\[\w+ ConfReq id=\w+)", call.log("pppd.log"))
    assert sent, call
    return len(sent) - len(set(sent))


def test_connecting_stalls_no_more_often_than_without_the_gate(
        directory, gate, front, back, softether_server):
    """A call through the gate connects in about half the time: SoftEther puts several SSTP packets into
    one TLS record, of which sstpc reads the first and stalls; the gate sends one record per packet. Some
    direct calls do not stall, so their mean counts. Of the calls through the gate the best counts,
    because a busy machine delays single calls; a gate that stalls would stall all of them. Calls in
    pairs, because they wait most of the time."""
    def dial(turn, name, address, certificate):
        call = lab.call(directory / f"{turn}-{name}", address, certificate)
        assert call.up, call
        return retransmissions(call)

    through, straight = [], []
    with ThreadPoolExecutor(2) as pool:
        for turn in range(2):
            pair = (pool.submit(dial, turn, "through", gate, front),
                    pool.submit(dial, turn, "straight", softether_server, back))
            through.append(pair[0].result())
            straight.append(pair[1].result())
    print(f"retransmissions of pppd: through the gate {through}, directly {straight}")
    assert min(through) <= statistics.mean(straight)
