"""However an answer is cut, changed or ended: the reading never raises, never hangs and never takes a part for the whole."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from venues.adapters.reply import Reply
from venues.adapters.transport import HttpRecord
from venues.adapters.wire import LeanWire

TIMEOUT_SECONDS = 5.0
OK = b"HTTP/1.1 200 OK\r\n"
PACKED = gzip.compress(b'{"a":1}')
ANSWERS = [
    OK + b"Content-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"orderId": 12}',
    OK + b'Transfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n',
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}",
    OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\n[]",
]


def fed(pieces: list[bytes]) -> tuple[Reply, HttpRecord]:
    loop = asyncio.new_event_loop()
    reply, record = Reply(loop.create_future(), False), HttpRecord("GET", "http://h/")
    loop.close()
    for piece in pieces:
        reply.feed(piece)
        if reply.fault or reply.is_complete:
            break
    if reply.is_complete or reply.fault:
        reply.write_to(record)
    return reply, record


def split(whole: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted({cut % (len(whole) + 1) for cut in cuts}), len(whole)]
    return [whole[start:end] for start, end in itertools.pairwise(places) if end > start]


@given(answer=st.sampled_from(ANSWERS), cuts=st.lists(st.integers(0, 500), max_size=30))
def test_however_an_answer_is_split_it_is_the_same(answer: bytes, cuts: list[int]) -> None:
    reply, record = fed(split(answer, cuts))
    assert reply.is_complete
    assert (record.fault, record.body) == ("", fed([answer])[1].body)


@given(answer=st.sampled_from(ANSWERS), cuts=st.lists(st.integers(0, 500), max_size=30), lost=st.integers(1, 300))
def test_no_truncated_answer_is_one(answer: bytes, cuts: list[int], lost: int) -> None:
    reply, record = fed(split(answer[: max(0, len(answer) - lost)], cuts))
    assert not reply.is_complete
    assert not reply.ends_with_the_connection()
    assert not record.answered


@given(
    answer=st.sampled_from(ANSWERS),
    cuts=st.lists(st.integers(0, 500), max_size=10),
    changes=st.lists(st.tuples(st.integers(0, 500), st.binary(max_size=5)), max_size=5),
)
def test_no_bytes_break_the_reading(answer: bytes, cuts: list[int], changes: list[tuple[int, bytes]]) -> None:
    for place, junk in changes:
        place %= len(answer) + 1
        answer = answer[:place] + junk + answer[place + len(junk) :]
    reply, record = fed(split(answer, cuts))
    assert record.answered <= reply.is_complete


async def test_splits_and_ends_on_a_real_socket_never_hang() -> None:
    dice = random.Random(7)
    plans = [(answer, dice.randrange(len(answer) + 1)) for answer in ANSWERS for _ in range(40)]
    turn = iter(plans)

    async def torn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer, kept = next(turn)
        await reader.readuntil(b"\r\n\r\n")
        for piece in split(answer[:kept], [dice.randrange(500) for _ in range(3)]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    listening = await asyncio.start_server(torn, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    for answer, kept in plans:
        wire = LeanWire(TIMEOUT_SECONDS)
        record = HttpRecord("GET", url)
        await wire.send(record, {}, None)
        await wire.close()
        assert record.fault != "timeout"
        assert record.answered == (kept == len(answer)), (answer, kept, record.fault)
    listening.close()
