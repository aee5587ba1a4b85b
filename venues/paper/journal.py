"""The venue's truth: an append-only file of JSON lines, flushed to disk in batches off the event loop."""

import asyncio
import json
import os
import threading
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from venues.paper.messages import encode_bytes

Record = dict[str, Any]


class Journal(Protocol):
    """What a world needs of its journal. Nothing may be answered before what it says is durable."""

    def __len__(self) -> int:
        """Return how many records there are."""

    def append(self, record: Record) -> int:
        """Add a record and return its number: `n` counts from 1 without gaps."""

    def after_durable(self, callback: Callable[[], object]) -> None:
        """Call back, in order, once everything appended so far is durable; at once when it already is."""

    def read(self, after: int, limit: int, kind: str | None = None) -> tuple[list[Record], int | None]:
        """Return durable records numbered above `after`, and the number to go on from, None at the end."""

    def records(self) -> Iterator[Record]:
        """Yield every durable record, oldest first."""

    async def durable(self) -> None:
        """Wait until everything appended so far is durable."""

    async def close(self) -> None:
        """End it; what was appended is durable then."""


class FileJournal:
    """A journal on disk: what one turn of the event loop appends is written and synced together, in a thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._offsets = array("Q")
        self._end = self._recover(path)
        self._durable_count = len(self._offsets)
        self._pending: list[bytes] = []
        self._callbacks: list[Callable[[], object]] = []
        self._callbacks_in_flight: list[Callable[[], object]] = []
        self._in_flight = 0
        self._is_scheduled = False
        self._work: SimpleQueue[bytes | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._write_all, name=f"journal {path.parent.name}", daemon=True)
        self._thread.start()
        self._closed = False

    def __len__(self) -> int:
        return len(self._offsets)

    def append(self, record: Record) -> int:
        """Add a record and return its number; it becomes durable soon after. Raises RuntimeError once closed."""
        if self._closed:
            raise RuntimeError("the journal is closed")
        number = len(self._offsets) + 1
        line = encode_bytes({"n": number, **record}) + b"\n"
        self._offsets.append(self._end)
        self._end += len(line)
        self._pending.append(line)
        if not self._is_scheduled and not self._in_flight:
            self._loop = asyncio.get_running_loop()
            self._is_scheduled = True
            self._loop.call_soon(self._flush)
        return number

    def after_durable(self, callback: Callable[[], object]) -> None:
        """Call back, in order, once everything appended so far is on disk; at once when it already is."""
        if self._pending:
            self._callbacks.append(callback)
        elif self._in_flight:
            self._callbacks_in_flight.append(callback)
        else:
            callback()

    async def durable(self) -> None:
        """Wait until everything appended so far is on disk."""
        if not self._pending and not self._in_flight:
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
        self._work.put(None)
        await asyncio.to_thread(self._thread.join)
        os.close(self._file)

    def _flush(self) -> None:
        self._is_scheduled = False
        lines, self._pending = self._pending, []
        self._callbacks_in_flight, self._callbacks = self._callbacks, []
        self._in_flight = len(lines)
        self._work.put(b"".join(lines))

    def _flushed(self, failure: OSError | None) -> None:
        if failure is not None:
            raise failure  # nothing is answered any more: a venue that cannot write must not speak
        self._durable_count += self._in_flight
        self._in_flight = 0
        callbacks, self._callbacks_in_flight = self._callbacks_in_flight, []
        if self._pending:
            self._flush()
        for callback in callbacks:
            callback()

    def _write_all(self) -> None:
        while (content := self._work.get()) is not None:
            failure = None
            try:
                while content:
                    content = content[os.write(self._file, content) :]
                os.fdatasync(self._file)
            except OSError as caught:
                failure = caught
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._flushed, failure)

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


class MemoryJournal:
    """A journal without a file: every record is durable at once. `lines` are its bytes."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def __len__(self) -> int:
        return len(self.lines)

    def append(self, record: Record) -> int:
        """Add a record and return its number."""
        self.lines.append(encode_bytes({"n": len(self.lines) + 1, **record}))
        return len(self.lines)

    def after_durable(self, callback: Callable[[], object]) -> None:
        """Call back at once."""
        callback()

    def read(self, after: int, limit: int, kind: str | None = None) -> tuple[list[Record], int | None]:
        """Return records numbered above `after`, and the number to go on from, None at the end."""
        results: list[Record] = []
        number = max(after, 0)
        while number < len(self.lines) and len(results) < limit:
            record = json.loads(self.lines[number])
            number += 1
            if kind is None or record["kind"] == kind:
                results.append(record)
        return results, number if number < len(self.lines) else None

    def records(self) -> Iterator[Record]:
        """Yield every record, oldest first."""
        for line in list(self.lines):
            yield json.loads(line)

    async def durable(self) -> None:
        """Return: it is."""

    async def close(self) -> None:
        """Do nothing."""
