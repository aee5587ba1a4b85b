"""A statement that is larger than any other body, handed to a real web process."""

from __future__ import annotations

import json
import urllib.request
from urllib.error import HTTPError

import pytest
from django.conf import settings

from reconciliation.models import Statement
from tests import factories
from tests.console import running
from tests.reconciliation import builders, statement_files
from tests.reconciliation.statement_files import row, text

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]
PORT = 9069


def post(address: str, key: str, path: str, content: bytes) -> tuple[int, dict[str, object]]:
    """Send a file as a form; return status and answer."""
    head = b'--b\r\nContent-Disposition: form-data; name="account"\r\n\r\nmain\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="june.csv"\r\n\r\n'
    asked = urllib.request.Request(
        f"{address}{path}", head + content + b"\r\n--b--\r\n",
        {"Authorization": f"Token {key}", "Content-Type": "multipart/form-data; boundary=b"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refused:
        return refused.code, json.load(refused)


def test_a_large_statement_is_taken_in_and_nothing_else_may_be_large() -> None:
    owner = statement_files.account()
    statement_files.mapping(owner)
    fills = statement_files.trades(builders.order(owner), 3)
    _, key = factories.make_token("operator")
    # Rows of ours between thousands that happened before the account was opened.
    before = {"time": f"{builders.ago(90 * 86_400):%Y-%m-%d %H:%M:%S}"}
    rows = [*map(row, fills), *(row(fills[0], trade=f"old-{number}", **before) for number in range(30_000))]
    content = text(rows)
    assert len(content) > 2 * settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    with running.web(PORT) as address:
        status, told = post(address, key, "/api/v1/statements/", content)
        assert (status, told["lines"], told["standing"]) == (201, 30_003, "agrees"), told
        assert post(address, key, "/api/v1/statements/", content)[0] == 409
        assert post(address, key, "/api/v1/statement-mappings/", content)[0] == 413
    assert Statement.objects.get().summary["before_opening"] == 30_000
