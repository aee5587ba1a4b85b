"""A key's life: a candidate until it is proved, waived by a second person, retired for good; and the executors' own pair."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from project.lib import clock, feed
from project.lib.models import AuditEntry
from tests.venues.paper.process import ROOT
from venues import credentials, envelope, key_files, key_providers, keys, probes
from venues.messages import Permissions
from venues.models import Account, Credential, KeyState, Venue

pytestmark = pytest.mark.django_db(transaction=True)
GOOD = Permissions(can_read=True, can_trade=True, can_withdraw=False, can_transfer=False, ip_restricted=True)
WITHDRAWS = Permissions(can_read=True, can_trade=True, can_withdraw=True)
OPENED_MAX, ROUNDS = 400, 3


@pytest.fixture
def account(settings: Settings, tmp_path: Path) -> Account:
    """Return an account that is served with a proved key, and a key pair of this test's own."""
    settings.EXECUTOR_PRIVATE_KEY_FILE = tmp_path / "private" / "key.pem"
    settings.EXECUTOR_PUBLIC_KEY_FILE = tmp_path / "public" / "key.pem"
    call_command("init_secrets")
    venue = Venue.objects.create(code="paper", exchange="binance", rest_url="http://127.0.0.1:1/x")
    made = Account.objects.create(code="desk", venue=venue)
    entered(made, "first")
    kept(made, GOOD)
    Account.objects.filter(pk=made.pk).update(status="ready", opened_at=clock.now())
    made.refresh_from_db()
    return made


def entered(account: Account, key: str, person: str = "olga") -> Credential:
    return credentials.seal(account, api_key=key, secret=f"{key}-secret", created_by=f"token:{person}", person=person)


def kept(account: Account, permissions: Permissions | None, problem: str = "") -> str:
    with feed.transaction():
        return probes.keep(account.code, permissions, problem)


def decided(candidate: Credential, permissions: Permissions | None, problem: str = "") -> Credential:
    with feed.transaction():
        probes.keep_candidate(candidate.account_id, candidate.pk, permissions, problem)
    return Credential.objects.get(pk=candidate.pk)


def active(account: Account) -> Credential:
    return Credential.objects.get(account=account, state=KeyState.ACTIVE)


def is_destroyed(key: Credential) -> bool:
    key.refresh_from_db()
    return not (bytes(key.ciphertext) or bytes(key.sealed_data_key) or bytes(key.nonce))


def test_a_new_key_waits_until_it_is_proved_and_only_then_the_old_one_is_destroyed(account: Account) -> None:
    old = active(account)
    new = entered(account, "second")
    assert (new.state, active(account)) == (KeyState.CANDIDATE, old)
    assert credentials.open_sealed(active(account)).api_key == "first"
    proved = decided(new, GOOD)
    assert active(account) == proved and credentials.open_sealed(proved).api_key == "second"
    assert is_destroyed(old) and old.state == KeyState.RETIRED and old.retired_at is not None
    with pytest.raises(credentials.CannotOpen):
        credentials.open_sealed(old)


@pytest.mark.parametrize(
    ("permissions", "problem", "said"),
    [
        (WITHDRAWS, "", "refused: this key may withdraw"),
        (
            Permissions(can_trade=True, can_withdraw=False, can_transfer=True),
            "",
            "refused: this key may transfer funds",
        ),
        (None, "HTTP 401 -2015", "refused: HTTP 401 -2015"),
    ],
)
def test_a_key_that_is_not_proved_leaves_the_old_one_serving_and_says_so(
    account: Account, permissions: Permissions | None, problem: str, said: str
) -> None:
    old, new = active(account), entered(account, "second")
    refused = decided(new, permissions, problem)
    assert (refused.state, refused.probe_result, active(account)) == (KeyState.REFUSED, said, old)
    assert is_destroyed(refused) and not is_destroyed(old)
    assert AuditEntry.objects.filter(action="credential.refused", subject=account.code).exists()


def test_only_the_newest_candidate_is_kept(account: Account) -> None:
    second, third = entered(account, "second"), entered(account, "third")
    assert is_destroyed(second) and second.state == KeyState.RETIRED
    assert Credential.objects.get(account=account, state=KeyState.CANDIDATE) == third
    decided(second, GOOD)  # its proof comes too late
    assert credentials.open_sealed(active(account)).api_key == "first"


