"""A limit as a form."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms

from project.lib import decimals
from risk.models import Limit, Reaction
from venues.models import Venue


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


class ReactionForm(forms.Form):
    """What shall happen when a venue does badly, and how it is let go."""

    venue = forms.ModelChoiceField(
        Venue.objects.order_by("code"), required=False, empty_label="every venue", to_field_name="code"
    )
    trigger = forms.ChoiceField(label="When", choices=Reaction.Trigger.choices)
    threshold = forms.IntegerField(
        required=False, label="Points", help_text="1 to 100, for a score only",
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}),
    )  # fmt: skip
    action = forms.ChoiceField(label="Then", choices=Reaction.Action.choices)
    release = forms.ChoiceField(label="Let go", choices=Reaction.Release.choices)
    calm_seconds = forms.IntegerField(
        label="Calm for", initial=300, widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"})
    )
    reason = forms.CharField(max_length=300, widget=forms.TextInput({"autocomplete": "off"}))

    def clean_venue(self) -> str:
        """Return the venue's code, or nothing."""
        venue: Venue | None = self.cleaned_data["venue"]
        return venue.code if venue else ""
