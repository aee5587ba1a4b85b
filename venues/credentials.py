"""API keys, sealed to the executors' public key: anybody may write one, only an executor can read it."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from django.conf import settings

from project.lib import audit, clock, failpoints, feed, ids
from venues import envelope, key_providers
from venues.envelope import CannotOpen
from venues.models import Account, AccountStatus, Credential, KeyState

__all__ = ["BadKey", "CannotOpen", "Secret", "open_sealed", "retire", "seal"]

KEY_CHARACTERS_MAX = 4_096
SUFFIX_SHOWN_ABOVE = 12


class BadKey(ValueError):
    """A key part has the wrong length or carries a NUL; `field` names which."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


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


def seal(
    account: Account,
    *,
    api_key: str,
    secret: str,
    passphrase: str = "",
    expires_at: datetime | None = None,
    created_by: str,
    person: str = "",
) -> Credential:
    """Store a new key for the account, sealed.

    While another key serves the account it is a candidate: the owner proves it first, and only then does the other one
    retire. Else it is active at once, and the probe at activation judges it. `person` is who entered it, behind whatever
    token: a waiver needs somebody else. Raises BadKey; raises FileNotFoundError before `manage.py init_secrets`.
    """
    parts = {"api_key": api_key, "secret": secret, "passphrase": passphrase}
    for field, value in parts.items():
        _check(field, value)
    public = envelope.read_public(Path(settings.EXECUTOR_PUBLIC_KEY_FILE).read_bytes())
    with feed.transaction():
        locked = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        keys = Credential.objects.filter(account=account)
        last = keys.order_by("-version").first()
        active = keys.filter(state=KeyState.ACTIVE).first()
        is_served = active is not None and locked.status not in (AccountStatus.NEW, AccountStatus.DISABLED)
        credential = Credential(
            id=ids.new_id(),
            account=account,
            version=last.version + 1 if last else 1,
            state=KeyState.CANDIDATE if is_served else KeyState.ACTIVE,
            fingerprint=hashlib.sha256(api_key.encode()).hexdigest()[:16],
            key_suffix=api_key[-4:] if len(api_key) > SUFFIX_SHOWN_ABOVE else "",
            expires_at=expires_at,
            created_by=created_by[:150],
            person=person[:150],
        )
        sealed = envelope.close("\0".join(parts.values()).encode(), public, identity(credential))
        for name, value in sealed._asdict().items():
            setattr(credential, name, value)
        for older in keys.exclude(state=KeyState.RETIRED):
            if not (is_served and older == active):
                retire(older)
        failpoints.reach("P14")
        credential.save(force_insert=True)
        detail = {"version": credential.version, "fingerprint": credential.fingerprint, "state": credential.state}
        audit.record(created_by, "credential.sealed", account.code, detail)
        feed.announce("accounts", "credential_changed", account.code, account=account.code, data=detail)
        feed.wake(account.code)
    return credential


def open_sealed(credential: Credential) -> Secret:
    """Open a sealed key with the executors' private key. Raises CannotOpen."""
    provider = key_providers.provider()
    try:
        data_key = provider.open_data_key(bytes(credential.sealed_data_key), credential.sealed_to, identity(credential))
        plain = envelope.decrypt(data_key, bytes(credential.nonce), bytes(credential.ciphertext), identity(credential))
    except CannotOpen:
        raise CannotOpen(
            f"the key of account {credential.account_id} does not open with this executor's private key"
        ) from None
    return Secret(*plain.decode().split("\0"))


def retire(credential: Credential) -> None:
    """Take a key out of use and destroy its sealed secret: no private key opens this row any more.

    Copies of the row in backups open until the executors' former private keys are destroyed: rotate_executor_key retire.
    """
    credential.state, credential.retired_at = KeyState.RETIRED, clock.now()
    credential.sealed_data_key = credential.nonce = credential.ciphertext = b""
    credential.save(update_fields=["state", "retired_at", "sealed_data_key", "nonce", "ciphertext"])


def identity(credential: Credential) -> bytes:
    """Return what a key's envelope is bound to: bytes moved to another row, account or version do not open."""
    return f"{uuid.UUID(str(credential.id))}|{credential.account_id}|{credential.version}".encode()


def _check(field: str, value: str) -> None:
    least = 0 if field == "passphrase" else 1
    if not isinstance(value, str) or not least <= len(value) <= KEY_CHARACTERS_MAX:
        raise BadKey(field, f"must have {least} to {KEY_CHARACTERS_MAX:,} characters")
    if "\0" in value:
        raise BadKey(field, "must not contain a NUL character")
