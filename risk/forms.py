"""A limit as a form."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from project.lib import decimals
from risk.models import Limit


class LimitForm(forms.Form):
    """A ceiling for a scope; the same scope and name again counts its version up."""

    scope = forms.ChoiceField()
    name = forms.ChoiceField(label="Limit", choices=Limit.Name.choices)
    value = forms.CharField(max_length=60, widget=forms.TextInput({"inputmode": "decimal", "autocomplete": "off"}))

    def __init__(self, *args: Any, scopes: list[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["scope"] = forms.ChoiceField(choices=[(scope, scope) for scope in scopes])

    def clean_value(self) -> Decimal:
        """Parse the value exactly."""
        try:
            return decimals.parse(self.cleaned_data["value"].strip())
        except ValueError as error:
            raise forms.ValidationError(f"The value {error}.") from None
