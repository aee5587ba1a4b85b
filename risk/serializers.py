"""What the API shows and takes of halts."""

from __future__ import annotations

from rest_framework import serializers

from project.lib.fields import Id, Input, Moment, Output
from risk.models import Halt


class HaltOutput(Output):
    """A stop and, once lifted, its release."""

    id = Id()
    scope = serializers.CharField()
    state = serializers.ChoiceField(choices=Halt.State.values)
    reason = serializers.CharField()
    created_by = serializers.CharField()
    created_at = Moment()
    released_at = Moment(allow_null=True)
    released_by = serializers.CharField()
    release_reason = serializers.CharField()


class HaltInput(Input):
    """Stop new orders in `global`, `venue:<code>` or `account:<code>`."""

    scope = serializers.CharField(max_length=100)
    reason = serializers.CharField(max_length=300)
    state = serializers.ChoiceField(choices=Halt.State.values, default=Halt.State.HALTED)


class ReleaseInput(Input):
    """Why trading may go on."""

    reason = serializers.CharField(max_length=300)
