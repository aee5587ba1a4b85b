"""Venue, Account, Credential, Instrument, ProvedFact, Snapshot, RawFrame: where orders go, and what was said there."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.db import models

from project.lib import clock, ids

EXPIRY_WARNING_DAYS = 14


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
    limits = models.JSONField(
        blank=True, default=dict, help_text="What a test server allows an address: per_second, and burst at once."
    )
    is_live = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=clock.now)
    markets_loaded_at = models.DateTimeField(null=True)
    draining_since = models.DateTimeField(null=True)
    drained_at = models.DateTimeField(null=True, help_text="When nothing was open any more.")
    maintenance_from = models.DateTimeField(
        null=True,
        help_text="Start of the next maintenance window that is not over, so that orders need not look for one.",
    )

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
    draining_since = models.DateTimeField(null=True)
    drained_at = models.DateTimeField(null=True, help_text="When nothing was open any more.")
    created_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return self.code


class KeyState(models.TextChoices):
    CANDIDATE = "candidate", "waits to be proved; the active key goes on serving"
    ACTIVE = "active", "the account is served with it"
    REFUSED = "refused", "was not proved; the active key goes on serving"
    RETIRED = "retired", "replaced or withdrawn; its secret is destroyed"


class Credential(models.Model):
    """An API key, sealed to the executors' public key: this process can write one and never read it back."""

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="credentials")
    version = models.PositiveIntegerField()
    state = models.CharField(max_length=16, choices=KeyState.choices, default=KeyState.ACTIVE)
    fingerprint = models.CharField(max_length=16)
    key_suffix = models.CharField(max_length=4)
    sealed_data_key = models.BinaryField()
    sealed_to = models.CharField(max_length=16, blank=True, default="", help_text="Id of the executors' public key.")
    nonce = models.BinaryField()
    ciphertext = models.BinaryField()
    permissions = models.JSONField(default=dict)
    was_ip_restricted = models.BooleanField(null=True, help_text="What the venue said when the key was first proved.")
    probed_at = models.DateTimeField(null=True)
    probe_result = models.CharField(max_length=200, blank=True, default="")
    probe_error = models.CharField(
        max_length=200, blank=True, default="", help_text="Why the last probe had no answer."
    )
    waived_by = models.CharField(max_length=150, blank=True, default="", help_text="The second person, of four eyes.")
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=150, blank=True, default="")
    person = models.CharField(max_length=150, blank=True, default="", help_text="Whose hands entered it.")
    created_at = models.DateTimeField(default=clock.now)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "version"], name="credential_version"),
            models.UniqueConstraint(
                fields=["account"], condition=models.Q(state="active"), name="credential_one_active"
            ),
            models.UniqueConstraint(
                fields=["account"], condition=models.Q(state="candidate"), name="credential_one_candidate"
            ),
        ]

    @property
    def is_active(self) -> bool:
        """Whether the account is served with it."""
        return self.state == KeyState.ACTIVE

    @property
    def warning(self) -> str:
        """What a person must know about its end: empty while that is far away, or nobody named it."""
        if self.expires_at is None or self.state in (KeyState.RETIRED, KeyState.REFUSED):
            return ""
        left = self.expires_at - clock.now()
        if left.total_seconds() <= 0:
            return "expired: enter a new key"
        return f"expires in {left.days} days: enter a new key before" if left.days < EXPIRY_WARNING_DAYS else ""


class Instrument(models.Model):
    """What can be traded at a venue and on which grid. A step of zero means the venue names none.

    A market of the venue without a canonical name is listed too, under a symbol no order can name, with its reason.
    """

    venue = models.ForeignKey(Venue, on_delete=models.CASCADE, related_name="instruments")
    symbol = models.CharField(max_length=64)
    venue_symbol = models.CharField(max_length=64)
    base = models.CharField(max_length=32)
    quote = models.CharField(max_length=32)
    settle = models.CharField(max_length=32, blank=True, default="")
    kind = models.CharField(max_length=16, default="spot")
    price_step = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    quantity_step = models.DecimalField(max_digits=38, decimal_places=18, default=0)
    quantity_min = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    quantity_max = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    price_min = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    price_max = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    notional_min = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    notional_max = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    leverage_max = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    contract_size = models.DecimalField(max_digits=38, decimal_places=18, default=1)
    expires_at = models.DateTimeField(null=True, help_text="When a dated future ends.")
    unmapped_reason = models.CharField(max_length=120, blank=True, default="")
    is_active = models.BooleanField(default=True)
    last_price = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    last_price_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["venue", "symbol"], name="instrument_symbol")]

    @property
    def is_inverse(self) -> bool:
        """Whether it is a contract on a fixed sum of the quote asset, settled in the base asset."""
        return bool(self.settle) and self.settle == self.base


class ProvedFact(models.Model):
    """One fact about an exchange as the conformance kit found it; the newest finding stands."""

    exchange = models.CharField(max_length=64)
    fact = models.CharField(max_length=64, help_text="The name of a fact of venues.matrix.")
    venue = models.CharField(max_length=64, help_text="The code of the venue it was tried at.")
    holds = models.BooleanField()
    detail = models.CharField(max_length=200, blank=True, default="")
    at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["exchange", "fact"], name="proved_fact_once")]


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
