"""The venue's truth: an append-only file of JSON lines, flushed to disk in batches off the event loop."""

import asyncio
import json
import os
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from venues.paper.messages import encode

Record = dict[str, Any]


class Journal:
    """Append records; `n` numbers them from 1 without gaps. Nothing may be answered before `durable()`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._offsets = array("Q")
        self._end = self._recover(path)
        self._durable_count = len(self._offsets)
        self._pending: list[bytes] = []
        self._callbacks: list[Callable[[], None]] = []
        self._callbacks_in_flight: list[Callable[[], None]] = []
        self._flush: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._closed = False

    def __len__(self) -> int:
        return len(self._offsets)

    def append(self, record: Record) -> int:
        """Add a record and return its number; it becomes durable soon after. Raises RuntimeError once closed."""
        if self._closed:
            raise RuntimeError("the journal is closed")
        number = len(self._offsets) + 1
        line = encode({"n": number, **record}).encode() + b"\n"
        self._offsets.append(self._end)
        self._end += len(line)
        self._pending.append(line)
        if self._flush is None:
            self._flush = asyncio.get_running_loop().create_task(self._flush_pending())
        return number

    def after_durable(self, callback: Callable[[], None]) -> None:
        """Call back, in order, once everything appended so far is on disk; at once when it already is."""
        if self._pending:
            self._callbacks.append(callback)
        elif self._flush is not None:
            self._callbacks_in_flight.append(callback)
        else:
            callback()

    async def durable(self) -> None:
        """Wait until everything appended so far is on disk."""
        if self._flush is None:
            return
        done = asyncio.get_running_loop().create_future()
        self.after_durable(lambda: None if done.done() else done.set_result(None))
        await done

    def read(self, after: int, limit: int, kind: str | None = None) -> tuple[list[Record], int | None]:
        """Return durable records numbered above `after`, and the number to go on from, None at the end."""
        results: list[Record] = []
        number = max(after, 0)
        while number < self._durable_count and len(results) < limit:
            record = self._record(number)
            number += 1
            if kind is None or record["kind"] == kind:
                results.append(record)
        return results, number if number < self._durable_count else None

    def records(self) -> Iterator[Record]:
        """Yield every durable record, oldest first."""
        for index in range(self._durable_count):
            yield self._record(index)

    async def close(self) -> None:
        """Flush and close the file."""
        self._closed = True
        await self.durable()
        self._thread.shutdown(wait=True)
        os.close(self._file)

    async def _flush_pending(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            lines, self._pending = self._pending, []
            self._callbacks_in_flight, self._callbacks = self._callbacks, []
            await loop.run_in_executor(self._thread, self._write, b"".join(lines))
            self._durable_count += len(lines)
            callbacks, self._callbacks_in_flight = self._callbacks_in_flight, []
            for callback in callbacks:
                callback()
        self._flush = None

    def _write(self, content: bytes) -> None:
        while content:
            content = content[os.write(self._file, content) :]
        os.fdatasync(self._file)

    def _record(self, index: int) -> Record:
        start = self._offsets[index]
        end = self._offsets[index + 1] if index + 1 < len(self._offsets) else self._end
        record: Record = json.loads(os.pread(self._file, end - start, start))
        return record

    def _recover(self, path: Path) -> int:
        """Find the lines of an earlier run; a line that a crash cut short is dropped."""
        end = 0
        with path.open("rb") as content:
            for line in content:
                if not line.endswith(b"\n"):
                    break
                self._offsets.append(end)
                end += len(line)
        os.ftruncate(self._file, end)
        return end
