"""Six accounts, one per dialect, in a running product; what is planted at each over the venue's control API, and what must come of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.chaos.cluster import Cluster
from tests.chaos.load import Trader
from tests.chaos.venues import Desk, Personality, is_ready
from tests.flows.client import wait_for
from tests.reconciliation.planted.exchanges import ALL, SPOT_EXCHANGES, WITH_REFERENCES
from venues.paper import defaults

FLOW_STEPS_PER_SECOND = 1.0
# SOL is never traded here: what the venue holds back of it is nobody's order.
BALANCES = {"USDT": "10000000", "BTC": "200", "ETH": "3000", "SOL": "5000"}
SPOT = (("BTC/USDT", "0.00001", 20), ("ETH/USDT", "0.0001", 50))
CONTRACT = ("BTC/USD:BTC", "10", 1)
AT_DERIBIT = (("ETH/USDT", "0.001", 5), CONTRACT)
AGO_SECONDS = 20
OPEN_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Sown:
    """A difference that was planted: where, and the breaks of which one must come of it, told apart by asset or subject."""

    name: str
    account: str
    kinds: tuple[str, ...]
    asset: str = ""
    subject: str = ""

    def is_about(self, row: dict[str, Any]) -> bool:
        """Whether a break, whatever its class, is about the thing that was planted."""
        if row["account"] != self.account:
            return False
        if self.subject:
            return bool(row["subject"] == self.subject or row["subject"].startswith(f"{self.subject} "))
        return bool(row["kind"] in self.kinds and row["asset"] == self.asset)


class SteadyTrader(Trader):
    """A trader of spot, and at Deribit of an inverse contract as well; it leaves SOL alone."""

    def symbols(self) -> tuple[tuple[str, str, int], ...]:
        """Return what is traded here."""
        return AT_DERIBIT if self.desk.world.exchange == "deribit" else SPOT


class Sower:
    """Plants differences at one account, each once."""

    def __init__(self, cluster: Cluster, desk: Desk, seed: int) -> None:
        self._cluster, self._desk = cluster, desk
        self._chance = random.Random(f"{seed}:{desk.code}:sow")
        self._taken: set[str] = set()

    def prepare(self) -> None:
        """Let two deposits be told, booked, and explained by a person: they are denied or told twice later on."""
        for asset, amount, reference in (("ETH", "1.5", "altered"), ("USDT", "750", "doubled")):
            if reference == "doubled" and self._desk.code not in WITH_REFERENCES:
                continue
            self._fault("deposit", asset=asset, amount=amount, reference=reference)

    def explained(self, row: dict[str, Any]) -> None:
        """Explain a deposit, as a person does."""
        self._cluster.api.post(
            f"/breaks/{row['id']}/resolution/", {"action": "explain", "reason": "our own deposit", "cause": "transfer"}
        )

    def steps(self) -> Iterator[Callable[[], Sown]]:
        """Yield every kind that this exchange can show, as a step that plants it."""
        yield from (
            self.missing_fill, self.extra_fill, self.fee_drift, self.wrong_side, self.phantom_order, self.balance_drift,
            self.dust, self.transfer, self.altered_transfer,
        )  # fmt: skip
        if self._desk.code in SPOT_EXCHANGES:
            yield from (self.unmapped, self.frozen)
        if self._desk.code in WITH_REFERENCES:
            yield self.doubled
        if self._desk.code == "deribit":
            yield self.orphan_position

    def missing_fill(self) -> Sown:
        """A trade in the list whose order no lookup knows."""
        self._fault("list_trade", symbol="ETH/USDT", side="buy", quantity="0.7", price="3000", seconds_ago=AGO_SECONDS)
        return self._sown("missing_fill", "fill_missing_here", asset="ETH")

    def extra_fill(self) -> Sown:
        """A booked trade that the list does not have any more."""
        fill = self._a_fill()
        self._fault("hide_trade", symbol=fill["symbol"], trade_id=fill["trade"])
        return self._sown("extra_fill", "fill_missing_at_venue", subject=f"{fill['symbol']} {fill['trade']}")

    def fee_drift(self) -> Sown:
        """A trade told again with another fee."""
        fill = self._a_fill()
        fee = str(fill["fee"] + Decimal("0.0003"))
        self._fault("alter_trade", symbol=fill["symbol"], trade_id=fill["trade"], fee=fee)
        return self._sown("fee_drift", "fee_differs", subject=f"{fill['symbol']} {fill['trade']}")

    def wrong_side(self) -> Sown:
        """A trade told again with the other side."""
        fill = self._a_fill()
        side = "sell" if fill["side"] == "buy" else "buy"
        self._fault("alter_trade", symbol=fill["symbol"], trade_id=fill["trade"], side=side)
        return self._sown("wrong_side", "wrong_side", subject=f"{fill['symbol']} {fill['trade']}")

    def phantom_order(self) -> Sown:
        """An open order that only the list has."""
        told = {"symbol": "BTC/USDT", "side": "buy", "quantity": "0.01", "price": "48000"}
        self._fault("list_order", **told, seconds_ago=AGO_SECONDS)
        return self._sown("phantom_order", "external_order", asset="BTC")

    def balance_drift(self) -> Sown:
        """Money that left without a word, of an asset that is traded all the while."""
        self._fault("silent_debit", asset="BTC", amount="0.0123")
        return self._sown("balance_drift", "balance", asset="BTC")

    def dust(self) -> Sown:
        """The least that an exchange shows."""
        self._fault("silent_debit", asset="ETH", amount="0.00000001")
        return self._sown("dust", "balance", asset="ETH")

    def transfer(self) -> Sown:
        """Money that came without a trade."""
        self._fault("deposit", asset="BTC", amount="0.25")
        return self._sown("transfer", "transfer", asset="BTC")

    def altered_transfer(self) -> Sown:
        """A deposit that was told, booked and explained, and that the list now lacks or tells with another amount."""
        if self._chance.random() < 0.5:
            self._fault("hide_transfer", reference="altered")
        else:
            self._fault("alter_transfer", reference="altered", amount="3")
        return self._sown("altered_transfer", "transfer_missing_at_venue", "transfer_differs", asset="ETH")

    def doubled(self) -> Sown:
        """One deposit, credited again under another id."""
        self._fault("deposit", asset="USDT", amount="750", reference="doubled")
        return self._sown("duplicated_deposit", "transfer_duplicated", asset="USDT")

    def unmapped(self) -> Sown:
        """An asset never seen."""
        self._fault("silent_debit", asset="AIRDROP", amount="-17")
        return self._sown("wrong_symbol_map", "unmapped_symbol", asset="AIRDROP")

    def frozen(self) -> Sown:
        """A part of a balance that the venue holds back though no order of ours is there."""
        self._fault("freeze", asset="SOL", amount="44")
        return self._sown("frozen_balance", "balance_frozen", asset="SOL")

    def orphan_position(self) -> Sown:
        """A position of a contract that is traded all the while, more than any trade explains."""
        self._fault("list_position", symbol=CONTRACT[0], quantity="130")
        return self._sown("orphan_position", "position", asset="BTC")

    def _sown(self, name: str, *kinds: str, asset: str = "", subject: str = "") -> Sown:
        return Sown(name=name, account=self._desk.code, kinds=kinds, asset=asset, subject=subject)

    def _a_fill(self) -> dict[str, Any]:
        """Return a trade of spot that has been booked for some seconds and that nothing was planted at yet."""

        def look() -> list[tuple[Any, ...]]:
            rows = self._cluster.sql(
                "SELECT symbol, venue_trade_id, side, fee FROM orders_fill WHERE account_id = %s AND symbol NOT LIKE '%%:%%' "
                "AND recorded_at BETWEEN now() - interval '90 seconds' AND now() - interval '10 seconds' ORDER BY id",
                self._desk.code,
            )
            return [row for row in rows if row[1] not in self._taken]

        fills = wait_for(f"a trade at {self._desk.code}", look, 90, every=0.5)
        symbol, trade, side, fee = self._chance.choice(fills)
        self._taken.add(trade)
        return {"symbol": symbol, "trade": trade, "side": side, "fee": fee}

    def _fault(self, fault: str, **params: Any) -> None:
        self._cluster.paper.add_fault(
            self._desk.world, fault, count=1, params={"account": self._desk.world.api_key, **params}
        )


def open_desks(cluster: Cluster, seed: int) -> list[Desk]:
    """Make a world, venue and account per dialect, and wait until all of them trade."""
    desks = []
    for exchange in ALL:
        api_key, secret = defaults.KEYS[exchange]
        passphrase = defaults.PASSPHRASES.get(exchange, "")
        account = {
            "api_key": api_key, "secret": secret, "passphrase": passphrase, "balances": BALANCES,
            "permissions": defaults.PERMISSIONS,
        }  # fmt: skip
        world = cluster.paper.create_world(
            exchange, "planted", seed=seed, accounts=[account], flow_steps_per_second=FLOW_STEPS_PER_SECOND
        )
        api, where = cluster.api, {"rest_url": world.rest_url, "ws_url": world.ws_url}
        api.post("/venues/", {"code": exchange, "exchange": exchange, **where})
        api.post("/accounts/", {"code": exchange, "venue": exchange, "label": f"planted {exchange}"})
        keys = {"api_key": api_key, "secret": secret, **({"passphrase": passphrase} if passphrase else {})}
        api.post(f"/accounts/{exchange}/keys/", keys)
        api.post(f"/accounts/{exchange}/activation/")
        desks.append(Desk(exchange, Personality(exchange, exchange, {}), world, secret))
    for desk in desks:
        wait_for(f"{desk.code} ready", lambda code=desk.code: is_ready(cluster, code), OPEN_SECONDS)  # type: ignore[misc]
    return desks
