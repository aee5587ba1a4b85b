"""Venue, account and API key as forms; the key is write-only."""

from __future__ import annotations

from typing import Any

from django import forms

from venues.accounts import Invalid
from venues.exchanges import EXCHANGES
from venues.models import ErrorDecision, Operation, Venue

_PLAIN = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
_SECRET = {"autocomplete": "new-password", "spellcheck": "false"}


class Refusable(forms.Form):
    """A form that can show a stage's refusal beside the field it names."""

    def refuse(self, refusal: Invalid) -> None:
        """Show the refusal with the nearest valid value."""
        nearest = f" Nearest valid: {refusal.nearest}." if refusal.nearest else ""
        self.add_error(refusal.field if refusal.field in self.fields else None, f"{refusal.message}{nearest}")


class NewVenue(Refusable):
    """An exchange, and where its servers are when not the real ones."""

    code = forms.CharField(
        max_length=64, help_text="a short name of your own: a-z, 0-9, -", widget=forms.TextInput(_PLAIN)
    )
    exchange = forms.CharField(
        max_length=64,
        help_text=f"one of {len(EXCHANGES)} exchange ids",
        widget=forms.TextInput({**_PLAIN, "list": "exchanges"}),
    )
    rest_url = forms.CharField(
        max_length=500, required=False, label="REST address", widget=forms.TextInput(_PLAIN),
        help_text="empty: the real exchange; else a paper venue or a test server",
    )  # fmt: skip
    ws_url = forms.CharField(
        max_length=500,
        required=False,
        label="Stream address",
        widget=forms.TextInput(_PLAIN),
        help_text="empty: made from the REST address",
    )
    sandbox = forms.BooleanField(required=False, label="The exchange's own test environment")


class NewAccount(Refusable):
    """An account at one of the venues."""

    code = forms.CharField(
        max_length=64, help_text="a short name of your own: a-z, 0-9, -", widget=forms.TextInput(_PLAIN)
    )
    venue = forms.ModelChoiceField(Venue.objects.order_by("code"), empty_label=None, to_field_name="code")
    label = forms.CharField(max_length=120, required=False, widget=forms.TextInput(_PLAIN))


class WindowForm(Refusable):
    """A maintenance that a venue has announced, in UTC."""

    starts_at = forms.DateTimeField(label="From")
    ends_at = forms.DateTimeField(label="To")
    reason = forms.CharField(max_length=300, label="Announced")


class DecisionForm(Refusable):
    """What an answer of a venue proves, for its family of exchanges or for one venue alone."""

    family = forms.CharField(
        max_length=64, label="Exchange family", help_text="the id of its first exchange, such as binance",
        widget=forms.TextInput(_PLAIN),
    )  # fmt: skip
    venue = forms.ModelChoiceField(
        Venue.objects.order_by("code"), required=False, empty_label="every venue of the family", to_field_name="code"
    )
    operation = forms.ChoiceField(label="Answer to", choices=Operation.choices)
    venue_code = forms.CharField(
        max_length=80, required=False, label="Venue's code", widget=forms.TextInput(_PLAIN),
        help_text="a trailing * matches every code that begins so",
    )  # fmt: skip
    fragment = forms.CharField(max_length=120, required=False, label="Message contains", widget=forms.TextInput(_PLAIN))
    ruling = forms.ChoiceField(label="It proves", choices=ErrorDecision.Ruling.choices)
    reason_code = forms.CharField(
        max_length=64, required=False, label="Our reason code", widget=forms.TextInput(_PLAIN),
        help_text="CATEGORY_CONDITION; empty: the usual one",
    )  # fmt: skip
    cause = forms.ChoiceField(
        label="What is at fault", choices=ErrorDecision.Cause.choices, initial=ErrorDecision.Cause.SYSTEM
    )
    is_transient = forms.BooleanField(required=False, label="Trying again can help (not executed only)")
    note = forms.CharField(
        max_length=500, label="What this rests on", help_text="the audit log keeps it", widget=forms.TextInput(_PLAIN)
    )

    def clean_venue(self) -> str:
        """Return the venue's code, or nothing."""
        venue: Venue | None = self.cleaned_data["venue"]
        return venue.code if venue else ""


class NewKey(Refusable):
    """An API key. What is typed is sealed at once and never shown again."""

    api_key = forms.CharField(max_length=4096, label="API key", strip=False, widget=forms.PasswordInput(_SECRET))
    secret = forms.CharField(max_length=4096, strip=False, widget=forms.PasswordInput(_SECRET))
    passphrase = forms.CharField(
        max_length=4096,
        required=False,
        strip=False,
        widget=forms.PasswordInput(_SECRET),
        help_text="only where the exchange has one",
    )
    expires_at = forms.DateTimeField(
        required=False, label="Ends", help_text="UTC, where the exchange lets keys end: 2027-01-31", widget=forms.TextInput(_PLAIN)
    )  # fmt: skip

    def parts(self) -> dict[str, Any]:
        """Return the key as it was typed."""
        return {name: self.cleaned_data[name] for name in ("api_key", "secret", "passphrase", "expires_at")}
