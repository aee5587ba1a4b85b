"""The sealed envelope of an API key: AES-256-GCM under a data key of its own, and that one sealed to an X25519 public key."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_PUBLIC_BYTES = 32
_LABEL = b"gapless credential data key v1"
_FIXED_NONCE = bytes(12)  # safe: the wrapping key is new for every seal
_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----\s*", re.DOTALL)


class CannotOpen(Exception):
    """A sealed envelope does not open: another key pair, another row, or changed bytes. It says no more."""


class Envelope(NamedTuple):
    """What is stored of a sealed text. `sealed_to` is the id of the public key the data key is sealed to."""

    ciphertext: bytes
    nonce: bytes
    sealed_data_key: bytes
    sealed_to: str


def close(plain: bytes, public: X25519PublicKey, identity: bytes) -> Envelope:
    """Encrypt a text under a new data key. `identity` is bound into both layers: elsewhere the bytes do not open."""
    data_key, nonce = AESGCM.generate_key(256), os.urandom(12)
    ciphertext = AESGCM(data_key).encrypt(nonce, plain, identity)
    return Envelope(ciphertext, nonce, seal_data_key(data_key, public, identity), key_id(public))


def decrypt(data_key: bytes, nonce: bytes, ciphertext: bytes, identity: bytes) -> bytes:
    """Return the text. Raises CannotOpen."""
    try:
        return AESGCM(data_key).decrypt(nonce, ciphertext, identity)
    except (InvalidTag, ValueError):
        raise CannotOpen from None


def seal_data_key(data_key: bytes, public: X25519PublicKey, identity: bytes) -> bytes:
    """Seal a data key to a public key, by a key agreement with a pair that is forgotten at once."""
    ephemeral = X25519PrivateKey.generate()
    ephemeral_bytes = ephemeral.public_key().public_bytes_raw()
    wrapping_key = _wrapping_key(ephemeral.exchange(public), ephemeral_bytes, public.public_bytes_raw())
    return ephemeral_bytes + AESGCM(wrapping_key).encrypt(_FIXED_NONCE, data_key, identity)


def open_data_key(private: X25519PrivateKey, sealed: bytes, identity: bytes) -> bytes:
    """Return a data key that was sealed to this key's public half. Raises CannotOpen."""
    ephemeral, wrapped = sealed[:_PUBLIC_BYTES], sealed[_PUBLIC_BYTES:]
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        wrapping_key = _wrapping_key(shared, ephemeral, private.public_key().public_bytes_raw())
        return AESGCM(wrapping_key).decrypt(_FIXED_NONCE, wrapped, identity)
    except (InvalidTag, ValueError):
        raise CannotOpen from None


def key_id(public: X25519PublicKey) -> str:
    """Return the short name of a public key: the beginning of its SHA-256."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def read_public(pem: bytes) -> X25519PublicKey:
    """Read a public key. Raises ValueError."""
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, X25519PublicKey):
        raise ValueError("not an X25519 public key")
    return key


def read_ring(pem: bytes) -> dict[str, X25519PrivateKey]:
    """Read the private keys of a ring, PEM blocks one after another, by the id of their public half. Raises ValueError."""
    ring = {}
    for block in _PEM.findall(pem):
        key = serialization.load_pem_private_key(block, password=None)
        if not isinstance(key, X25519PrivateKey):
            raise ValueError("not an X25519 private key")
        ring[key_id(key.public_key())] = key
    if not ring:
        raise ValueError("no private key in it")
    return ring


def write_ring(keys: Iterable[X25519PrivateKey]) -> bytes:
    """Write private keys as PEM blocks one after another."""
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return b"".join(key.private_bytes(serialization.Encoding.PEM, *form) for key in keys)


def write_public(public: X25519PublicKey) -> bytes:
    """Write a public key as PEM."""
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _wrapping_key(shared: bytes, ephemeral: bytes, public: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=ephemeral + public, info=_LABEL).derive(shared)
