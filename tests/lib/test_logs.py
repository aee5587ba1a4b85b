"""Nothing that opens a door is written to a log."""

from __future__ import annotations

import json
import logging

import pytest

from project.lib import logs

HIDDEN = "s3cr3t-Value"


@pytest.mark.parametrize(
    "text",
    [
        f"apiKey={HIDDEN}&x=1", f'{{"apiKey": "{HIDDEN}"}}', f"{{'secret': '{HIDDEN}'}}", f"api_secret={HIDDEN}", f"signature={HIDDEN}",
        f"X-MBX-APIKEY: {HIDDEN}", f"API-Sign: {HIDDEN}", f"Authorization: Token {HIDDEN}", f"authorization: Bearer {HIDDEN}",
        f'{{"Authorization": "Token {HIDDEN}"}}', f'"passphrase":"two words {HIDDEN}"', f'"secret": "a \\" quote, {HIDDEN}"',
        f"token={HIDDEN}", f"postgres://gapless:{HIDDEN}@127.0.0.1/gapless", f"password={HIDDEN}", f"OK-ACCESS-SIGN: {HIDDEN}",
        f'{{\\"apiKey\\": \\"{HIDDEN}\\"}}', f"https://venue.example/order?timestamp=1&signature={HIDDEN}",
    ],
)  # fmt: skip
def test_a_secret_is_taken_out(text: str) -> None:
    shown = logs.redact(text)
    assert HIDDEN not in shown and "[redacted]" in shown


@pytest.mark.parametrize(
    "text",
    [
        "order 5 is open",
        "http://127.0.0.1:8000/orders/1",
        "a key was added",
        "price=60000 quantity=1",
        "3 tokens issued",
    ],
)
def test_the_rest_is_left_as_it_is(text: str) -> None:
    assert logs.redact(text) == text


def line_of(*arguments: object, error: BaseException | None = None) -> dict[str, str]:
    record = logging.LogRecord(
        "orders",
        logging.WARNING,
        __file__,
        1,
        arguments[0],
        arguments[1:],
        (type(error), error, None) if error else None,
    )
    assert logs.SecretFilter().filter(record)
    line: dict[str, str] = json.loads(logs.JsonFormatter("executor").format(record))
    return line


def test_a_line_names_role_level_and_message() -> None:
    line = line_of("account %s said signature=%s", "main", HIDDEN)
    assert line["message"] == "account main said signature=[redacted]"
    assert (line["role"], line["level"], line["logger"]) == ("executor", "warning", "orders")


def test_an_exceptions_text_is_redacted() -> None:
    line = line_of("failed", error=RuntimeError(f"GET /?signature={HIDDEN}"))
    assert HIDDEN not in json.dumps(line) and "RuntimeError" in line["exception"]


def test_a_wrong_format_string_does_not_reach_the_caller() -> None:
    assert line_of("%d orders", "many")["message"] == "%d orders"
