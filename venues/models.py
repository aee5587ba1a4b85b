"""Venue, Account, Credential, Instrument, Snapshot, RawFrame, ChannelHealth."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.db import models

from project.lib import clock, ids


class Venue(models.Model):
    """An exchange as we reach it: a ccxt class, and where its servers are when not the real ones."""

    code = models.SlugField(primary_key=True, max_length=64)
    exchange = models.CharField(max_length=64)
    rest_url = models.URLField(blank=True, default="", max_length=500)
    ws_url = models.CharField(blank=True, default="", max_length=500)
    sandbox = models.BooleanField(default=False)
    quirks = models.JSONField(
        blank=True, default=list, help_text="What a test server lacks of the exchange's protocol."
    )
    is_live = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)
    markets_loaded_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.code

    @property
    def environment(self) -> str:
        """LIVE, SANDBOX or PAPER: the word written on every page that shows this venue."""
        if not self.rest_url:
            return "SANDBOX" if self.sandbox else "LIVE"
        same_host = urlsplit(self.rest_url).netloc == urlsplit(settings.PAPER_URL).netloc
        return "PAPER" if same_host else "SANDBOX"

    @property
    def may_trade(self) -> bool:
        """Whether orders may go out: always away from the real exchange; there only when two switches are on."""
        return self.environment != "LIVE" or (settings.LIVE_ALLOWED and self.is_live)


class AccountStatus(models.TextChoices):
    NEW = "new"
    PROBING = "probing"
    RECOVERING = "recovering"
    READY = "ready"
    REDUCING = "reducing"
    HALTED = "halted"
    DISABLED = "disabled"


class Account(models.Model):
    """One account at a venue; served by one executor at a time."""

    code = models.SlugField(primary_key=True, max_length=64)
    venue = models.ForeignKey(Venue, on_delete=models.PROTECT, related_name="accounts")
    label = models.CharField(max_length=120, blank=True, default="")
    status = models.CharField(max_length=16, choices=AccountStatus.choices, default=AccountStatus.NEW)
    status_reason = models.CharField(max_length=300, blank=True, default="")
    status_at = models.DateTimeField(default=clock.now)
    activation_requested_at = models.DateTimeField(null=True)
    probe_waived_by = models.CharField(max_length=150, blank=True, default="")
    event_sequence = models.BigIntegerField(default=0)
    opened_at = models.DateTimeField(null=True, help_text="When opening balances were posted.")
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.code


class Credential(models.Model):
    """An API key, sealed to the executors' public key: this process can write one and never read it back."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="credentials")
    version = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=16)
    key_suffix = models.CharField(max_length=4)
    sealed_data_key = models.BinaryField()
    nonce = models.BinaryField()
    ciphertext = models.BinaryField()
    is_active = models.BooleanField(default=True)
    permissions = models.JSONField(default=dict)
    probed_at = models.DateTimeField(null=True)
    probe_result = models.CharField(max_length=200, blank=True, default="")
    created_by = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField(default=clock.now)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "version"], name="credential_version"),
            models.UniqueConstraint(
                fields=["account"], condition=models.Q(is_active=True), name="credential_one_active"
            ),
        ]


class Instrument(models.Model):
    """What can be traded at a venue and on which grid. A step of zero means the venue names none."""

    venue = models.ForeignKey(Venue, on_delete=models.CASCADE, related_name="instruments")
    symbol = models.CharField(max_length=64)
    venue_symbol = models.CharField(max_length=64)
    base = models.CharField(max_length=32)
    quote = models.CharField(max_length=32)
    kind = models.CharField(max_length=16, default="spot")
    price_step = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    quantity_step = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    quantity_min = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    quantity_max = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    notional_min = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    contract_size = models.DecimalField(max_digits=38, decimal_places=18, default=1)
    is_active = models.BooleanField(default=True)
    last_price = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    last_price_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["venue", "symbol"], name="instrument_symbol")]


class Surface(models.TextChoices):
    OPEN_ORDERS = "open_orders"
    FILLS = "fills"
    BALANCES = "balances"
    POSITIONS = "positions"
    TRANSFERS = "transfers"


class SnapshotStatus(models.TextChoices):
    GOOD = "good"
    PARTIAL = "partial"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"


class Snapshot(models.Model):
    """What a venue said about one surface of an account at one time. A failed read is never an empty one."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="snapshots")
    surface = models.CharField(max_length=16, choices=Surface.choices)
    status = models.CharField(max_length=16, choices=SnapshotStatus.choices)
    requested_at = models.DateTimeField(help_text="Before the first request; facts booked after this are younger.")
    taken_at = models.DateTimeField()
    window_from = models.DateTimeField(null=True)
    window_to = models.DateTimeField(null=True)
    cursor = models.CharField(max_length=200, blank=True, default="")
    event_sequence = models.BigIntegerField(default=0, help_text="The account's event sequence when requested.")
    rows = models.JSONField(default=list)
    digest = models.CharField(max_length=64, blank=True, default="")
    error = models.CharField(max_length=300, blank=True, default="")
    epoch = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=32, default="schedule")

    class Meta:
        indexes = [models.Index(fields=["account", "surface", "-taken_at"], name="snapshot_latest")]


class RawFrame(models.Model):
    """A venue's words as received, kept for a limited time; the evidence behind events and breaks."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="raw_frames")
    channel = models.CharField(max_length=16)
    received_at = models.DateTimeField(default=clock.now)
    body = models.TextField()
    error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["received_at"], name="raw_frame_received")]


class ChannelHealth(models.Model):
    """One channel of an account (submit, cancel, query, stream): latency, errors, staleness, breaker."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="channels")
    capability = models.CharField(max_length=16)
    breaker = models.CharField(max_length=16, default="closed")
    breaker_reason = models.CharField(max_length=200, blank=True, default="")
    requests = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    reconnects = models.BigIntegerField(default=0)
    latency_ms_p50 = models.FloatField(null=True)
    latency_ms_p99 = models.FloatField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_error_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True, default="")
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "capability"], name="channel_health_once")]