def test_where_nothing_is_served_a_new_key_takes_the_place_at_once(account: Account) -> None:
    Account.objects.filter(pk=account.pk).update(status="disabled")
    assert entered(account, "second").state == KeyState.ACTIVE


def test_a_key_that_gained_a_right_or_lost_its_addresses_is_refused_and_no_answer_changes_nothing(
    account: Account,
) -> None:
    assert kept(account, None, "HTTP 503") == "trade without withdraw"
    assert active(account).probe_error == "HTTP 503"
    wide = Permissions(can_read=True, can_trade=True, can_withdraw=False, ip_restricted=False)
    assert kept(account, wide) == probes.WIDENED
    assert kept(account, wide) == probes.WIDENED  # and it stays so
    assert kept(account, GOOD) == "trade without withdraw"
    assert kept(account, WITHDRAWS) == "refused: this key may withdraw"
    stops = AuditEntry.objects.filter(action="account.stopped", subject=account.code).order_by("sequence")
    assert [row.detail["reason"] for row in stops] == [probes.WIDENED, "refused: this key may withdraw"]


def test_a_key_without_addresses_is_refused_where_the_policy_asks_for_them(
    account: Account, settings: Settings
) -> None:
    settings.KEYS_NEED_IP_RESTRICTION = True
    Credential.objects.update(was_ip_restricted=None)
    assert kept(account, Permissions(can_trade=True, can_withdraw=False, ip_restricted=False)) == probes.OPEN_TO_ALL


def test_only_a_second_person_waives_and_never_the_right_to_move_money(account: Account) -> None:
    new = entered(account, "second", person="olga")
    refused = decided(new, Permissions(can_trade=True))
    assert refused.probe_result == probes.UNSAID and not is_destroyed(refused)
    with pytest.raises(keys.Refused) as same:
        keys.waive(refused, person="olga", actor="token:another-of-olga", reason="trust me")
    assert same.value.code == "SAME_PERSON"
    waived = keys.waive(refused, person="rosa", actor="rosa", reason="the venue tells nobody")
    assert (waived.state, waived.waived_by) == (KeyState.CANDIDATE, "rosa")
    assert decided(waived, Permissions(can_trade=True)).state == KeyState.ACTIVE
    money = decided(entered(account, "third"), WITHDRAWS)
    with pytest.raises(keys.Refused) as gone:
        keys.waive(money, person="rosa", actor="rosa", reason="please")
    assert gone.value.code == "KEY_GONE"
    Credential.objects.filter(state=KeyState.ACTIVE).update(probe_result="refused: this key may withdraw")
    with pytest.raises(keys.Refused) as never:
        keys.waive(active(account), person="rosa", actor="rosa", reason="please")
    assert never.value.code == "NOTHING_TO_WAIVE"


def test_a_withdrawn_key_is_gone(account: Account) -> None:
    key = active(account)
    keys.withdraw(key, actor="olga")
    assert is_destroyed(key) and not Credential.objects.filter(state=KeyState.ACTIVE).exists()


def test_the_end_of_a_key_is_warned_of(account: Account) -> None:
    key = active(account)
    for days, begins in ((30, ""), (3.5, "expires in 3 days"), (-1, "expired")):
        key.expires_at = clock.now() + timedelta(days=days)
        assert key.warning.startswith(begins) and bool(key.warning) == bool(begins)


