"""MS-CHAP (RFC 2433), MS-CHAPv2 (RFC 2759) and their keys (RFC 3079)."""

import hashlib
import threading

from Cryptodome.Cipher import ARC4, DES
from Cryptodome.Hash import MD4


def sha1(*parts):
    return hashlib.sha1(b"".join(parts)).digest()


def utf16(password):
    return password.encode("utf-16-le")


_one_md4 = threading.Lock()


def md4(octets):
    """Serialised, because the library's digest() keeps the message's length in a static buffer while it
    has released Python's lock, so that two threads could get each other's length."""
    with _one_md4:
        return MD4.new(octets).digest()


def nt_hash(password):
    return md4(utf16(password))


def hash_hash(password):
    return md4(nt_hash(password))


def des_key(seven):
    """Spreads seven octets of key over eight; the parity bits are ignored (RFC 2759 8.6)."""
    bits = int.from_bytes(seven, "big")
    return bytes((bits >> (49 - 7 * i) & 0x7F) << 1 for i in range(8))


def des(seven, block):
    return DES.new(des_key(seven), DES.MODE_ECB).encrypt(block)


def challenge_response(challenge8, nthash):
    key = nthash.ljust(21, b"\0")
    return b"".join(des(key[i:i + 7], challenge8) for i in (0, 7, 14))


def bare_name(user):
    """Removes a leading DOMAIN\\, which is not hashed (RFC 2759 8.2)."""
    return user.rpartition(b"\\")[2]


def challenge_hash(peer_challenge, challenge, user):
    return sha1(peer_challenge, challenge, bare_name(user))[:8]


def nt_response(challenge, peer_challenge, user, password):
    return challenge_response(challenge_hash(peer_challenge, challenge, user), nt_hash(password))


def authenticator_response(password, response, peer_challenge, challenge, user):
    """RFC 2759 8.7: proves that the server knows the password, too."""
    first = sha1(hash_hash(password), response, b"Magic server to client signing constant")
    second = sha1(first, challenge_hash(peer_challenge, challenge, user),
                  b"Pad to make it do more than one iteration")
    return b"S=" + second.hex().upper().encode()


CLIENT_SENDS = (b"On the client side, this is the send key; "
                b"on the server side, it is the receive key.")
CLIENT_RECEIVES = (b"On the client side, this is the receive key; "
                   b"on the server side, it is the send key.")


def hlak_v2(password, response):
    """[MS-SSTP] 3.2.5.2.2: the client's send key, then its receive key (RFC 3079 3.3, 3.4)."""
    master = sha1(hash_hash(password), response, b"This is the MPPE Master Key")[:16]
    return b"".join(sha1(master, bytes(40), magic, b"\xf2" * 40)[:16]
                    for magic in (CLIENT_SENDS, CLIENT_RECEIVES))


def hlak_v1(password, challenge8):
    """RFC 3079 2.3, the same key in both directions, like accel-ppp; [MS-SSTP] does not define v1."""
    key = hash_hash(password)
    return sha1(key, key, challenge8)[:16] * 2


def encrypt_new_password(new, old, filler):
    """RFC 2759 8.9: 516 octets. filler: 512 random octets."""
    text = utf16(new)
    block = filler[:512 - len(text)] + text + len(text).to_bytes(4, "little")
    return ARC4.new(nt_hash(old)).encrypt(block)


def decrypt_new_password(block, old):
    plain = ARC4.new(nt_hash(old)).decrypt(block)
    size = int.from_bytes(plain[512:], "little")
    if size > 512:
        return None
    return plain[512 - size:512].decode("utf-16-le", "replace")


def encrypt_old_hash(new, old):
    """RFC 2759 8.12: the old hash, encrypted with the new one in two blocks of DES."""
    key, block = nt_hash(new), nt_hash(old)
    return des(key[:7], block[:8]) + des(key[7:14], block[8:])
