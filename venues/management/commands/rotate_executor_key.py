"""Rotates the executors' key pair: a new pair, its public half for web, data keys sealed anew, former keys destroyed."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from project.lib import audit, feed
from venues import envelope, key_providers, keys

STEPS = ("new", "publish", "reseal", "retire")


class Command(BaseCommand):
    """`manage.py rotate_executor_key [step]`: without a step new, publish and reseal, for one machine.

    On several machines take the steps one by one: after `new` give the private file to every executor, after `publish`
    the public file to every web, then `reseal`, and after an overlap `retire`. Every step may be repeated.
    """

    help = "Rotate the executors' key pair. Steps: new, publish, reseal; later retire."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the step."""
        parser.add_argument("step", nargs="?", choices=STEPS)

    def handle(self, *_: Any, step: str | None, **__: Any) -> None:
        """Take one step, or the first three."""
        for name in [step] if step else STEPS[:3]:
            try:
                self.stdout.write(getattr(self, f"_{name}")())
            except (key_providers.KeptElsewhere, FileNotFoundError, ValueError) as problem:
                raise CommandError(f"{name}: {problem}") from None

    def _new(self) -> str:
        made = key_providers.provider().add_pair(_next_public())
        _note("executor_key.made", made)
        return f"new: {made} is in the ring, its public half in {_next_public()}"

    def _publish(self) -> str:
        waiting, public = _next_public(), Path(settings.EXECUTOR_PUBLIC_KEY_FILE)
        if not waiting.exists():
            return f"publish: {_current()} is published already"
        name = envelope.key_id(envelope.read_public(waiting.read_bytes()))
        if name not in key_providers.provider().key_ids():
            raise ValueError(f"no private key for {name} here; what web sealed to it could not be opened")
        os.replace(waiting, public)
        _note("executor_key.published", name)
        return f"publish: keys are sealed to {name} from now on"

    def _reseal(self) -> str:
        done = keys.reseal("executor")
        if done.failed:
            raise ValueError(f"{done.count} sealed anew; these do not open: {', '.join(done.failed)}")
        return f"reseal: {done.count} data keys sealed to {_current()}"

    def _retire(self) -> str:
        surplus = keys.used_key_ids() - {_current()}
        if surplus:
            raise ValueError("some keys are still sealed to a former key; take the step reseal first")
        gone = key_providers.provider().keep_only({_current()})
        for name in gone:
            _note("executor_key.retired", name)
        return f"retire: {', '.join(gone) or 'nothing'} destroyed; backups sealed to it open no more"


def _next_public() -> Path:
    public = Path(settings.EXECUTOR_PUBLIC_KEY_FILE)
    return public.with_name(f"{public.name}.next")


def _current() -> str:
    return envelope.key_id(envelope.read_public(Path(settings.EXECUTOR_PUBLIC_KEY_FILE).read_bytes()))


def _note(action: str, name: str) -> None:
    with feed.transaction():
        audit.record("executor", action, name)
