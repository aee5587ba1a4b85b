"""What happens to stored API keys besides their probe: a second person waives, somebody withdraws, executors re-seal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from project.lib import audit, clock, feed
from venues import credentials, envelope, key_providers, probes
from venues.models import Account, Credential, KeyState

REASON_CHARACTERS_MAX = 300


class Refused(Exception):
    """A command about a key cannot be carried out: a code for programs and a sentence for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def waive(credential: Credential, *, person: str, actor: str, reason: str) -> Credential:
    """Let a key be used although the venue leaves its rights in the dark; takes somebody else than who entered it.

    The owner then probes it again. A key that may move money is never waived. Raises Refused.
    """
    if not reason.strip():
        raise Refused("REASON_MISSING", "Say why the key may be used all the same.")
    with feed.transaction():
        account = Account.objects.select_for_update(no_key=True).get(pk=credential.account_id)
        key = Credential.objects.select_for_update(no_key=True).get(pk=credential.pk)
        if key.state == KeyState.RETIRED or not key.ciphertext:
            raise Refused("KEY_GONE", "This key's secret is destroyed. Enter the key again.")
        if not key.person:
            raise Refused(
                "NOBODY_ENTERED_IT", "Nobody knows who entered this key. Enter it again, then have it waived."
            )
        if key.person == person:
            raise Refused("SAME_PERSON", "Whoever entered the key cannot waive its probe: a second person has to.")
        if key.probe_result not in probes.WAIVABLE:
            raise Refused(
                "NOTHING_TO_WAIVE", f"The probe says {key.probe_result or 'nothing yet'}: that is not waived."
            )
        key.waived_by = actor[:150]
        if key.state == KeyState.REFUSED:
            Credential.objects.filter(account=account, state=KeyState.CANDIDATE).update(state=KeyState.REFUSED)
            key.state = KeyState.CANDIDATE
        else:
            account.activation_requested_at = clock.now()
            account.save(update_fields=["activation_requested_at"])
        key.save(update_fields=["waived_by", "state"])
        detail = {"version": key.version, "entered_by": key.person, "reason": reason.strip()[:REASON_CHARACTERS_MAX]}
        audit.record(actor, "credential.waived", account.code, detail)
        feed.announce(
            "accounts", "credential_changed", account.code, account=account.code, data={"waived": key.version}
        )
        feed.wake(account.code)
    return key


def withdraw(credential: Credential, *, actor: str) -> Credential:
    """Take a key out of use now and destroy its sealed secret; an account without an active key sends nothing."""
    with feed.transaction():
        account = Account.objects.select_for_update(no_key=True).get(pk=credential.account_id)
        key = Credential.objects.select_for_update(no_key=True).get(pk=credential.pk)
        if key.state != KeyState.RETIRED:
            credentials.retire(key)
            audit.record(actor, "credential.withdrawn", account.code, {"version": key.version})
            data = {"withdrawn": key.version}
            feed.announce("accounts", "credential_changed", account.code, account=account.code, data=data)
            feed.wake(account.code)
    return key


@dataclass
class Resealed:
    """What a re-sealing did: how many data keys, and the accounts of those that did not open."""

    count: int
    failed: list[str]


def reseal(actor: str) -> Resealed:
    """Seal every data key that is sealed to a former public key to the current one; the encrypted keys stay as they are.

    Needs the private key. Keys can be opened at every moment, before and after. Raises FileNotFoundError.
    """
    public = envelope.read_public(Path(settings.EXECUTOR_PUBLIC_KEY_FILE).read_bytes())
    current, provider = envelope.key_id(public), key_providers.provider()
    done = Resealed(0, [])
    for pk in Credential.objects.exclude(sealed_to=current).values_list("pk", flat=True).order_by("created_at"):
        with feed.transaction():
            key = Credential.objects.select_for_update(no_key=True).get(pk=pk)
            if not key.sealed_data_key or key.sealed_to == current:
                continue
            identity = credentials.identity(key)
            try:
                data_key = provider.open_data_key(bytes(key.sealed_data_key), key.sealed_to, identity)
            except envelope.CannotOpen:
                done.failed.append(key.account_id)
                continue
            key.sealed_data_key, key.sealed_to = envelope.seal_data_key(data_key, public, identity), current
            key.save(update_fields=["sealed_data_key", "sealed_to"])
            done.count += 1
    with feed.transaction():
        audit.record(actor, "credential.resealed", current, {"count": done.count, "failed": done.failed})
    return done


def used_key_ids() -> set[str]:
    """Return the ids of the public keys that stored keys are sealed to; an empty one means nobody knows which."""
    return set(Credential.objects.exclude(sealed_data_key=b"").values_list("sealed_to", flat=True))
