"""Keys are sealed so that only an executor opens them, and only where they belong."""

from __future__ import annotations

import copy
import hashlib
import pickle
import threading
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from project.lib import failpoints, feed
from venues import credentials, key_files
from venues.credentials import Secret
from venues.models import Account, Credential, RawFrame, Venue

CANARY = "canary-0123456789-secret"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account(settings: Settings, tmp_path: Path) -> Account:
    """Return an account, with a key pair of this test's own."""
    settings.EXECUTOR_PRIVATE_KEY_FILE = tmp_path / "private" / "key.pem"
    settings.EXECUTOR_PUBLIC_KEY_FILE = tmp_path / "public" / "key.pem"
    call_command("init_secrets")
    venue = Venue.objects.create(code="paper", exchange="binance", rest_url="http://127.0.0.1:1/x")
    return Account.objects.create(code="desk", venue=venue)


def sealed(account: Account, key: str = "an-api-key-of-length") -> Credential:
    return credentials.seal(account, api_key=key, secret=CANARY, passphrase="pass", created_by="olga")


def test_what_is_sealed_opens(account: Account) -> None:
    credential = Credential.objects.get(pk=sealed(account).pk)
    opened = credentials.open_sealed(credential)
    assert (opened.api_key, opened.secret, opened.passphrase) == ("an-api-key-of-length", CANARY, "pass")
    assert credential.fingerprint == hashlib.sha256(b"an-api-key-of-length").hexdigest()[:16]
    assert credential.key_suffix == "ngth"
    assert sealed(account, "short").key_suffix == ""


def test_a_row_about_the_account_that_commits_meanwhile_is_no_deadlock(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its foreign key is checked when it commits, after it has taken the feed's number, for which the sealing waits.
    done = threading.Event()

    def note() -> None:
        with feed.transaction():
            RawFrame.objects.create(account=account, channel="stream", body="{}")
            feed.announce("accounts", "x", "noted")
        done.set()
        connection.close()

    noting = threading.Thread(target=note)

    def meanwhile(name: str) -> None:
        noting.start()
        while noting.is_alive() and not blocked():
            done.wait(0.01)

    monkeypatch.setattr(failpoints, "reach", meanwhile)
    sealed(account)
    noting.join(timeout=20)
    assert done.is_set() and Credential.objects.count() == RawFrame.objects.count() == 1


def blocked() -> bool:
    """Say whether another connection waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_web_seals_with_the_public_file_alone(account: Account, settings: Settings) -> None:
    settings.EXECUTOR_PRIVATE_KEY_FILE.unlink()
    credential = sealed(account)
    with pytest.raises(FileNotFoundError):
        credentials.open_sealed(credential)


def test_bytes_moved_to_another_row_do_not_open(account: Account) -> None:
    other = Account.objects.create(code="other", venue=account.venue)
    one, two = sealed(account), sealed(other)
    for field in ("ciphertext", "nonce", "sealed_data_key"):
        setattr(one, field, getattr(two, field))
    one.save()
    with pytest.raises(credentials.CannotOpen) as refused:
        credentials.open_sealed(Credential.objects.get(pk=one.pk))
    assert CANARY not in str(refused.value)
    three = sealed(account)
    three.version += 1
    with pytest.raises(credentials.CannotOpen):
        credentials.open_sealed(three)


def test_changed_bytes_and_another_pair_do_not_open(account: Account, settings: Settings, tmp_path: Path) -> None:
    credential = sealed(account)
    credential.ciphertext = bytes([credential.ciphertext[0] ^ 1]) + credential.ciphertext[1:]
    with pytest.raises(credentials.CannotOpen):
        credentials.open_sealed(credential)
    whole = Credential.objects.get(pk=credential.pk)
    settings.EXECUTOR_PRIVATE_KEY_FILE = tmp_path / "elsewhere.pem"
    key_files.generate_keypair(tmp_path / "elsewhere.pem", tmp_path / "elsewhere-public.pem")
    with pytest.raises(credentials.CannotOpen):
        credentials.open_sealed(whole)


def test_a_new_key_retires_the_old_one(account: Account) -> None:
    first, second = sealed(account), sealed(account)
    first.refresh_from_db()
    assert (first.is_active, second.is_active, second.version) == (False, True, 2)
    assert first.retired_at is not None


def test_no_row_carries_the_secret(account: Account) -> None:
    sealed(account, CANARY)
    with connection.cursor() as cursor:
        for table in ("venues_credential", "lib_auditentry", "lib_feedentry"):
            cursor.execute(f"SELECT row_to_json(t)::text FROM {table} t")
            text = " ".join(row[0] for row in cursor.fetchall())
            assert text
            assert CANARY not in text
            assert CANARY.encode().hex() not in text


def test_a_secret_is_not_shown_and_not_carried_away() -> None:
    secret = Secret(CANARY, CANARY, CANARY)
    assert CANARY not in f"{secret} {secret!r} {secret!s} {[secret]}"
    for carry in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            carry(secret)


@pytest.mark.parametrize(
    ("field", "value"),
    [("api_key", ""), ("secret", ""), ("api_key", "a" * 4_097), ("secret", "a\0b"), ("passphrase", "\0")],
)
def test_impossible_keys_are_named(account: Account, field: str, value: str) -> None:
    parts = {"api_key": "key", "secret": "secret", "passphrase": ""} | {field: value}
    with pytest.raises(credentials.BadKey) as refused:
        credentials.seal(account, created_by="olga", **parts)  # type: ignore[arg-type]
    assert refused.value.field == field


def test_long_and_odd_keys_come_through(account: Account) -> None:
    odd = "-----BEGIN\nключ " + "x" * 4_000
    opened = credentials.open_sealed(credentials.seal(account, api_key=odd, secret=odd, created_by="olga"))
    assert (opened.api_key, opened.secret, opened.passphrase) == (odd, odd, "")


def test_init_secrets_is_idempotent_and_private(
    account: Account, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    private, public = settings.EXECUTOR_PRIVATE_KEY_FILE, settings.EXECUTOR_PUBLIC_KEY_FILE
    before = private.read_bytes(), public.read_bytes()
    public.unlink()
    call_command("init_secrets")
    assert (private.read_bytes(), public.read_bytes()) == before
    assert private.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" not in "".join(capsys.readouterr())
    private.unlink()
    with pytest.raises(FileExistsError):
        key_files.generate_keypair(private, public)