def test_rotating_the_executors_pair_never_fails_an_open(account: Account, settings: Settings) -> None:
    for number in range(20):
        code = f"desk-{number}"
        entered(Account.objects.create(code=code, venue=account.venue), f"key-{number}")
    opened, failed, stop = [0], [], threading.Event()

    def open_all() -> None:
        try:
            while not stop.is_set() or opened[0] < OPENED_MAX:
                for row in Credential.objects.filter(state=KeyState.ACTIVE):
                    credentials.open_sealed(row)
                    opened[0] += 1
        except Exception as error:
            failed.append(repr(error))
        finally:
            connection.close()

    readers = [threading.Thread(target=open_all) for _ in range(2)]
    for reader in readers:
        reader.start()
    before = {row.pk: (bytes(row.ciphertext), bytes(row.nonce)) for row in Credential.objects.all()}
    for number in range(ROUNDS):
        call_command("rotate_executor_key")
        entered(Account.objects.create(code=f"later-{number}", venue=account.venue), "later")
    stop.set()
    for reader in readers:
        reader.join()
    assert not failed and opened[0] >= OPENED_MAX
    current = key_providers.provider()
    assert len(current.key_ids()) == ROUNDS + 1, "former keys stay for an overlap"
    for row in Credential.objects.filter(pk__in=before):
        assert (bytes(row.ciphertext), bytes(row.nonce)) == before[row.pk], "only data keys are sealed anew"
    call_command("rotate_executor_key", "retire")
    assert len(current.key_ids()) == 1
    for row in Credential.objects.all():
        credentials.open_sealed(row)
    assert settings.EXECUTOR_PRIVATE_KEY_FILE.stat().st_mode & 0o777 == 0o600
    assert AuditEntry.objects.filter(action="executor_key.retired").count() == ROUNDS


def test_steps_that_would_lose_a_key_are_refused(account: Account, settings: Settings, tmp_path: Path) -> None:
    call_command("rotate_executor_key", "new")
    call_command("rotate_executor_key", "publish")
    with pytest.raises(CommandError, match="take the step reseal first"):
        call_command("rotate_executor_key", "retire")
    ring = settings.EXECUTOR_PRIVATE_KEY_FILE.read_bytes()
    call_command("rotate_executor_key", "new")
    settings.EXECUTOR_PRIVATE_KEY_FILE.write_bytes(ring)  # an executor that has not got the new file yet
    with pytest.raises(CommandError, match="could not be opened"):
        call_command("rotate_executor_key", "publish")


def test_the_private_key_may_come_from_the_environment(account: Account, settings: Settings) -> None:
    settings.EXECUTOR_KEY_PROVIDER = "environment"
    settings.EXECUTOR_PRIVATE_KEY = settings.EXECUTOR_PRIVATE_KEY_FILE.read_text().replace("\n", "\\n")
    settings.EXECUTOR_PRIVATE_KEY_FILE.unlink()
    assert credentials.open_sealed(active(account)).api_key == "first"
    with pytest.raises(CommandError, match="Append a new one"):
        call_command("rotate_executor_key", "new")
    call_command("rotate_executor_key", "retire")
    settings.EXECUTOR_PRIVATE_KEY = ""
    with pytest.raises(FileNotFoundError):
        credentials.open_sealed(active(account))
    settings.EXECUTOR_KEY_PROVIDER = "post-it"
    with pytest.raises(ValueError, match="post-it"):
        credentials.open_sealed(active(account))


def test_another_pair_of_the_same_id_does_not_open(account: Account, settings: Settings, tmp_path: Path) -> None:
    row = active(account)
    key_files.generate_keypair(tmp_path / "other.pem", tmp_path / "other-public.pem")
    settings.EXECUTOR_PRIVATE_KEY_FILE = tmp_path / "other.pem"
    row.sealed_to = next(iter(envelope.read_ring((tmp_path / "other.pem").read_bytes())))
    with pytest.raises(credentials.CannotOpen):
        credentials.open_sealed(row)


@pytest.mark.parametrize(("changes", "starts"), [({}, False), ({"GAPLESS_CUSTOM_URLS": "1"}, True)])
def test_web_does_not_start_in_production_with_the_private_key_in_reach(
    account: Account, settings: Settings, changes: dict[str, str], starts: bool
) -> None:
    file = {"GAPLESS_EXECUTOR_PRIVATE_KEY_FILE": str(settings.EXECUTOR_PRIVATE_KEY_FILE)}
    given = {**os.environ, "ROLE": "web", "SECRET_KEY": "x", "GAPLESS_CUSTOM_URLS": "0", "GAPLESS_EMBEDDED": "0"}
    command = [sys.executable, "-c", "import project.asgi"]
    done = subprocess.run(
        command, cwd=ROOT, env={**given, **file, **changes}, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == starts, done.stderr
    if not starts:
        assert "within reach of role web" in done.stderr
        without = {**given, "GAPLESS_EXECUTOR_PRIVATE_KEY_FILE": "/nowhere/key.pem"}
        assert subprocess.run(command, cwd=ROOT, env=without, check=False).returncode == 0
