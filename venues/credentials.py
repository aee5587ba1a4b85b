"""API keys, sealed to the executors' public key: anybody may write one, only an executor can read it."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from project.lib import audit, clock, failpoints, feed, ids
from venues.models import Account, Credential

KEY_CHARACTERS_MAX = 4_096
SUFFIX_SHOWN_ABOVE = 12
_PUBLIC_BYTES = 32
_LABEL = b"gapless credential data key v1"
_FIXED_NONCE = bytes(12)  # safe: the wrapping key is new for every seal


class BadKey(ValueError):
    """A key part has the wrong length or carries a NUL; `field` names which."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class CannotOpen(Exception):
    """A sealed credential does not open: another key pair, another row, or changed bytes. It says no more."""


class Secret:
    """An opened API key. It cannot be printed, formatted, pickled or copied."""

    __slots__ = ("api_key", "passphrase", "secret")

    def __init__(self, api_key: str, secret: str, passphrase: str = "") -> None:
        self.api_key = api_key
        self.secret = secret
        self.passphrase = passphrase

    def __repr__(self) -> str:
        return "Secret([redacted])"

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return repr(self)

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a secret is neither pickled nor copied")


def seal(account: Account, *, api_key: str, secret: str, passphrase: str = "", created_by: str) -> Credential:
    """Store a new key for the account, sealed, as its active one; the one before is retired.

    Raises BadKey; raises FileNotFoundError when `manage.py init_secrets` has not been run.
    """
    parts = {"api_key": api_key, "secret": secret, "passphrase": passphrase}
    for field, value in parts.items():
        _check(field, value)
    public = _load_public(Path(settings.EXECUTOR_PUBLIC_KEY_FILE))
    with feed.transaction():
        Account.objects.select_for_update().get(pk=account.pk)
        last = Credential.objects.filter(account=account).order_by("-version").first()
        credential = Credential(
            id=ids.new_id(),
            account=account,
            version=last.version + 1 if last else 1,
            fingerprint=hashlib.sha256(api_key.encode()).hexdigest()[:16],
            key_suffix=api_key[-4:] if len(api_key) > SUFFIX_SHOWN_ABOVE else "",
            created_by=created_by[:150],
        )
        _encrypt(credential, "\0".join(parts.values()).encode(), public)
        Credential.objects.filter(account=account, is_active=True).update(is_active=False, retired_at=clock.now())
        failpoints.reach("P14")
        credential.save(force_insert=True)
        detail = {"version": credential.version, "fingerprint": credential.fingerprint}
        audit.record(created_by, "credential.sealed", account.code, detail)
        feed.announce("accounts", "credential_changed", account.code, account=account.code, data=detail)
        feed.wake(account.code)
    return credential


def open_sealed(credential: Credential) -> Secret:
    """Open a sealed key with the executors' private key. Raises CannotOpen."""
    private = _load_private(Path(settings.EXECUTOR_PRIVATE_KEY_FILE))
    sealed = bytes(credential.sealed_data_key)
    ephemeral, wrapped = sealed[:_PUBLIC_BYTES], sealed[_PUBLIC_BYTES:]
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        wrapping_key = _wrapping_key(shared, ephemeral, private.public_key().public_bytes_raw())
        data_key = AESGCM(wrapping_key).decrypt(_FIXED_NONCE, wrapped, _identity(credential))
        plain = AESGCM(data_key).decrypt(bytes(credential.nonce), bytes(credential.ciphertext), _identity(credential))
    except (InvalidTag, ValueError):
        raise CannotOpen(
            f"the key of account {credential.account_id} does not open with this executor's private key"
        ) from None
    return Secret(*plain.decode().split("\0"))


def generate_keypair(private_path: Path, public_path: Path) -> bool:
    """Write the executors' key pair where there is none yet; return whether it was written.

    The private file is readable by its owner only. A lost public file is written again from the private one.
    """
    private_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    public_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_new = not private_path.exists()
    if is_new:
        if public_path.exists():
            raise FileExistsError(
                f"{public_path} exists but its private half {private_path} does not; put it back or move it away"
            )
        _write(private_path, _private_pem(X25519PrivateKey.generate()), 0o600)
    if not public_path.exists():
        public = _load_private(private_path).public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        _write(public_path, pem, 0o644)
    return is_new


def _check(field: str, value: str) -> None:
    least = 0 if field == "passphrase" else 1
    if not isinstance(value, str) or not least <= len(value) <= KEY_CHARACTERS_MAX:
        raise BadKey(field, f"must have {least} to {KEY_CHARACTERS_MAX:,} characters")
    if "\0" in value:
        raise BadKey(field, "must not contain a NUL character")


def _encrypt(credential: Credential, plain: bytes, public: X25519PublicKey) -> None:
    data_key = AESGCM.generate_key(256)
    ephemeral = X25519PrivateKey.generate()
    ephemeral_bytes = ephemeral.public_key().public_bytes_raw()
    wrapping_key = _wrapping_key(ephemeral.exchange(public), ephemeral_bytes, public.public_bytes_raw())
    credential.nonce = os.urandom(12)
    credential.ciphertext = AESGCM(data_key).encrypt(credential.nonce, plain, _identity(credential))
    wrapped = AESGCM(wrapping_key).encrypt(_FIXED_NONCE, data_key, _identity(credential))
    credential.sealed_data_key = ephemeral_bytes + wrapped


def _identity(credential: Credential) -> bytes:
    # Bound into both layers, so that bytes moved to another row, account or version do not open.
    return f"{uuid.UUID(str(credential.id))}|{credential.account_id}|{credential.version}".encode()


def _wrapping_key(shared: bytes, ephemeral: bytes, public: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=ephemeral + public, info=_LABEL).derive(shared)


def _load_public(path: Path) -> X25519PublicKey:
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, X25519PublicKey):
        raise ValueError(f"{path} is not an X25519 public key")
    return key


def _load_private(path: Path) -> X25519PrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, X25519PrivateKey):
        raise ValueError(f"{path} is not an X25519 private key")
    return key


def _private_pem(key: X25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    # Written beside and linked into place: two first starts at once end with one pair, never with half a file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
