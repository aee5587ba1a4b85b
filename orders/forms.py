"""The order ticket and the decisions on a dead letter, as forms."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from django import forms

from orders import requests
from orders.models import Order
from orders.requests import OrderRequest
from orders.triggers import TRIGGERED
from project.lib import decimals
from venues.models import Account

SENT = (
    "client_order_id", "account", "symbol", "side", "type", "quantity", "price", "trigger_price", "trailing_offset",
    "time_in_force", "expires_at",
)  # fmt: skip
CONDITIONAL_FIELDS = ("price", "trigger_price", "trailing_offset", "time_in_force", "expires_at", "post_only")
TIMING = ("time_in_force", "expires_at", "post_only")
AMENDED = ("quantity", "price", "trigger_price", "expires_at")
DECIMAL = {"inputmode": "decimal", "autocomplete": "off"}
# What decides which other fields there are: a change fetches them anew.
DECIDES = {
    "hx-get": "/orders/new/fields/",
    "hx-trigger": "change",
    "hx-target": "#ticket-fields",
    "hx-swap": "morph:outerHTML",
}
TYPE_LABELS = {
    "limit": "Limit", "market": "Market", "stop": "Stop, then market", "stop_limit": "Stop, then limit",
    "take_profit": "Take profit, then market", "take_profit_limit": "Take profit, then limit",
    "trailing_stop": "Trailing stop, then market",
}  # fmt: skip
TIME_LABELS = {
    "gtc": "Good till cancelled", "gtd": "Good till date", "ioc": "Immediate or cancel", "fok": "Fill or kill",
}  # fmt: skip


class Problem(Protocol):
    """One refused field, from whichever layer refused it."""

    @property
    def field(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def nearest_valid(self) -> str | None: ...


def new_client_order_id() -> str:
    """Return an id for one ticket: sending the same ticket twice makes one order."""
    return f"web-{secrets.token_hex(8)}"


class AccountField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Choose an account; each choice says what world it trades in and whether it is ready."""

    def label_from_instance(self, obj: Account) -> str:
        """Write code, environment and status."""
        return f"{obj.code} · {obj.venue.environment} · {obj.status}"


