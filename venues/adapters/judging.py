"""What a failed request proves, said in our words; ccxt's own texts are never used: they quote signed URLs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from project.lib import clock
from project.lib.logs import redact
from venues import errors
from venues.adapters import rows, unified
from venues.adapters.transport import UNSENDABLE, HttpRecord
from venues.capabilities import Capabilities
from venues.credentials import Secret
from venues.facts.shapes import Row
from venues.messages import Answer, Evidence

RAW_CHARACTERS_MAX = 4_000
MESSAGE_CHARACTERS_MAX = 200
SECRET_WORDS = ("signature", "api", "secret", "pass", "private", "access", "authorization", "token", "://")
SECRET_CHARACTERS_MAX = 4_096


class Judging:
    """The judging half of an adapter."""

    code_keys: Sequence[str] = ("sCode", "code", "retCode", "errorCode", "error_code", "err_code", "err-code", "label")
    message_keys: Sequence[str] = (
        "sMsg",
        "msg",
        "retMsg",
        "message",
        "error_message",
        "err_msg",
        "err-msg",
        "error",
        "response",
    )

    def __init__(self, capabilities: Capabilities, secret: Secret) -> None:
        self.capabilities = capabilities
        self.decided: Callable[[errors.Action], Iterable[Row]] = _nothing_decided
        self._secret = secret

    def venue_error(self, payload: Any) -> tuple[str, str]:
        """Return the venue's own code and message out of its answer; empty texts where there are none."""
        for layer in unified.error_layers(payload):
            code = next((str(layer[key]) for key in self.code_keys if layer.get(key) not in (None, "")), "")
            message = next((str(layer[key]) for key in self.message_keys if isinstance(layer.get(key), str)), "")
            if code or message:
                return code, message
        return "", ""

    def is_about_time(self, record: HttpRecord | None) -> bool:
        """Say whether the venue refused a request for its time: its clock and ours may differ."""
        code, message = self.venue_error(record.payload) if record is not None else ("", "")
        return code == "-1021" or "eadline elapsed" in message

    def describe(self, record: HttpRecord | None, problem: Exception) -> str:
        """Say shortly and without secrets what went wrong. ccxt's own text is never used: it quotes signed URLs."""
        if isinstance(problem, errors.VenueError):
            return f"{problem.code}: {problem}"
        if record is None:
            return f"no request was made ({type(problem).__name__})"
        if not record.answered:
            return f"{record.path}: {record.fault or 'no answer'}"
        code, message = self.venue_error(record.payload)
        said = " ".join(part for part in (code, message) if part) or type(problem).__name__
        return self.clean(f"{record.path}: HTTP {record.status} {said}")[:MESSAGE_CHARACTERS_MAX]

    def conclude(
        self, action: errors.Action, problem: Exception, record: HttpRecord | None, valid_until: datetime | None
    ) -> Answer:
        """Turn a failed request into an Answer: a proof where there is one, else unknown."""
        classes = class_names(problem)
        if record is None or record.fault == UNSENDABLE:
            verdict = errors.refused_before_sending(classes)
            reason = (
                str(problem) if isinstance(problem, rows.RowError) else "The request could not be built for this venue."
            )
            return Answer(outcome=verdict.outcome, code=verdict.code, message=reason, transient=verdict.transient)
        code, message = self.venue_error(record.payload)
        facts = errors.Facts(
            sent=record.sent, status=record.status if record.answered else None, parsed=record.payload is not None,
            venue_code=code, message=message, classes=classes,
        )  # fmt: skip
        verdict = errors.judge(action, self.capabilities.family, facts, self.decided(action))
        now_ms = int(clock.now().timestamp() * 1000)
        # what our own reader could not make sense of is no answer that a person could classify
        is_unclassified = verdict.basis == "class" and "BaseError" in classes
        return Answer(
            outcome=verdict.outcome,
            code=verdict.code,
            message=self.clean(message)[:MESSAGE_CHARACTERS_MAX] or self.describe(record, problem),
            venue_code=self.clean(code)[:80],
            raw=self.raw([record]),
            transient=verdict.transient,
            valid_until=valid_until if verdict.outcome == "unknown" else None,
            category=verdict.category,
            cause=verdict.cause,
            stop_seconds=errors.stop_seconds(verdict, message, record.retry_after(), now_ms),
            unclassified=classes[0] if is_unclassified else "",
            http_status=record.status,
        )

    def evidence(self, record: HttpRecord, verdict: str) -> Evidence:
        """Return what one request asked and what came of it."""
        code, message = self.venue_error(record.payload) if verdict != "found" else ("", "")
        detail = {
            "http_status": record.status, "fault": record.fault, "venue_code": code,
            "message": self.clean(message)[:MESSAGE_CHARACTERS_MAX], "milliseconds": round(record.seconds * 1000, 1),
        }  # fmt: skip
        return Evidence(
            source=record.path, at=clock.now(), answer=verdict, detail={k: v for k, v in detail.items() if v}
        )

    def raw(self, trace: Sequence[HttpRecord]) -> str:
        """Return the last answer as it may be kept: redacted and cut."""
        # Cut twice: eight megabytes take a second to clean, and a key must not be cut before it is found.
        return (
            self.clean(trace[-1].body[: RAW_CHARACTERS_MAX + SECRET_CHARACTERS_MAX])[:RAW_CHARACTERS_MAX]
            if trace
            else ""
        )

    def clean(self, text: str) -> str:
        """Take our key parts and everything that looks like a secret out of a venue's text."""
        for value in (self._secret.api_key, self._secret.secret, self._secret.passphrase):
            if len(value) > 3:
                text = text.replace(value, "[redacted]")
        lowered = text.lower()
        # The search for secrets costs more than the rest of an order's answer; without one of these words it finds none.
        return rows.storable(redact(text) if any(word in lowered for word in SECRET_WORDS) else text)


def _nothing_decided(action: errors.Action) -> tuple[Row, ...]:
    return ()


def class_names(problem: Exception) -> tuple[str, ...]:
    """Return the names of an error's classes, its own first."""
    return tuple(kind.__name__ for kind in type(problem).__mro__)
