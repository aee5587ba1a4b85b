"""Orders that belong together, as a client asks for them: one cancels the other, bracket, scaled. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from orders import ladder, requests
from orders.requests import FieldProblem, Invalid, OrderRequest, Reader
from project.lib import decimals
from risk import checks

KINDS = ("oco", "bracket", "scaled")
CLIENT_GROUP_ID_MAX = 50  # its orders' client order ids are it, a colon and their role
COUNT_MIN, COUNT_MAX = 2, 50
HEAD = ("client_group_id", "account", "kind", "symbol", "side", "quantity", "reduce_only", "strategy")
OF_KIND = {
    "oco": ("legs", "time_in_force", "expires_at"),
    "bracket": ("entry", "take_profit", "stop"),
    "scaled": ("price_from", "price_to", "count", "distribution", "time_in_force", "expires_at", "post_only"),
}
_REQUIRED = ("client_group_id", "account", "kind", "symbol", "side", "quantity", "price_from", "price_to")
_LEG = ("type", "price", "trigger_price", "trailing_offset")
_ENTRY = (*_LEG, "time_in_force", "expires_at", "post_only")
_TAKES_PROFIT = ("limit", "take_profit", "take_profit_limit")
_STOPS = ("stop", "stop_limit", "trailing_stop")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One order of a group: its part in it, and where in the body it was asked for."""

    role: str
    request: OrderRequest
    path: str = ""
    is_dormant: bool = False

    def place(self, field: str) -> str:
        """Return the name a field of this order has in the body."""
        return _place(self.path, field)


@dataclass(frozen=True, kw_only=True)
class GroupRequest:
    """A well-formed group. A scaled one has its orders only once the instrument's grid is known: see members."""

    client_group_id: str
    kind: str
    template: OrderRequest
    orders: tuple[Member, ...] = ()
    scale: ladder.Scale | None = None

    @property
    def account(self) -> str:
        """The account all of its orders are on."""
        return self.template.account

    def members(self, grid: checks.Grid) -> tuple[Member, ...]:
        """Return the orders of the group on an instrument's grid. Raises Invalid where a ladder does not fit it."""
        if self.scale is None:
            return self.orders
        rungs = ladder.rungs(self.scale, self.template, grid)
        made = []
        for number, (price, quantity) in enumerate(rungs, 1):
            role = f"rung-{number:02d}"
            request = dataclasses.replace(
                self.template, client_order_id=f"{self.client_group_id}:{role}", price=price, quantity=quantity
            )
            made.append(Member(role=role, request=request))
        return tuple(made)

    def described(self) -> dict[str, Any]:
        """Return what was asked in plain words, to be kept beside the group."""
        body: dict[str, Any] = {"symbol": self.template.symbol, "side": self.template.side,
                                "quantity": decimals.write(self.template.quantity)}  # fmt: skip
        if self.scale is not None:
            body |= {"price_from": decimals.write(self.scale.price_from), "price_to": decimals.write(self.scale.price_to),
                     "count": self.scale.count, "distribution": self.scale.distribution}  # fmt: skip
        return body

    def digest(self) -> str:
        """Return the SHA-256 of what was asked; a second post is compared by it."""
        body = [self.client_group_id, self.kind, self.template.digest(), self.described(),
                [[member.role, member.request.digest()] for member in self.orders]]  # fmt: skip
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def parse(payload: Mapping[str, object]) -> GroupRequest:
    """Turn a decoded JSON object into a GroupRequest. Raises Invalid with every problem found."""
    reader = Reader(payload, required=_REQUIRED)
    kind = reader.choice("kind", KINDS)
    fields = (*HEAD, *OF_KIND.get(kind, sum(OF_KIND.values(), ())))
    reader.refuse_unknown(fields, f"is not a field of {kind or 'an order'} group")
    group_id = reader.text("client_group_id", requests.GROUP_ID, requests.GROUP_ID_RULE)
    quantity, price_from, price_to = reader.amount("quantity"), None, None
    if kind == "scaled":
        price_from, price_to = reader.amount("price_from"), reader.amount("price_to")
        count = reader.whole("count", COUNT_MIN, COUNT_MAX)
        distribution = reader.choice("distribution", ladder.DISTRIBUTIONS, "equal")
    price = price_from or Decimal(1)  # the head alone is judged here, as the order it would make
    head: dict[str, object] = {
        name: payload.get(name) for name in ("account", "symbol", "side", "strategy", "reduce_only")
    }
    shared: dict[str, object] = {
        name: payload.get(name) for name in ("time_in_force", "expires_at", "post_only") if name in fields
    }
    template = _order(
        reader, "", {**head, **shared, "client_order_id": "head", "type": "limit", "quantity": "1", "price": "1"}
    )
    reader.finish()
    if template is None or quantity is None:
        raise Invalid(reader.problems)
    template = dataclasses.replace(template, client_order_id=group_id, quantity=quantity, price=price)
    common = {**head, **shared, "quantity": payload["quantity"]}
    if kind == "scaled" and price_from is not None and price_to is not None:
        scale = ladder.Scale(price_from=price_from, price_to=price_to, count=count, distribution=distribution)
        return GroupRequest(client_group_id=group_id, kind=kind, template=template, scale=scale)
    make = _oco if kind == "oco" else _bracket
    orders = make(reader, payload, group_id, common)
    reader.finish()
    return GroupRequest(client_group_id=group_id, kind=kind, template=template, orders=orders)


