"""The portfolio as the API shows it: per asset, per account and in total, by environment."""

from __future__ import annotations

from rest_framework import serializers

from project.lib.fields import DecimalText, Moment, Output


class PriceOutput(Output):
    """What one unit of an asset is worth in USD, where that was read and how long ago."""

    value = DecimalText()
    source = serializers.CharField()
    is_assumed = serializers.BooleanField()
    at = Moment(allow_null=True)
    age_seconds = serializers.IntegerField(allow_null=True)


class HeldOutput(Output):
    """One asset over all accounts of an environment. `total` is ours; free and held are the venues', in_orders our orders'.

    value_usd is null, never zero, where no price is known.
    """

    environment = serializers.CharField()
    asset = serializers.CharField()
    accounts = serializers.IntegerField()
    total = DecimalText()
    free = DecimalText(allow_null=True)
    held = DecimalText(allow_null=True)
    in_orders = DecimalText()
    unrealised_pnl = DecimalText()
    value_usd = DecimalText(allow_null=True)
    unrealised_usd = DecimalText(allow_null=True)
    price = PriceOutput(allow_null=True)
    as_of = Moment(allow_null=True)


class WorthOutput(Output):
    """What is valued in USD, and by name what is not; `unrealised_usd` of open contracts is not part of `value_usd`."""

    environment = serializers.CharField()
    value_usd = DecimalText()
    unrealised_usd = DecimalText()
    not_valued = serializers.ListField(child=serializers.CharField())
    oldest_price_at = Moment(allow_null=True)


class AccountWorthOutput(WorthOutput):
    """The same of one account."""

    account = serializers.CharField()
    venue = serializers.CharField()


class PortfolioOutput(Output):
    """Everything held. Money of different environments is never added up."""

    totals = WorthOutput(many=True)
    assets = HeldOutput(many=True)
    accounts = AccountWorthOutput(many=True)
