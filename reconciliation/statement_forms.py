"""The upload of a statement and a version of a mapping, as forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from reconciliation import statement_mapping as mappings
from reconciliation import statements
from reconciliation.models import StatementMapping
from reconciliation.statement_mapping import FIELDS, REQUIRED, Layout
from venues.models import Account

MAPPINGS_MAX = 300
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}
_LABELS = {
    "executed_at": "Time", "venue_trade_id": "Trade id", "venue_order_id": "Order id", "fee_asset": "Asset of the fee",
    "kind": "Sort of row", "unit": "Unit of the quantity",
}  # fmt: skip
_THOUSANDS = {"": "none", ",": "comma", ".": "point", " ": "space", "'": "apostrophe"}
_MARKETS = {"": "spot and contracts", "spot": "spot only", "contract": "contracts only"}


class MappingField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Choose a mapping by venue and version."""

    def label_from_instance(self, obj: StatementMapping) -> str:
        """Name it."""
        return f"{obj.venue_id} v{obj.version}{f', {obj.label}' if obj.label else ''}"


class Upload(forms.Form):
    """A file, whose it is, and how it is read."""

    account = forms.ModelChoiceField(queryset=Account.objects.order_by("code"), empty_label="Choose an account")
    mapping = MappingField(
        queryset=StatementMapping.objects.none(), required=False, empty_label="The newest of the account’s venue",
        help_text="how the columns of this export are read",
    )  # fmt: skip
    file = forms.FileField(
        allow_empty_file=True, help_text="CSV, at most 50 MB and 1,000,000 trades",
        widget=forms.ClearableFileInput({"accept": ".csv,.txt,.tsv,text/csv"}),
    )  # fmt: skip
    window_from = forms.DateTimeField(
        required=False, label="Period from", widget=forms.DateTimeInput({"type": "datetime-local", "step": "1"}, "%Y-%m-%dT%H:%M:%S"),
    )  # fmt: skip
    window_to = forms.DateTimeField(
        required=False,
        label="Period to",
        widget=forms.DateTimeInput({"type": "datetime-local", "step": "1"}, "%Y-%m-%dT%H:%M:%S"),
    )
    covers = forms.ChoiceField(label="It lists", choices=list(statements.COVERS.items()))
    although_nothing_matches = forms.BooleanField(
        required=False, label="Compare it although none of its trades is ours"
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field: Any = self.fields["mapping"]
        newest = StatementMapping.objects.order_by("-created_at").values_list("pk", flat=True)[:MAPPINGS_MAX]
        field.queryset = StatementMapping.objects.filter(pk__in=list(newest)).order_by("venue_id", "-version")


class NewMapping(forms.Form):
    """A version of a mapping: our field to their header, and how cells are written."""

    label = forms.CharField(
        max_length=100, required=False, label="Which export", help_text="such as: spot trade history"
    )
    delimiter = forms.ChoiceField(
        choices=[("," if sign == "," else sign, name) for sign, name in mappings.DELIMITERS.items()]
    )
    decimal = forms.ChoiceField(label="Decimal sign", choices=[(".", "point"), (",", "comma")])
    thousands = forms.ChoiceField(label="Between thousands", required=False, choices=list(_THOUSANDS.items()))
    encoding = forms.ChoiceField(
        choices=[(name, name) for name in mappings.ENCODINGS],
        help_text="auto: UTF-8, or what the file’s first bytes say",
    )
    time_format = forms.CharField(
        max_length=100,
        label="Time is written",
        help_text="iso, epoch_s, epoch_ms, epoch_us, or a pattern such as %d/%m/%Y %H:%M:%S",
    )
    zone = forms.CharField(
        max_length=100, label="Time zone", help_text="of times that name none: UTC, Etc/GMT-8, Europe/Berlin"
    )
    time_unit = forms.ChoiceField(label="Time is told to the", choices=[(unit, unit) for unit in mappings.TIME_UNITS])
    time_tolerance_seconds = forms.IntegerField(
        label="Times may be apart by", widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"})
    )
    buy = forms.CharField(max_length=1000, label="Words for buy", help_text="separated by commas; case does not matter")
    sell = forms.CharField(max_length=1000, label="Words for sell")
    fee_sign = forms.ChoiceField(choices=list(mappings.FEE_SIGNS.items()))
    fee_asset = forms.CharField(
        max_length=32,
        required=False,
        label="Asset of fees",
        help_text="where no column tells it: base, quote, settle, received, or an asset",
    )
    kinds = forms.CharField(
        max_length=1000, required=False, label="Sorts that are trades", help_text="other rows are counted, not read"
    )
    market = forms.ChoiceField(required=False, label="The export is of", choices=list(_MARKETS.items()))
    with_asset = forms.BooleanField(required=False, label="Amounts carry their asset, as in 0.5BTC")
    symbols = forms.CharField(
        required=False, max_length=20_000, label="Their symbols that our markets do not know",
        help_text="one per line: XBT/USDT = BTC/USDT", widget=forms.Textarea({"rows": 3, **_PLAIN}),
    )  # fmt: skip

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, meaning in FIELDS.items():
            self.fields[f"column_{name}"] = forms.CharField(
                max_length=100, required=name in REQUIRED, label=_LABELS.get(name, name.replace("_", " ").capitalize()), help_text=meaning,
                widget=forms.TextInput(_PLAIN),
            )  # fmt: skip

    @property
    def column_fields(self) -> list[Any]:
        """Return the bound fields of columns, in the order of our fields."""
        return [self[f"column_{name}"] for name in FIELDS]

    def definition(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return columns and options as they are written."""
        given = self.cleaned_data
        columns = {name: given[f"column_{name}"] for name in FIELDS if given.get(f"column_{name}")}
        options = {name: given[name] for name in Layout(columns={}).options() if name in given}
        for name in ("buy", "sell", "kinds"):
            options[name] = [word.strip() for word in given[name].split(",") if word.strip()]
        pairs = [line.partition("=") for line in given["symbols"].splitlines() if line.strip()]
        return columns, {**options, "symbols": {theirs.strip(): ours.strip() for theirs, _, ours in pairs}}

    def refuse(self, wrong: mappings.WrongMapping) -> None:
        """Show beside its field what is wrong."""
        text = f"Nothing was written: {wrong}."
        name = wrong.field if wrong.field in self.fields else f"column_{wrong.field}"
        self.add_error(name if name in self.fields else None, text)


def initial(columns: Mapping[str, str], layout: Layout, label: str) -> dict[str, Any]:
    """Return what a form for a new version starts with."""
    told = layout.options()
    words = {name: ", ".join(told[name]) for name in ("buy", "sell", "kinds")}
    symbols = "\n".join(f"{theirs} = {ours}" for theirs, ours in layout.symbols.items())
    return {
        **told, **words, "symbols": symbols, "label": label, **{f"column_{name}": header for name, header in columns.items()},
    }  # fmt: skip
