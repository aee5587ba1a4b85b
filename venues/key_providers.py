"""Where executors have their private key: a file or the environment; never the database, never made from SECRET_KEY."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.conf import settings

from venues import envelope, key_files


class KeyProvider(Protocol):
    """Opens data keys. A key service does so without ever handing out its private key, so nothing here returns one."""

    def key_ids(self) -> set[str]:
        """Return the ids of the keys it can open with: the current one, and former ones kept for an overlap."""

    def open_data_key(self, sealed: bytes, sealed_to: str, identity: bytes) -> bytes:
        """Return a data key sealed to the key of that id; an empty id means any. Raises CannotOpen, FileNotFoundError."""

    def add_pair(self, next_public_path: Path) -> str:
        """Make a new pair beside the ones there are and return its id. Raises KeptElsewhere."""

    def keep_only(self, key_ids: set[str]) -> list[str]:
        """Destroy all other keys and return their ids. Raises KeptElsewhere."""


class KeptElsewhere(Exception):
    """This provider cannot make or destroy keys; the message says who does."""


class _Ring:
    """Private keys in one PEM text: what both providers have in common."""

    def _pem(self) -> bytes:
        raise NotImplementedError

    def _keys(self) -> dict[str, X25519PrivateKey]:
        return envelope.read_ring(self._pem())

    def key_ids(self) -> set[str]:
        """Return the ids of the keys it can open with."""
        return set(self._keys())

    def open_data_key(self, sealed: bytes, sealed_to: str, identity: bytes) -> bytes:
        """Return a data key sealed to the key of that id. Raises CannotOpen, FileNotFoundError."""
        for name, key in self._keys().items():
            if sealed_to not in ("", name):
                continue
            try:
                return envelope.open_data_key(key, sealed, identity)
            except envelope.CannotOpen:
                continue
        raise envelope.CannotOpen


class FileKeys(_Ring):
    """The file EXECUTOR_PRIVATE_KEY_FILE; read anew each time, so that a rotation needs no restart."""

    def _pem(self) -> bytes:
        return Path(settings.EXECUTOR_PRIVATE_KEY_FILE).read_bytes()

    def add_pair(self, next_public_path: Path) -> str:
        """Add a new pair to the file."""
        return key_files.add_pair(Path(settings.EXECUTOR_PRIVATE_KEY_FILE), next_public_path)

    def keep_only(self, key_ids: set[str]) -> list[str]:
        """Take the other keys out of the file."""
        return key_files.keep_only(Path(settings.EXECUTOR_PRIVATE_KEY_FILE), key_ids)


class EnvironmentKeys(_Ring):
    """The variable GAPLESS_EXECUTOR_PRIVATE_KEY, for those whose secrets come with the environment."""

    _HOW = (
        "The private keys come from GAPLESS_EXECUTOR_PRIVATE_KEY. {} it where that is kept, then restart the executors."
    )

    def _pem(self) -> bytes:
        if not settings.EXECUTOR_PRIVATE_KEY:
            raise FileNotFoundError("GAPLESS_EXECUTOR_PRIVATE_KEY is empty")
        return settings.EXECUTOR_PRIVATE_KEY.replace("\\n", "\n").encode()

    def add_pair(self, next_public_path: Path) -> str:
        """Refuse: the environment is not ours to write."""
        raise KeptElsewhere(self._HOW.format("Append a new one (openssl genpkey -algorithm X25519) to"))

    def keep_only(self, key_ids: set[str]) -> list[str]:
        """Refuse, unless there is nothing to do."""
        if surplus := self.key_ids() - key_ids:
            raise KeptElsewhere(self._HOW.format(f"Take {', '.join(sorted(surplus))} out of"))
        return []


PROVIDERS: dict[str, Callable[[], KeyProvider]] = {"file": FileKeys, "environment": EnvironmentKeys}


def provider() -> KeyProvider:
    """Return the provider that the settings name. Raises ValueError for a name nobody knows."""
    name = settings.EXECUTOR_KEY_PROVIDER
    if name not in PROVIDERS:
        raise ValueError(f"GAPLESS_KEY_PROVIDER is {name!r}; there are {', '.join(PROVIDERS)}")
    return PROVIDERS[name]()


def refuse_where_keys_are_only_sealed() -> None:
    """End this process when it could open API keys in production although it only ever seals them: role web.

    On one machine, and wherever venues may be pointed at other addresses, all roles share a user: there it is a convention.
    """
    file = Path(settings.EXECUTOR_PRIVATE_KEY_FILE)
    found = "GAPLESS_EXECUTOR_PRIVATE_KEY" if settings.EXECUTOR_PRIVATE_KEY else str(file) if file.exists() else ""
    if settings.ROLE == "web" and settings.IS_PRODUCTION and found:
        raise SystemExit(
            f"The executors' private key is within reach of role web ({found}). Web seals API keys and must not be able "
            "to open them: give the private key to the executors alone, and start again."
        )
