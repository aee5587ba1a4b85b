"""Log lines as JSON, with secrets taken out before they are written."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

_SECRET = re.compile(
    r"((?:signature|api[-_]?key|apikey|secret|passphrase|x-mbx-apikey|api-sign|authorization|token)[\"']?\s*[=:]\s*[\"']?)([^\s\"'&,}]+)",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Replace the values of everything that looks like a key, signature, passphrase or token."""
    return _SECRET.sub(r"\1[redacted]", text)


class SecretFilter(logging.Filter):
    """Redact every record on its way out, exception text included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
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
