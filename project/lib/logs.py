"""Log lines as JSON, with secrets taken out before they are written."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

_NAMES = r"signature|api[-_]?key|apikey|secret|passphrase|password|private[-_]?key|access[-_](?:key|sign)|api-sign|authorization|token"
_SECRET = re.compile(
    rf"""((?:{_NAMES})\\?["']?\s*[=:]\s*)            # the name, quoted or not
    (?:"(?:[^"\\]|\\.)*"                           # a quoted value to its closing quote: secrets are opaque, blanks and all
    |'(?:[^'\\]|\\.)*'
    |\\"(?:[^"\\]|\\[^"])*\\"                      # the same inside a string
    |["']?(?:(?:token|bearer|basic)\s+)?[^\s"'&,}}]+)  # a bare value, after its scheme where it is a header""",
    re.IGNORECASE | re.VERBOSE,
)
_IN_URL = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")


def redact(text: str) -> str:
    """Replace the values of everything that looks like a key, signature, passphrase, password or token."""
    return _IN_URL.sub(r"\1[redacted]", _SECRET.sub(r"\1[redacted]", text))


class SecretFilter(logging.Filter):
    """Redact every record on its way out, exception text included."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):  # a wrong format string costs its arguments, not its caller
            text = str(record.msg)
        record.msg, record.args = redact(text), None
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object per line: at, level, role, logger, message, and an exception where there was one."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line)
