"""The ledger: Posting, Balance, Position, Transfer; digests of what is booked and told: FillDigest, VenueDigest, ToldSpan."""

from __future__ import annotations

from django.db import models

from orders.models.execution import ZERO, Fill, money
from project.lib import clock, ids
from venues.models import Account


class Posting(models.Model):
    """One leg of a journal entry; the legs of an entry sum to zero per asset. Append only."""

    class Book(models.TextChoices):
        VENUE = "venue", "what the account holds at the venue"
        TRADING = "trading"
        FEES = "fees"
        FUNDING = "funding"
        TRANSFERS = "transfers"
        ADJUSTMENTS = "adjustments"
        OPENING = "opening"

    entry = models.UUIDField()
    leg = models.PositiveSmallIntegerField()
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="postings", db_constraint=False, db_index=False
    )
    asset = models.CharField(max_length=32)
    book = models.CharField(max_length=16, choices=Book.choices)
    amount = money()
    cause = models.CharField(max_length=16)
    fill = models.ForeignKey(Fill, on_delete=models.PROTECT, null=True, related_name="postings", db_constraint=False)
    reference = models.CharField(max_length=100, blank=True, default="")
    memo = models.CharField(max_length=300, blank=True, default="")
    posted_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entry", "leg"], name="posting_leg_once")]
        indexes = [
            models.Index(fields=["account", "asset", "book"], name="posting_fold"),
            models.Index(fields=["account", "posted_at"], condition=models.Q(fill=None), name="posting_beside_trades"),
        ]


class Balance(models.Model):
    """Fold of the `venue` postings of one asset, beside what the venue last said."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="balances")
    asset = models.CharField(max_length=32)
    total = money(default=ZERO)
    venue_total = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    venue_free = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    venue_held = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    as_of = models.DateTimeField(null=True, help_text="When the venue said so.")
    stream_total = models.DecimalField(
        max_digits=38, decimal_places=18, null=True, help_text="What its private stream said last."
    )
    stream_at = models.DateTimeField(null=True, help_text="When that came in.")
    difference = models.DecimalField(
        max_digits=38, decimal_places=18, null=True, help_text="Theirs less ours, as last read."
    )
    difference_since = models.DateTimeField(null=True)
    difference_confirmed_at = models.DateTimeField(null=True, help_text="When a second read found it the same.")
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "asset"], name="balance_once")]


class Position(models.Model):
    """Net traded quantity of a symbol since opening, with average entry and realised P&L, folded from fills.

    Quantities are in base asset, of an inverse contract in quote asset; the P&L is in quote asset, of a contract in the
    asset that settles it. Of a contract the venue's own word stands beside ours; it never changes ours.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="positions")
    symbol = models.CharField(max_length=64)
    quantity = money(default=ZERO)
    entry_price = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    realised_pnl = money(default=ZERO)
    venue_quantity = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    venue_entry_price = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    mark_price = models.DecimalField(
        max_digits=38, decimal_places=18, null=True, help_text="At which the venue values it."
    )
    venue_unrealised_pnl = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    margin = models.DecimalField(
        max_digits=38,
        decimal_places=18,
        null=True,
        help_text="What the venue reserves for it, in the settlement asset.",
    )
    as_of = models.DateTimeField(null=True, help_text="When the venue said so.")
    updated_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "symbol"], name="position_once")]


class Transfer(models.Model):
    """Money that a venue moved without a trade of ours: deposit, withdrawal, funding … Booked once, never changed.

    Unique by (account, kind, venue transfer id, asset); where a venue gives no id, it is a hash of the content.
    """

    class Kind(models.TextChoices):
        DEPOSIT = "deposit"
        WITHDRAWAL = "withdrawal"
        INTERNAL = "internal", "between accounts of the same owner"
        FUNDING = "funding", "what a perpetual pays or receives"
        SETTLEMENT = "settlement", "what a contract's settlement pays or takes"
        REBATE = "rebate"
        FEE = "fee", "a fee beside the trades"
        OTHER = "other"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="transfers", db_index=False)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    venue_transfer_id = models.CharField(max_length=100)
    asset = models.CharField(max_length=32)
    amount = money(help_text="What it did to our total at the venue: a withdrawal is negative, its fee included.")
    fee = money(default=ZERO, help_text="The part of the amount that is a fee.")
    symbol = models.CharField(max_length=64, blank=True, default="", help_text="The contract, of funding.")
    reference = models.CharField(max_length=200, blank=True, default="", help_text="Address or transaction, as told.")
    source = models.CharField(max_length=32)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "kind", "venue_transfer_id", "asset"], name="transfer_once")
        ]
        indexes = [models.Index(fields=["account", "-occurred_at"], name="transfer_newest")]


class FillDigest(models.Model):
    """What is booked of an account in one minute of the venue's clock: how many fills, and the sum of their hashes.

    Kept by the database as fills are booked (migration 0013), so that a clean day is proved without reading it.
    """

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="fill_digests", db_constraint=False, db_index=False
    )
    minute = models.DateTimeField()
    count = models.IntegerField()
    digest = models.DecimalField(max_digits=38, decimal_places=0, help_text="Sum of 64-bit hashes of the fills.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "minute"], name="fill_digest_once")]


class VenueDigest(models.Model):
    """What good reads of a venue told of an account in one minute of its clock, hashed as FillDigest is.

    A minute without trades has no row: whether it was told at all is what ToldSpan says.
    """

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="venue_digests", db_constraint=False, db_index=False
    )
    minute = models.DateTimeField()
    count = models.IntegerField()
    digest = models.DecimalField(max_digits=38, decimal_places=0, help_text="Sum of 64-bit hashes of the trades.")
    snapshot_number = models.BigIntegerField(help_text="The read that told it so first; kept for a day.")
    told_at = models.DateTimeField(help_text="When that read was asked for.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "minute"], name="venue_digest_once")]


class ToldSpan(models.Model):
    """Minutes, without a hole, of which good reads told every trade: what lies in no span was never told whole."""

    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="told_spans", db_constraint=False, db_index=False
    )
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField(help_text="The first minute that is not in it.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "begins_at"], name="told_span_once")]
