"""What the API shows of venues, accounts, keys and instruments, and what it takes."""

from __future__ import annotations

from rest_framework import serializers

from project.lib.fields import DecimalText, Id, Input, Moment, Output
from venues import matrix
from venues.models import AccountStatus, KeyState


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
    limits = serializers.JSONField()
    created_at = Moment()
    markets_loaded_at = Moment(allow_null=True)
    draining_since = Moment(allow_null=True)
    drained_at = Moment(allow_null=True)


class LimitsInput(Input):
    """What a test server allows an address: requests per second, and how many at once."""

    per_second = serializers.FloatField(min_value=0.001, max_value=1e6)
    burst = serializers.FloatField(min_value=1, max_value=1e6, required=False)


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
    limits = LimitsInput(required=False, default=dict)


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
    latency_ms_p95 = serializers.FloatField(allow_null=True)
    latency_ms_p99 = serializers.FloatField(allow_null=True)
    recent_requests = serializers.IntegerField()
    recent_errors = serializers.IntegerField()
    heard_at = Moment(allow_null=True)
    clock_offset_ms = serializers.IntegerField(allow_null=True)
    detections = serializers.DictField(child=serializers.IntegerField())
    last_success_at = Moment(allow_null=True)
    last_error_at = Moment(allow_null=True)
    last_error = serializers.CharField()
    updated_at = Moment()


class BudgetOutput(Output):
    """One limit of a venue as one executor keeps it. Without an account it is the limit of an address."""

    account = serializers.CharField()
    bucket = serializers.CharField()
    executor = serializers.CharField(source="holder")
    capacity = serializers.FloatField()
    per_seconds = serializers.FloatField()
    granted = serializers.FloatField()
    used = serializers.FloatField()
    remaining = serializers.FloatField()
    waiting = serializers.IntegerField()
    waited_ms = serializers.FloatField()
    renewed_at = Moment()


class StopOutput(Output):
    """The venue's own word that nothing may be sent for a while."""

    until_at = Moment()
    reason = serializers.CharField()


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
    draining_since = Moment(allow_null=True)
    drained_at = Moment(allow_null=True)
    created_at = Moment()


class ReasonOutput(Output):
    """Why points are missing."""

    code = serializers.CharField()
    text = serializers.CharField()
    points = serializers.IntegerField()


class ScoreOutput(Output):
    """0 to 100 points where they were measured, and why they are not 100."""

    state = serializers.ChoiceField(choices=["measured", "not_measured", "maintenance"])
    points = serializers.IntegerField(allow_null=True)
    reasons = ReasonOutput(many=True)


class AccountHealthOutput(Output):
    """An account of a venue with its channels."""

    account = serializers.CharField(source="code")
    status = serializers.ChoiceField(choices=AccountStatus.values)
    status_reason = serializers.CharField()
    channels = ChannelOutput(many=True)


class StreamOutput(Output):
    """One stream of an account over the last 24 hours. `live`: what had been missed is read; milliseconds count from the loss before."""

    account = serializers.CharField()
    kind = serializers.ChoiceField(choices=["private", "book"])
    symbol = serializers.CharField()
    state = serializers.ChoiceField(choices=["live", "catching_up", "down"])
    since = Moment()
    uptime_percent = serializers.FloatField(allow_null=True)
    sessions = serializers.IntegerField()
    reconnect_ms_p50 = serializers.IntegerField(allow_null=True)
    reconnect_ms_max = serializers.IntegerField(allow_null=True)
    healed_ms_p50 = serializers.IntegerField(allow_null=True)
    healed_ms_max = serializers.IntegerField(allow_null=True)
    last_reason = serializers.CharField()
    last_message_at = Moment(allow_null=True, source="newest.last_message_at")


class StreamSessionOutput(Output):
    """One connection of a stream, from its subscription until its loss."""

    id = Id()
    account = serializers.CharField(source="account_id")
    kind = serializers.ChoiceField(choices=["private", "book"])
    symbol = serializers.CharField()
    connected_at = Moment()
    tries = serializers.IntegerField()
    reconnect_ms = serializers.IntegerField(allow_null=True)
    live_at = Moment(allow_null=True)
    healed_ms = serializers.IntegerField(allow_null=True)
    ended_at = Moment(allow_null=True)
    reason = serializers.CharField()
    detail = serializers.CharField()
    frames = serializers.IntegerField()
    dropped = serializers.IntegerField()
    resyncs = serializers.IntegerField()
    last_message_at = Moment(allow_null=True)
    seen_at = Moment()


