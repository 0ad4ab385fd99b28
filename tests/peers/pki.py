"""Certificates for the tests: one call makes a leaf (and, on demand, the CA above it)."""

import datetime
import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

# AlgorithmIdentifier values in DER: sha256WithRSAEncryption and sha1WithRSAEncryption.
SHA256_RSA = bytes.fromhex("06092a864886f70d01010b")
SHA1_RSA = bytes.fromhex("06092a864886f70d010105")


@dataclass
class Cert:
    cert: str        # path of the PEM, leaf first
    key: str         # path of the PEM
    both: str        # path of one file with both
    der: bytes
    secret: object
    x509: object

    @property
    def sha1(self):
        return hashlib.sha1(self.der).hexdigest()

    @property
    def sha256(self):
        return hashlib.sha256(self.der).hexdigest()


# RSA keys (2048 bits) that exist already; each of them is used once. See tests/conftest.py.
spare = []


def _secret(kind):
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "rsa" and spare:
        return spare.pop()
    return rsa.generate_private_key(65537, int(kind.removeprefix("rsa") or 2048))


def _general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _sign_with_sha1(cert, secret):
    """Returns the certificate with its RSA-SHA256 signature replaced by one with SHA1. The builder of
    current versions of cryptography refuses SHA1, which old servers still use."""
    body = cert.tbs_certificate_bytes.replace(SHA256_RSA, SHA1_RSA, 1)
    der = cert.public_bytes(serialization.Encoding.DER)
    for old, new in ((cert.tbs_certificate_bytes, body), (SHA256_RSA, SHA1_RSA),
                     (cert.signature, secret.sign(body, padding.PKCS1v15(), hashes.SHA1()))):
        assert der.count(old) == 1
        der = der.replace(old, new)
    return x509.load_der_x509_certificate(der)


def make(folder, name, *, key="ec", signature="sha256", issuer=None, ca=False, names=None,
         days=90, age=1, public=None):
    """issuer: a Cert that is a CA; None: self-signed. names: subjectAltName, default `name`. age: days since its
    validity began. public: the key to certify, whose private key is elsewhere."""
    secret = _secret(key)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (x509.CertificateBuilder()
               .subject_name(subject)
               .issuer_name(issuer.x509.subject if issuer else subject)
               .public_key(public or secret.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(now - datetime.timedelta(days=age))
               .not_valid_after(now + datetime.timedelta(days=days))
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
    # RFC 5280 4.2.1: what ssl of Python 3.13, which verifies strictly, requires.
    if issuer:
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.x509.public_key()), critical=False)
    if ca:
        builder = (builder
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(public or secret.public_key()),
                                  critical=False)
                   .add_extension(x509.KeyUsage(
                       digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                       key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                       decipher_only=False), critical=True))
    else:
        alternative = [_general_name(n) for n in names or [name]]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    signer = issuer.secret if issuer else secret
    cert = builder.sign(signer, hashes.SHA256())
    if signature == "sha1":
        cert = _sign_with_sha1(cert, signer)
    stem = Path(folder) / name
    pem = cert.public_bytes(serialization.Encoding.PEM)
    key_pem = secret.private_bytes(serialization.Encoding.PEM,
                                   serialization.PrivateFormat.PKCS8,
                                   serialization.NoEncryption())
    paths = {"crt": pem, "key": key_pem, "pem": pem + key_pem}
    for kind, octets in paths.items():
        path = stem.with_name(f"{name}.{kind}")
        path.touch(mode=0o600)
        path.write_bytes(octets)
    der = cert.public_bytes(serialization.Encoding.DER)
    return Cert(*(str(stem.with_name(f"{name}.{kind}")) for kind in paths), der, secret, cert)


if __name__ == "__main__":
    import sys
    made = make(sys.argv[1], sys.argv[2], key="rsa")
    print(made.cert, made.key, made.sha256)
