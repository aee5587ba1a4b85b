"""Who listens to a world: subscriptions to accounts and public channels, whatever carries the frames."""

import itertools
from collections.abc import Iterator
from typing import Any

from venues.paper.messages import encode

Frame = dict[str, Any]


class Listener:
    """One stream connection; `session` is what its dialect remembers of it.

    A subclass says how a text gets to the other side and how the connection is cut.
    """

    def __init__(self) -> None:
        self.path = ""
        self.accounts: dict[str, Frame] = {}
        self.channels: dict[str, Frame] = {}
        self.session: dict[str, Any] = {}
        self.sequence: Iterator[int] = itertools.count(1)
        self.loses_frames = False

    def send(self, frame: Frame) -> None:
        """Send a frame; while frames are to be lost, it has used up its numbers and goes nowhere."""
        if not self.loses_frames:
            self.send_text(encode(frame))

    def send_text(self, text: str) -> None:
        """Send a frame as it is."""
        raise NotImplementedError

    def cut(self) -> None:
        """End the connection without a closing handshake."""
        raise NotImplementedError


class Hub:
    """The connections of one world, in the order in which they came."""

    def __init__(self) -> None:
        self.connections: dict[Listener, None] = {}

    def add(self, connection: Listener) -> None:
        """Add a connection."""
        self.connections[connection] = None

    def discard(self, connection: Listener) -> None:
        """Forget a connection."""
        self.connections.pop(connection, None)

    def watching(self, account: str) -> list[Listener]:
        """Return the connections subscribed to an account."""
        return [connection for connection in self.connections if account in connection.accounts]

    def lose_frames(self, does_lose: bool) -> None:
        """Let every frame be lost from here on, or none any more."""
        for connection in self.connections:
            connection.loses_frames = does_lose

    @property
    def has_public(self) -> bool:
        """Tell whether anybody listens to a public channel."""
        return any(connection.channels for connection in self.connections)
