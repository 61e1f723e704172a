"""What goes in and comes out of a stream, whatever broker it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Position:
    """Where a message stands; no other message ever stands there."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True)
class StreamMessage:
    """One message that came in. ``time``: seconds since 1970 at the broker, 0.0 where it does not say."""

    position: Position
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)
    time: float = 0.0


@dataclass(frozen=True)
class StreamAnswer:
    """One message to send, with the key of the one that it answers. ``dead``: it goes to the dead letters."""

    of: Position
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    dead: bool = False


class Broker(Protocol):
    """Where messages come from and go to. Used by one thread."""

    def receive(self, most: int, seconds: float) -> Sequence[StreamMessage]:
        """As many as come within that time, in the order of each partition; the first may take a second to come.

        Raises OutsideError where the broker does not let it go on.
        """
        ...

    def send(self, answers: Sequence[StreamAnswer]) -> bool:
        """Produce all of them and advance past what was received, both or neither. False: neither, and what was
        received comes again. Raises OutsideError."""
        ...

    def lag(self) -> int:
        """How many messages wait, as far as is known."""
        ...

    def close(self) -> None: ...