class Ticket(forms.Form):
    """An order as a person types it; the same strict parser judges it as judges the API."""

    client_order_id = forms.CharField(widget=forms.HiddenInput)
    account = AccountField(Account.objects.none(), empty_label=None, to_field_name="code")
    symbol = forms.CharField(
        max_length=64,
        widget=forms.TextInput({"list": "ticket-symbols", "autocomplete": "off", "autocapitalize": "characters"}),
    )
    side = forms.ChoiceField(choices=[("buy", "Buy"), ("sell", "Sell")], initial="buy")
    type = forms.ChoiceField(choices=list(TYPE_LABELS.items()), initial="limit", widget=forms.Select(DECIDES))
    quantity = forms.CharField(max_length=60, widget=forms.TextInput(DECIMAL))
    price = forms.CharField(max_length=60, required=False, label="Limit price", widget=forms.TextInput(DECIMAL))
    trigger_price = forms.CharField(max_length=60, required=False, widget=forms.TextInput(DECIMAL))
    trailing_offset = forms.CharField(max_length=60, required=False, widget=forms.TextInput(DECIMAL))
    time_in_force = forms.ChoiceField(
        required=False, choices=list(TIME_LABELS.items()), initial="gtc", widget=forms.Select(DECIDES)
    )
    expires_at = forms.CharField(
        max_length=40,
        required=False,
        label="Expires at, UTC",
        widget=forms.DateTimeInput({"type": "datetime-local", "step": "1"}),
    )
    post_only = forms.BooleanField(required=False, label="Post-only")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["account"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = Account.objects.select_related("venue").order_by("code")

    def clean(self) -> dict[str, Any]:
        """Parse what was typed; the order request is in `cleaned_data["request"]`."""
        values = super().clean() or {}
        if self.errors:
            return values
        payload = _typed(self.data, SENT)
        if payload.get("type") == "market" and payload.get("time_in_force") == "gtc":
            del payload["time_in_force"]  # the form's own default, where no script has taken the field away
        if values.get("post_only"):
            payload["post_only"] = True
        try:
            values["request"] = requests.parse(payload)
        except requests.Invalid as error:
            self.refuse(error.problems)
        return values

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Show refusals beside their fields, each with the nearest valid value."""
        for problem in problems:
            name = problem.field if problem.field in self.fields else None
            self.add_error(name, sentence(problem) if name else f"{problem.field}: {sentence(problem)}")

    @property
    def own_rows(self) -> list[list[Any]]:
        """Return the fields that belong to the chosen type: prices in one row, how long it works in another."""
        own = self.own_fields
        rows = [[one for one in own if (one.name in TIMING) is is_timing] for is_timing in (False, True)]
        return [row for row in rows if row]

    @property
    def own_fields(self) -> list[Any]:
        """Return the fields that belong to the chosen type and time in force, in the order they are asked for."""
        own = fields_of(str(self["type"].value()), str(self["time_in_force"].value()))
        wrong = [name for name in CONDITIONAL_FIELDS if self.is_bound and name in self.errors and name not in own]
        for name in own:
            self.fields[name].required = name != "post_only"  # to be seen: what is missing is judged by the parser
        return [self[name] for name in (*own, *wrong)]

    @property
    def request(self) -> OrderRequest:
        """Return the parsed request of a valid ticket."""
        parsed: OrderRequest = self.cleaned_data["request"]
        return parsed


class AmendForm(forms.Form):
    """A change of an order as a person types it; a field left as it is changes nothing."""

    quantity = forms.CharField(max_length=60, required=False, widget=forms.TextInput(DECIMAL))
    price = forms.CharField(max_length=60, required=False, label="Limit price", widget=forms.TextInput(DECIMAL))
    trigger_price = forms.CharField(max_length=60, required=False, widget=forms.TextInput(DECIMAL))
    expires_at = forms.CharField(
        max_length=40,
        required=False,
        label="Expires at, UTC",
        widget=forms.DateTimeInput({"type": "datetime-local", "step": "1"}),
    )

    def __init__(self, order: Order, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name in AMENDED:
            value = getattr(order, name)
            if value is None or (name == "trigger_price" and order.trigger_state == TRIGGERED):
                del self.fields[name]
            else:
                self.fields[name].required = True
                self.initial[name] = f"{value:%Y-%m-%dT%H:%M:%S}" if name == "expires_at" else decimals.write(value)

    def amendment(self) -> requests.Amendment:
        """Parse what was typed. Raises requests.Invalid."""
        kept = [name for name in self.fields if self.data.get(name) != self.initial[name]]
        return requests.parse_amendment(_typed(self.data, kept)) if kept else requests.Amendment()


def sentence(problem: Problem) -> str:
    """Write a refusal as it stands beside its field, with the nearest valid value."""
    nearest = f" Nearest valid: {problem.nearest_valid}." if problem.nearest_valid else ""
    return f"{problem.message[0].upper()}{problem.message[1:]}.{nearest}"


def fields_of(kind: str, time_in_force: str) -> list[str]:
    """Return the names of the fields an order of a type has besides those of every order."""
    found = ["price"] if kind in requests.PRICED else []
    found += ["trigger_price"] if kind in requests.TRIGGERED else []
    found += ["trailing_offset"] if kind in requests.TRAILING else []
    if kind == "market":
        return found
    found += ["time_in_force"]
    found += ["expires_at"] if time_in_force == "gtd" else []
    return found + (["post_only"] if kind == "limit" and time_in_force in ("gtc", "gtd") else [])


def _typed(data: Mapping[str, Any], names: Iterable[str]) -> dict[str, object]:
    """Return what was typed into fields; the browser's times have no offset: here they are UTC."""
    typed: dict[str, object] = {name: str(data.get(name, "")).strip() for name in names if data.get(name)}
    if "expires_at" in typed:
        text = str(typed["expires_at"])
        typed["expires_at"] = text if text.endswith("Z") or "+" in text else f"{text}+00:00"
    return typed
