"""A version of a rule as a form."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from project.lib import decimals
from reconciliation import rules
from reconciliation.models import Break, Rule

_NUMBER = {"inputmode": "decimal", "autocomplete": "off"}


class RuleForm(forms.Form):
    """Every bound that is given must hold; a bound left empty is no bound."""

    code = forms.SlugField(max_length=64, label="Name", help_text="all versions share it, such as dust")
    action = forms.ChoiceField(
        label="Then", choices=[(value, f"{value}: {label}") for value, label in Rule.Action.choices]
    )
    kinds = forms.MultipleChoiceField(
        required=False, choices=[(value, value.replace("_", " ")) for value in Break.Kind.values if value in rules.COMPARED],
        help_text="none chosen: every kind that can be tolerated", widget=forms.SelectMultiple({"size": 6}),
    )  # fmt: skip
    scope = forms.ChoiceField(help_text="the narrowest rule judges: account, then venue, then global")
    asset = forms.CharField(max_length=32, required=False, help_text="empty: every asset")
    absolute = forms.CharField(max_length=60, required=False, label="At most", widget=forms.TextInput(_NUMBER))
    basis_points = forms.CharField(
        max_length=60, required=False, label="Basis points of our total", widget=forms.TextInput(_NUMBER)
    )
    usd = forms.CharField(max_length=60, required=False, label="Worth at most", widget=forms.TextInput(_NUMBER))
    grace_seconds = forms.IntegerField(
        min_value=0, max_value=rules.GRACE_SECONDS_MAX, required=False, label="Time of grace",
        help_text="stays suspected for so long", widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}),
    )  # fmt: skip
    reason = forms.CharField(max_length=300, widget=forms.TextInput({"autocomplete": "off"}))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["scope"] = forms.ChoiceField(
            choices=[(scope, scope) for scope in rules.scopes()], help_text=self.fields["scope"].help_text
        )

    def clean(self) -> dict[str, Any]:
        """Parse the bounds exactly; what is empty is none."""
        values = dict(super().clean() or {})
        for name, places in (("absolute", 18), ("basis_points", 4), ("usd", 2)):
            values[name] = self._bound(name, places)
        values["grace_seconds"] = values.get("grace_seconds") or 0
        values["kinds"] = sorted(values.get("kinds") or [])
        return values

    def _bound(self, name: str, places: int) -> Decimal | None:
        text = str(self.cleaned_data.get(name) or "").strip()
        if not text:
            return None
        try:
            number = decimals.parse(text)
        except ValueError as error:
            self.add_error(name, f"It {error}.")
            return None
        if (
            number < 0
            or not decimals.is_multiple(number, Decimal(1).scaleb(-places))
            or (places == 4 and number >= 10**8)
        ):
            self.add_error(name, f"It must be 0 or more, with at most {places} decimals.")
            return None
        return number
