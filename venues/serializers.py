"""What the API shows of venues, accounts, keys and instruments, and what it takes."""

from __future__ import annotations

from rest_framework import serializers

from project.lib.fields import DecimalText, Id, Input, Moment, Output
from venues.models import AccountStatus


class VenueOutput(Output):
    """An exchange as we reach it."""

    code = serializers.CharField()
    exchange = serializers.CharField()
    rest_url = serializers.CharField()
    ws_url = serializers.CharField()
    sandbox = serializers.BooleanField()
    quirks = serializers.ListField(child=serializers.CharField())
    environment = serializers.ChoiceField(choices=["LIVE", "SANDBOX", "PAPER"])
    is_live = serializers.BooleanField()
    may_trade = serializers.BooleanField()
    created_at = Moment()
    markets_loaded_at = Moment(allow_null=True)


class VenueInput(Input):
    """A new venue. Without rest_url it is the real exchange, and stays switched off for orders."""

    code = serializers.CharField(max_length=64)
    exchange = serializers.CharField(max_length=64)
    rest_url = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
    ws_url = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
    sandbox = serializers.BooleanField(required=False, default=False)
    quirks = serializers.ListField(
        child=serializers.CharField(max_length=64), max_length=16, required=False, default=list
    )


class LiveInput(Input):
    """Whether orders may go to the real exchange."""

    is_live = serializers.BooleanField()


class ChannelOutput(Output):
    """How one channel to a venue does."""

    capability = serializers.CharField()
    breaker = serializers.CharField()
    breaker_reason = serializers.CharField()
    requests = serializers.IntegerField()
    errors = serializers.IntegerField()
    reconnects = serializers.IntegerField()
    latency_ms_p50 = serializers.FloatField(allow_null=True)
    latency_ms_p99 = serializers.FloatField(allow_null=True)
    last_success_at = Moment(allow_null=True)
    last_error_at = Moment(allow_null=True)
    last_error = serializers.CharField()
    updated_at = Moment()


class AccountOutput(Output):
    """One account at a venue and whether it trades."""

    code = serializers.CharField()
    venue = serializers.CharField(source="venue_id")
    label = serializers.CharField()
    status = serializers.ChoiceField(choices=AccountStatus.values)
    status_reason = serializers.CharField()
    status_at = Moment()
    activation_requested_at = Moment(allow_null=True)
    probe_waived_by = serializers.CharField()
    opened_at = Moment(allow_null=True)
    created_at = Moment()


class AccountHealthOutput(Output):
    """An account of a venue with its channels."""

    account = serializers.CharField(source="code")
    status = serializers.ChoiceField(choices=AccountStatus.values)
    status_reason = serializers.CharField()
    channels = ChannelOutput(many=True)


class AccountInput(Input):
    """A new account at a venue."""

    code = serializers.CharField(max_length=64)
    venue = serializers.CharField(max_length=64)
    label = serializers.CharField(max_length=120, required=False, allow_blank=True, default="")


class KeyOutput(Output):
    """What may be known of an API key: never the key."""

    id = Id()
    account = serializers.CharField(source="account_id")
    version = serializers.IntegerField()
    fingerprint = serializers.CharField()
    key_suffix = serializers.CharField()
    is_active = serializers.BooleanField()
    permissions = serializers.JSONField()
    probed_at = Moment(allow_null=True)
    probe_result = serializers.CharField()
    created_by = serializers.CharField()
    created_at = Moment()
    retired_at = Moment(allow_null=True)


class KeyInput(Input):
    """An API key. It is sealed to the executors and cannot be read back."""

    is_secret = True

    api_key = serializers.CharField(max_length=4096, trim_whitespace=False, write_only=True)
    secret = serializers.CharField(max_length=4096, trim_whitespace=False, write_only=True)
    passphrase = serializers.CharField(
        max_length=4096, trim_whitespace=False, write_only=True, required=False, allow_blank=True, default=""
    )


class ActivationInput(Input):
    """A request to open the account; the probe of the key's permissions may be waived by an admin."""

    waive_probe = serializers.BooleanField(required=False, default=False)


class InstrumentOutput(Output):
    """What can be traded at a venue and on which grid."""

    venue = serializers.CharField(source="venue_id")
    symbol = serializers.CharField()
    venue_symbol = serializers.CharField()
    base = serializers.CharField()
    quote = serializers.CharField()
    kind = serializers.CharField()
    price_step = DecimalText()
    quantity_step = DecimalText()
    quantity_min = DecimalText(allow_null=True)
    quantity_max = DecimalText(allow_null=True)
    notional_min = DecimalText(allow_null=True)
    contract_size = DecimalText()
    is_active = serializers.BooleanField()
    last_price = DecimalText(allow_null=True)
    last_price_at = Moment(allow_null=True)
    updated_at = Moment()