def _oco(
    reader: Reader, payload: Mapping[str, object], group_id: str, common: Mapping[str, object]
) -> tuple[Member, ...]:
    legs = payload.get("legs")
    if not isinstance(legs, list) or len(legs) != 2:
        reader.refuse("legs", "MALFORMED", "must be a list of two orders: one that takes the profit, one that stops")
        return ()
    made: list[Member] = []
    for number, leg in enumerate(legs):
        path = f"legs.{number}"
        request = _leg(reader, path, leg, _LEG, {**common, "client_order_id": f"{group_id}:x"})
        if request is None:
            continue
        role = "take_profit" if request.type in _TAKES_PROFIT else "stop" if request.type in _STOPS else ""
        if not role or any(other.role == role for other in made):
            taken = _STOPS if role == "take_profit" or not role else _TAKES_PROFIT
            _refuse(reader, f"{path}.type", "NOT_ALLOWED", "one leg takes the profit (limit, take_profit, take_profit_limit), "
                    "the other stops (stop, stop_limit, trailing_stop)", request.type, taken[0])  # fmt: skip
            continue
        made.append(_named(group_id, role, request, path))
    if len(made) == 2:
        _refuse_wrong_order(reader, made, str(common["side"]))
    return tuple(made)


def _bracket(
    reader: Reader, payload: Mapping[str, object], group_id: str, common: Mapping[str, object]
) -> tuple[Member, ...]:
    other_side = {"buy": "sell", "sell": "buy"}[str(common["side"])]
    exits = {**common, "side": other_side, "client_order_id": f"{group_id}:x"}
    entry = _leg(reader, "entry", payload.get("entry"), _ENTRY, {**common, "client_order_id": f"{group_id}:entry"})
    take_profit = _leg(reader, "take_profit", payload.get("take_profit"), ("price",), {**exits, "type": "limit"})
    stop = payload.get("stop")
    kind = "stop"
    if isinstance(stop, Mapping):
        is_trailing = stop.get("trailing_offset") is not None
        kind = "trailing_stop" if is_trailing else "stop_limit" if stop.get("price") is not None else "stop"
    stopped = _leg(reader, "stop", stop, _LEG[1:], {**exits, "type": kind})
    if entry is None or take_profit is None or stopped is None:
        return ()
    members = [
        _named(group_id, "entry", entry, "entry"),
        dataclasses.replace(_named(group_id, "take_profit", take_profit, "take_profit"), is_dormant=True),
        dataclasses.replace(_named(group_id, "stop", stopped, "stop"), is_dormant=True),
    ]
    _refuse_wrong_order(reader, members, other_side)
    return tuple(members)


def _refuse_wrong_order(reader: Reader, members: Sequence[Member], exit_side: str) -> None:
    """Refuse prices of which one would end the group at once: a seller takes profit above the entry and stops below."""
    level = {member.role: member.request.trigger_price or member.request.price for member in members}
    place = {member.role: member for member in members}
    rising = ["stop", "entry", "take_profit"] if exit_side == "sell" else ["take_profit", "entry", "stop"]
    known = [(role, level[role]) for role in rising if level.get(role) is not None]
    for (lower, below), (upper, above) in itertools.pairwise(known):
        if below is not None and above is not None and below >= above:
            wrong = place[lower if lower != "entry" else upper]
            name = "trigger_price" if wrong.request.trigger_price is not None else "price"
            must = "below" if wrong.role == lower else "above"
            other = above if wrong.role == lower else below
            _refuse(reader, wrong.place(name), "WRONG_SIDE", f"must lie {must} {decimals.write(other)}, or it would "
                    "act at once", decimals.write(level[wrong.role]), None)  # fmt: skip


def _leg(
    reader: Reader, path: str, leg: object, fields: tuple[str, ...], common: Mapping[str, object]
) -> OrderRequest | None:
    if not isinstance(leg, Mapping):
        code = "REQUIRED" if leg is None else "MALFORMED"
        reader.refuse(path, code, f"must be an object with {', '.join(fields)}")
        return None
    own = Reader(leg)
    own.refuse_unknown(fields, f"is not a field here; the fields are {', '.join(fields)}")
    reader.problems += [dataclasses.replace(one, field=f"{path}.{one.field}") for one in own.problems]
    if own.problems:
        return None
    return _order(reader, path, {**common, **{name: leg[name] for name in fields if name in leg}})


def _order(reader: Reader, path: str, payload: Mapping[str, object]) -> OrderRequest | None:
    """Judge one order of the group by the rules of every order; its problems carry the path to it."""
    try:
        return requests.parse({name: value for name, value in payload.items() if value is not None})
    except Invalid as refusal:
        for problem in refusal.problems:
            reader.problems.append(dataclasses.replace(problem, field=_place(path, problem.field)))
        return None


def _place(path: str, field: str) -> str:
    own = _ENTRY if path == "entry" else _LEG
    return f"{path}.{field}" if path and field in own else field


def _named(group_id: str, role: str, request: OrderRequest, path: str) -> Member:
    return Member(role=role, request=dataclasses.replace(request, client_order_id=f"{group_id}:{role}"), path=path)


def _refuse(reader: Reader, field: str, code: str, message: str, got: str | None, nearest: str | None) -> None:
    reader.problems.append(FieldProblem(field=field, code=code, message=message, got=got, nearest_valid=nearest))
