"""How each family's streams are kept alive and watched, and how its public books are told. What is not named goes by the default, or has no book."""

from __future__ import annotations

from venues.facts.families import SIBLINGS
from venues.facts.shapes import BookRule, StreamRule

STREAMS: dict[str, StreamRule] = {
    # A heartbeat frame about once a second while nothing else is sent.
    "kraken": StreamRule(frame_seconds_max=10.0),
    # The heartbeats channel, which is subscribed to beside our orders: a frame each second.
    "coinbase": StreamRule(frame_seconds_max=10.0),
    # It asks whether we are there as often as we have set, every ten seconds at the most often.
    "deribit": StreamRule(frame_seconds_max=30.0),
}
# By exchange, siblings like their first: futures of a family number their books differently. Sources: the exchanges' own
# pages on keeping a local book.
BOOKS: dict[str, BookRule] = {
    # U and u. A snapshot of 500 levels weighs 25, about what a poll is reckoned with; one of 1,000 weighs 50.
    "binance": BookRule(linked_by="span", snapshot="rest", levels_max=500),
    # U, u and pu, the u of the event before.
    "binanceusdm": BookRule(linked_by="previous", snapshot="rest", levels_max=500),
    # The checksum covers ten levels, so ten are kept: deeper ones could be wrong without anybody noticing.
    "kraken": BookRule(
        linked_by="checksum", snapshot="stream", levels_max=10, is_window=True, checksum="kraken", quiet_proof="frames"
    ),
    # seqId and prevSeqId; the checksum field is 0 where it is not computed.
    "okx": BookRule(
        linked_by="previous", snapshot="stream", levels_max=400, is_window=True, checksum="okx", ping_text="ping"
    ),
    # u goes up by one; a snapshot comes again after a restart of theirs. Their answer to a ping is a frame.
    "bybit": BookRule(
        linked_by="step",
        snapshot="stream",
        levels_max=200,
        is_window=True,
        quiet_proof="frames",
        ping_text='{"op":"ping"}',
    ),
    # change_id and prev_change_id, the whole book.
    "deribit": BookRule(linked_by="previous", snapshot="stream", levels_max=1_000),
    # sequence_num counts the frames of a connection, which carries this book alone and the heartbeats channel.
    "coinbase": BookRule(linked_by="step", snapshot="stream", levels_max=1_000, quiet_proof="frames"),
}


def stream_rule(family: str) -> StreamRule:
    """Return how the private stream of a family is watched."""
    return STREAMS.get(family, StreamRule())


def book_rule(exchange: str) -> BookRule | None:
    """Return how an exchange tells its public books; None where nobody has taught us."""
    return BOOKS.get(SIBLINGS.get(exchange, exchange))
