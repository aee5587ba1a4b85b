"""What every page shares: who may see it, the feed position it shows, fragments, cursors, answers to forms."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import render as render_template
from django.template.loader import render_to_string
from django.utils.dateparse import parse_datetime
from django.utils.http import url_has_allowed_host_and_scheme

from project.lib import access, decimals, feed, ids

View = Callable[..., HttpResponseBase]
PAGE_ROWS = 100
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
NOT_FILTERS = frozenset({"fragment", "before", "after", "format"})


@dataclass(frozen=True)
class Right:
    """Whether somebody may change a kind of thing, and who may when they may not."""

    may: bool
    reason: str


class SeeOther(HttpResponseRedirect):
    """A redirect after a command: the browser asks for the next page with GET."""

    status_code = 303


def page(writes: str | None = None) -> Callable[[View], View]:
    """Guard a page: signed in, with a role; POST only with the right to write the resource, else refused."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return _guard(view, request, writes, ("GET", "HEAD", "POST") if writes else ("GET", "HEAD"), args, kwargs)

        return guarded

    return decorate


def command(writes: str) -> Callable[[View], View]:
    """Guard an action: POST only, by somebody with the right to write the resource."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return _guard(view, request, writes, ("POST",), args, kwargs)

        return guarded

    return decorate


def render(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    fragments: Mapping[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render a page, or with ?fragment=<name> only the template of that name: the same file the page includes."""
    values = {**context, "can": rights(request), "filters": filters(request), "live_url": live_url(request)}
    name = request.GET.get("fragment", "")
    if request.method == "GET" and fragments and name in fragments:
        return HttpResponse(fragment(request, fragments[name], values))
    return render_template(request, template, values, status=status)


def fragment(request: HttpRequest, template: str, context: Mapping[str, Any]) -> str:
    """Render one fragment without the page's frame (and without the queries the frame costs)."""
    values = {"can": rights(request), **context}
    return render_to_string(
        template, {**values, "request": request, "user": request.user, "csrf_token": get_token(request)}
    )


def rights(request: HttpRequest) -> dict[str, Right]:
    """Return for each resource whether the person may change it, with the sentence shown beside a closed button."""
    caller = access.caller(request)
    return {
        name: Right(caller.may(name, "POST"), f"Needs the role {' or '.join(sorted(roles | {'admin'}))}")
        for name, roles in {**access.WRITERS, "people": frozenset[str]()}.items()
    }


def filters(request: HttpRequest, **changes: str | None) -> str:
    """Return the querystring of the filters in force, with changes; None removes a filter."""
    values = {name: value for name, value in request.GET.items() if name not in NOT_FILTERS and value}
    for name, value in changes.items():
        values.pop(name, None)
        if value:
            values[name] = value
    return urlencode(values)


def live_url(request: HttpRequest) -> str:
    """Return the address of this page with its filters and cursor; a live region adds its fragment's name."""
    values = {name: value for name, value in request.GET.items() if name != "fragment" and value}
    return f"{request.path}?{urlencode(values)}{'&' if values else ''}fragment="


def chips(request: HttpRequest, labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the filters in force as removable chips."""
    return [
        {"label": label, "value": request.GET[name], "url": f"?{filters(request, **{name: None})}"}
        for name, label in labels.items()
        if request.GET.get(name)
    ]


@dataclass(frozen=True)
class Slice:
    """One page of a newest-first list, and the addresses of its neighbours."""

    rows: list[Any]
    previous_url: str
    next_url: str

    @property
    def summary(self) -> str:
        """Say how many rows the page shows."""
        more = " · more on the next page" if self.next_url else ""
        return f"{len(self.rows)} row{'' if len(self.rows) == 1 else 's'} on this page{more}"


def newest_first(request: HttpRequest, queryset: QuerySet[Any], time: str, rows_max: int = PAGE_ROWS) -> Slice:
    """Cut one page out of a queryset, newest first by (time, id); the cursor is in the querystring."""
    before, after = _cursor(request.GET.get("before", "")), _cursor(request.GET.get("after", ""))
    if after:
        at, key = after
        newer = queryset.filter(Q(**{f"{time}__gt": at}) | Q(**{time: at, "pk__lt": key})).order_by(time, "-pk")
        found = list(newer[: rows_max + 1])
        has_newer, rows = len(found) > rows_max, found[:rows_max][::-1]
        has_older = True
    else:
        if before:
            at, key = before
            queryset = queryset.filter(Q(**{f"{time}__lt": at}) | Q(**{time: at, "pk__gt": key}))
        found = list(queryset.order_by(f"-{time}", "pk")[: rows_max + 1])
        has_older, rows, has_newer = len(found) > rows_max, found[:rows_max], before is not None
    base = filters(request)
    joint = "&" if base else ""

    def url(name: str, row: Any) -> str:
        return f"?{base}{joint}{urlencode({name: f'{getattr(row, time).isoformat()}~{row.pk}'})}"

    return Slice(
        rows,
        url("after", rows[0]) if rows and has_newer else (f"?{base}" if has_newer else ""),
        url("before", rows[-1]) if rows and has_older else "",
    )


def done(request: HttpRequest, text: str, url: str, level: int = messages.SUCCESS) -> HttpResponse:
    """Answer a command: leave a note and send the browser to where the result shows."""
    messages.add_message(request, level, text)
    wanted = request.POST.get("next", "")
    is_ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return SeeOther(wanted if is_ours else url)


def refused(request: HttpRequest, text: str, url: str) -> HttpResponse:
    """Answer a command that was not done: why, and that nothing changed."""
    return done(request, f"Not done, nothing was changed: {text}", url, messages.ERROR)


def csv_answer(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """Stream a table as CSV; text that a spreadsheet would run as a formula is disarmed."""
    return StreamingHttpResponse(
        _csv_lines(head, rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def harmless(value: object) -> str:
    """Return a cell's text with a leading quote where a spreadsheet would take it for a formula; numbers stay numbers."""
    text = "" if value is None else decimals.write(value) or "" if isinstance(value, Decimal) else str(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} and not _NUMBER.fullmatch(text) else text


class _Line:
    def write(self, text: str) -> str:
        return text


def _csv_lines(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield writer.writerow(head)
    for row in rows:
        yield writer.writerow([harmless(value) for value in row])


def _cursor(text: str) -> tuple[datetime, str] | None:
    at_text, _, key = text.partition("~")
    try:
        at = parse_datetime(at_text)
    except ValueError:
        return None
    return (at, key) if at is not None and at.tzinfo is not None and (ids.is_uuid(key) or key.isdigit()) else None


def _guard(
    view: View, request: HttpRequest, writes: str | None, methods: tuple[str, ...], args: Any, kwargs: Any
) -> HttpResponseBase:
    if not request.user.is_authenticated:
        if request.headers.get("X-Live"):
            return HttpResponse(status=401)
        return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")
    if request.method not in methods:
        return HttpResponseNotAllowed(methods)
    caller = access.caller(request)
    if not caller.may("pages", "GET"):
        raise PermissionDenied(
            "You are signed in but have no role yet. An administrator gives roles under Settings, People."
        )
    if writes and request.method == "POST" and not caller.may(writes, "POST"):
        raise PermissionDenied(rights(request)[writes].reason)
    request.feed_seq = seq = feed.head()  # type: ignore[attr-defined]  # read before the rows: what changes later pokes the page
    response = view(request, *args, **kwargs)
    response.headers["X-Seq"] = str(seq)
    return response
