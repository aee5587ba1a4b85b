"""The order ticket and the decisions on a dead letter, as forms."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any, Protocol

from django import forms

from orders import requests
from orders.requests import OrderRequest
from venues.models import Account

SENT = ("client_order_id", "account", "symbol", "side", "type", "quantity", "price", "time_in_force")


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
    type = forms.ChoiceField(choices=[("limit", "Limit"), ("market", "Market")], initial="limit")
    quantity = forms.CharField(max_length=60, widget=forms.TextInput({"inputmode": "decimal", "autocomplete": "off"}))
    price = forms.CharField(
        max_length=60,
        required=False,
        label="Limit price",
        widget=forms.TextInput({"inputmode": "decimal", "autocomplete": "off"}),
    )
    time_in_force = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Default: limit gtc, market ioc"),
            ("gtc", "Good till cancelled"),
            ("ioc", "Immediate or cancel"),
            ("fok", "Fill or kill"),
        ],
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
        payload: dict[str, object] = {
            name: str(self.data.get(name, "")).strip() for name in SENT if self.data.get(name)
        }
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
            nearest = f" Nearest valid: {problem.nearest_valid}." if problem.nearest_valid else ""
            name = problem.field if problem.field in self.fields else None
            self.add_error(
                name,
                f"{problem.field} {problem.message}.{nearest}"
                if name is None
                else f"{problem.message[0].upper()}{problem.message[1:]}.{nearest}",
            )

    @property
    def request(self) -> OrderRequest:
        """Return the parsed request of a valid ticket."""
        parsed: OrderRequest = self.cleaned_data["request"]
        return parsed