class BookOutput(Output):
    """A public book that an account needs, as its owner saw it; `reason` says why it is not to be traded on."""

    account = serializers.CharField(source="account_id")
    symbol = serializers.CharField()
    is_fresh = serializers.BooleanField(source="stands_fresh")
    reason = serializers.CharField()
    best_bid = DecimalText(allow_null=True)
    best_ask = DecimalText(allow_null=True)
    levels = serializers.IntegerField()
    changed_at = Moment(allow_null=True)
    updates = serializers.IntegerField()
    repeats = serializers.IntegerField()
    snapshots = serializers.IntegerField()
    gaps = serializers.IntegerField()
    checksum_failures = serializers.IntegerField()
    crossings = serializers.IntegerField()
    unreadable = serializers.IntegerField()
    reconnects = serializers.IntegerField()
    updated_at = Moment()


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
    state = serializers.ChoiceField(choices=KeyState.values)
    is_active = serializers.BooleanField()
    fingerprint = serializers.CharField()
    key_suffix = serializers.CharField()
    permissions = serializers.JSONField()
    probed_at = Moment(allow_null=True)
    probe_result = serializers.CharField()
    probe_error = serializers.CharField()
    waived_by = serializers.CharField()
    expires_at = Moment(allow_null=True)
    warning = serializers.CharField()
    last_used_at = Moment(allow_null=True)
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
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class WaiverInput(Input):
    """A second person's word that a key may be used although the venue leaves its rights in the dark."""

    reason = serializers.CharField(max_length=300)


class ActivationInput(Input):
    """A request to open the account; the probe of the key's permissions may be waived by an admin."""

    waive_probe = serializers.BooleanField(required=False, default=False)


class FactOutput(Output):
    """One fact about an exchange, in words, and where it comes from."""

    name = serializers.CharField()
    label = serializers.CharField()
    value = serializers.CharField()
    source = serializers.ChoiceField(choices=list(matrix.SOURCES))
    proved_at = Moment(source="proof.at", allow_null=True, default=None)
    proved_by = serializers.CharField(source="proof.venue", allow_null=True, default=None)


class CapabilityOutput(Output):
    """What is known of one exchange: its tier, its facts, ccxt's claims for each market type, what our requests carry."""

    exchange = serializers.CharField(source="id")
    name = serializers.CharField()
    family = serializers.CharField()
    tier = serializers.ChoiceField(choices=["A", "B", "C"])
    is_tradable = serializers.BooleanField(source="capabilities.is_tradable")
    has_adapter = serializers.BooleanField()
    facts = FactOutput(many=True)
    markets = serializers.DictField(child=serializers.JSONField())
    requests = serializers.DictField(child=serializers.JSONField())


class InstrumentOutput(Output):
    """What can be traded at a venue and on which grid; a market without a canonical name says why it cannot."""

    venue = serializers.CharField(source="venue_id")
    symbol = serializers.CharField()
    venue_symbol = serializers.CharField()
    base = serializers.CharField()
    quote = serializers.CharField()
    settle = serializers.CharField()
    kind = serializers.CharField()
    price_step = DecimalText()
    quantity_step = DecimalText()
    quantity_min = DecimalText(allow_null=True)
    quantity_max = DecimalText(allow_null=True)
    price_min = DecimalText(allow_null=True)
    price_max = DecimalText(allow_null=True)
    notional_min = DecimalText(allow_null=True)
    notional_max = DecimalText(allow_null=True)
    leverage_max = DecimalText(allow_null=True)
    contract_size = DecimalText()
    expires_at = Moment(allow_null=True)
    unmapped_reason = serializers.CharField()
    is_active = serializers.BooleanField()
    last_price = DecimalText(allow_null=True)
    last_price_at = Moment(allow_null=True)
    updated_at = Moment()
