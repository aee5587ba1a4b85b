"""Pages of statements: the list, the upload with its preview, one statement, the mappings of a venue."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404

from project.lib import access, pages
from reconciliation import statement_mapping as mappings
from reconciliation import statement_presets as presets
from reconciliation import statement_versions, statements
from reconciliation.models import Break, Statement, StatementFinding, StatementMapping
from reconciliation.statement_forms import NewMapping, Upload, initial
from reconciliation.statement_mapping import FIELDS, Layout
from venues.models import Account, Venue

URL = "/statements/"
CHIPS = {"account": "account"}
PREVIEW_BYTES_MAX = 512 * 1024
FINDINGS_SHOWN_MAX = PROBLEMS_SHOWN_MAX = 200
SNIFFED = ",;\t|"
DIFFERENCE_HEAD = ("line", "kind", "subject", "state", "ours", "statement", "delta", "break")
PROBLEM_HEAD = ("line", "column", "value", "what is wrong", "what to do")


@pages.page()
def index(request: HttpRequest) -> HttpResponse:
    account = request.GET.get("account", "")
    found = Statement.objects.select_related("account__venue", "mapping")
    shown = pages.newest_first(request, found.filter(account_id=account) if account else found, "imported_at", 50)
    context = {
        "slice": shown, "rows": [(row, statements.standing(row)) for row in shown.rows],
        "chips": pages.chips(request, CHIPS), "is_filtered": bool(account), "accounts": Account.objects.order_by("code"),
    }  # fmt: skip
    return pages.render(request, "statements/list.html", context, {"statements": "statements/_list.html"})


@pages.page(writes="statements")
def upload(request: HttpRequest) -> HttpResponse:
    chosen = {"account": request.GET.get("account"), "mapping": request.GET.get("mapping")}
    form = Upload(
        request.POST or None, request.FILES or None, initial={name: value for name, value in chosen.items() if value}
    )
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        mapping = given["mapping"] or statement_versions.of(given["account"].venue_id).first()
        if mapping is None:
            form.add_error("mapping", f"Venue {given['account'].venue_id} has no mapping yet: write one first.")
        else:
            options = {name: given[name] for name in ("window_from", "window_to", "covers", "although_nothing_matches")}
            try:
                row = statements.take_in(
                    given["account"],
                    mapping,
                    given["file"].file,
                    given["file"].name,
                    access.caller(request).actor,
                    **options,
                )
            except statements.AlreadyImported as refusal:
                return pages.refused(request, f"{refusal}.", f"{URL}{refusal.earlier.pk}/")
            except statements.Refused as refusal:
                form.add_error(None, f"Nothing was taken in: {refusal}.")
            else:
                return _told(request, row)
    context = {"form": form, "venues_without": _venues_without_mapping()}
    return pages.render(request, "statements/new.html", context, status=422 if form.errors else 200)


def _told(request: HttpRequest, row: Statement) -> HttpResponse:
    url = f"{URL}{row.pk}/"
    if row.status == Statement.Status.REFUSED:
        count = row.summary.get("problems", 0)
        text = f"Nothing was taken in: {count:,} problem{'' if count == 1 else 's'} in {row.filename}. Each is listed below with what to do."
        return pages.done(request, text, url, messages.ERROR)
    different = row.summary.get("different", 0)
    if not different:
        return pages.done(
            request, f"Compared: {row.summary.get('agreed', 0):,} of {row.lines:,} lines agree with our fills.", url
        )
    return pages.done(
        request, f"Compared: {different:,} differ. Each is a break below; nothing was booked.", url, messages.WARNING
    )


@pages.command("statements")
def preview(request: HttpRequest) -> HttpResponse:
    """Show how the beginning of a file is read; nothing is stored."""
    account = Account.objects.select_related("venue").filter(pk=request.POST.get("account", "")).first()
    file, number = request.FILES.get("file"), request.POST.get("mapping", "")
    if account is None or file is None:
        return HttpResponse(pages.fragment(request, "statements/_preview.html", {"is_waiting": True}))
    head = file.read(PREVIEW_BYTES_MAX)
    is_partial = request.POST.get("is_partial") == "1" or len(head) == PREVIEW_BYTES_MAX
    known = list(statement_versions.of(account.venue_id)[:50])
    mapping = next((row for row in known if str(row.pk) == number), None) if number else (known[0] if known else None)
    rows = _first_rows(head)
    headers = presets.header_row(rows, account.venue.exchange)
    context: dict[str, Any] = {
        "account": account, "mapping": mapping, "is_foreign": bool(number) and mapping is None, "headers": headers, "is_partial": is_partial,
        "preset": presets.fitting(headers, account.venue.exchange),
        "others": [row for row in known if row != mapping and mappings.fits(_layout(row), headers)][:3],
        "proposal": urlencode({f"column_{name}": header for name, header in mappings.suggest(headers).items()}),
    }  # fmt: skip
    if mapping is not None:
        reader, lines = statements.preview(_layout(mapping), account, io.BytesIO(head), is_partial=is_partial)
        context |= {
            "reader": reader,
            "lines": lines,
            "problems": reader.problems[:20],
            "other_rows": dict(reader.other_rows),
        }
    return HttpResponse(pages.fragment(request, "statements/_preview.html", context))


@pages.page()
def statement(request: HttpRequest, statement_id: uuid.UUID) -> HttpResponseBase:
    row = get_object_or_404(Statement.objects.select_related("account__venue", "mapping"), pk=statement_id)
    found = row.findings.select_related("discrepancy").order_by("agrees", "line", "id")
    if request.GET.get("format") == "csv":
        if row.status == Statement.Status.REFUSED:
            return pages.csv_answer(
                "problems",
                PROBLEM_HEAD,
                ([each[n] for n in ("line", "column", "value", "what", "remedy")] for each in row.problems),
            )
        return pages.csv_answer("differences", DIFFERENCE_HEAD, _exported(found.iterator()))
    findings = list(found[:FINDINGS_SHOWN_MAX])
    context = {
        "statement": row, "standing": statements.standing(row), "told": row.summary, "findings": findings,
        "findings_count": found.count() if len(findings) == FINDINGS_SHOWN_MAX else len(findings),
        "unresolved": found.filter(agrees=False).exclude(discrepancy__status=Break.Status.RESOLVED).count(),
        "problems": row.problems[:PROBLEMS_SHOWN_MAX], "covers": statements.COVERS.get(row.summary.get("covers", ""), ""),
        "columns": row.mapping.columns.items(),
    }  # fmt: skip
    return pages.render(request, "statements/detail.html", context, {"statement": "statements/_detail.html"})


@pages.page()
def all_mappings(request: HttpRequest) -> HttpResponse:
    found = StatementMapping.objects.select_related("venue")
    context = {
        "slice": pages.newest_first(request, found, "created_at", 50), "venues": list(Venue.objects.order_by("code")),
    }  # fmt: skip
    return pages.render(request, "statements/mappings.html", context)


@pages.page(writes="statements")
def mapping(request: HttpRequest, code: str) -> HttpResponse:
    venue = get_object_or_404(Venue, pk=code)
    form = NewMapping(request.POST or None, initial=_start(request, venue))
    if request.method == "POST" and form.is_valid():
        try:
            row = statement_versions.write(
                venue, *form.definition(), form.cleaned_data["label"], access.caller(request).actor
            )
        except mappings.WrongMapping as wrong:
            form.refuse(wrong)
        else:
            text = f"Version {row.version} of the mappings of {venue.code} is written. It never changes; a newer one is a new version."
            return pages.done(request, text, f"{URL}new/?mapping={row.pk}")
    context = {
        "venue": venue, "form": form, "versions": list(statement_versions.of(venue.pk)[:50]),
        "presets": presets.of_exchange(venue.exchange), "used": bool(request.GET),
    }  # fmt: skip
    return pages.render(request, "statements/mapping.html", context, status=422 if form.errors else 200)


def _start(request: HttpRequest, venue: Venue) -> dict[str, Any]:
    if preset := presets.BY_CODE.get(request.GET.get("preset", "")):
        return initial(preset.layout.columns, preset.layout, preset.label)
    version = request.GET.get("from", "")
    if version.isascii() and version.isdigit() and len(version) < 9:
        row = statement_versions.of(venue.pk).filter(version=int(version)).first()
        if row is not None:
            return initial(row.columns, _layout(row), row.label)
    given = {name: request.GET[f"column_{name}"][:100] for name in FIELDS if request.GET.get(f"column_{name}")}
    return initial(given, Layout(columns={}), "")


def _layout(row: StatementMapping) -> Layout:
    try:
        return mappings.layout(row.columns, row.options)
    except mappings.WrongMapping as wrong:  # written by an older release under other rules
        raise BadRequest(f"version {row.version} of the mappings of {row.venue_id} cannot be used: {wrong}") from None


def _first_rows(head: bytes) -> list[list[str]]:
    encoding = mappings.bom_of(head) or ("utf-16-le" if head[1:2] == b"\0" else "utf-8")
    lines = head.decode(encoding, "replace").replace("\ufeff", "").splitlines()[:20]
    sign = max(SNIFFED, key=lambda each: max((line.count(each) for line in lines), default=0))
    return [[cell.strip().strip('"') for cell in line.split(sign)] for line in lines]


def _exported(found: Iterable[StatementFinding]) -> Iterator[list[object]]:
    for each in found:
        row = each.discrepancy
        yield [
            each.line,
            "agrees with our books" if each.agrees else row.kind,
            row.subject,
            row.status,
            row.ours,
            row.theirs,
            row.delta,
            row.pk,
        ]


def _venues_without_mapping() -> list[str]:
    return list(
        Venue.objects.filter(accounts__isnull=False, statement_mappings=None)
        .distinct()
        .order_by("code")
        .values_list("code", flat=True)
    )
