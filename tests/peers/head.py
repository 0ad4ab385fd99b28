"""The HTTP request and answer of SSTP ([MS-SSTP] 3.2.4.1, 4.1)."""

import uuid
from dataclasses import dataclass

METHOD = b"SSTP_DUPLEX_POST"
URI = b"/sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/"
LENGTH = b"18446744073709551615"
MAX = 8192


def request(host, uri=URI, method=METHOD, version=b"HTTP/1.1", length=LENGTH, extra=(),
            correlation=None, order=("host", "correlation", "length")):
    ident = correlation or b"{" + str(uuid.uuid4()).upper().encode() + b"}"
    fields = {"host": b"Host: " + host, "correlation": b"SSTPCORRELATIONID: " + ident,
              "length": b"Content-Length: %b" % length if length is not None else None}
    lines = [fields[name] for name in order if fields[name]]
    return b"\r\n".join([method + b" " + uri + b" " + version, *lines, *extra, b"", b""])


@dataclass
class Head:
    line: bytes
    fields: list

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    @property
    def status(self):
        parts = self.line.split(b" ")
        return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None


def parse(octets):
    """octets: a head including its blank line."""
    lines = octets[:-4].split(b"\r\n")
    fields = []
    for line in lines[1:]:
        key, _, value = line.partition(b":")
        fields.append((key, value.strip()))
    return Head(lines[0], fields)


def check_request(head):
    """Returns why a strict server refuses this request: (status, reason), or None."""
    parts = head.line.split(b" ")
    if len(parts) != 3:
        return 400, "request line"
    if parts[0] != METHOD:
        return 501, "method"
    if parts[1] != URI:
        return 404, "uri"
    if parts[2] != b"HTTP/1.1":
        return 505, "version"
    if head.all(b"content-length") != [LENGTH]:
        return 400, "content-length"
    if len(head.all(b"host")) != 1 or not head.all(b"host")[0]:
        return 400, "host"
    if any(not key or key != key.strip() for key, _ in head.fields):
        return 400, "field name"
    return None
