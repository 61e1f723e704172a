"""All that the supervisor and the server's process say to each other. What does not fit here is not believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from gitml.fields import Format
from gitml.registry.record import Record
from gitml.serving.latencybuckets import SECONDS

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Word = Annotated[str, Field(max_length=200)]
Number = Annotated[int, Field(ge=0, lt=1 << 53)]
MOST_VERSIONS = 300
_BUCKETS = len(SECONDS) + 1


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GivenVersion(_Message):
    """A version whose files lie on this machine, held against their digests: ``files`` by their name in the record."""

    record: Record
    files: Mapping[str, str]


class ServeOrder(_Message):
    """Serve exactly this for one model. ``deployment`` is the text of the file; ``commit`` is main's that said so.

    ``versions``: all that it pins, and all that ensembles among them pin. ``stored``: by model, its artifact and how
    gitml.yaml says that it is stored. Columns in ``private`` are not logged. ``marks``: by pinned version, where it
    says that it is being called. ``hold``: have it ready, and go on serving what serves until a SwapOrder.
    """

    kind: Literal["serve"] = "serve"
    number: Number = 0
    name: str
    deployment: str
    commit: str
    versions: tuple[GivenVersion, ...]
    stored: Mapping[str, tuple[str, Format]] = Field(default_factory=dict)
    private: frozenset[str] = frozenset()
    pickle: bool = False
    marks: Mapping[str, Number] = Field(default_factory=dict)
    hold: bool = False


class SwapOrder(_Message):
    """Serve what is held for a model from now on, or let it go where another process could not load it."""

    kind: Literal["swap"] = "swap"
    number: Number = 0
    name: str
    let_go: bool = False


class Caller(_Message):
    """A token by its SHA-256 alone."""

    caller: str
    scopes: frozenset[str]


class BeginOrder(_Message):
    """Said once. ``log``: folder or URL of the traffic, with its journals in ``spool``, for ``keep`` seconds.

    ``secret`` signs knocks, and nothing else. ``restarts``: how many processes of this server ended before. Where it is
    one of several behind one port, ``process`` is its number, ``pages`` the folder where they tell their metrics, and
    ``arrays`` that of the arrays which all of them map.
    """

    kind: Literal["begin"] = "begin"
    number: Number = 0
    environment: str
    callers: Mapping[Hex, Caller] = Field(default_factory=dict)
    secret: str = Field(default="", repr=False)
    log: str = ""
    spool: str = ""
    keep: float | None = None
    grace: float = 20.0
    restarts: int = 0
    process: Number = 0
    pages: str = ""
    arrays: str = ""


class PrepareOrder(_Message):
    """Models of these formats come next, with samples or without: their libraries may be imported meanwhile."""

    kind: Literal["prepare"] = "prepare"
    formats: frozenset[str]
    samples: bool


class OpenOrder(_Message):
    """Answer requests from now on."""

    kind: Literal["open"] = "open"
    number: Number = 0


class StateOrder(_Message):
    """What /gitml/state answers, as JSON."""

    kind: Literal["state"] = "state"
    state: str


class AliveOrder(_Message):
    """Say how you are."""

    kind: Literal["alive"] = "alive"
    number: Number = 0


class EndOrder(_Message):
    """Take no new request, answer those under way, write the log, and end."""

    kind: Literal["end"] = "end"


Order = BeginOrder | ServeOrder | SwapOrder | PrepareOrder | OpenOrder | StateOrder | AliveOrder | EndOrder


class ServedVersion(_Message):
    """A version that answers. ``rows`` of its samples were compared; ``largest`` is the largest difference."""

    version: Annotated[str, Field(max_length=64)]
    digest: Hex
    rows: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    largest: Annotated[float, Field(ge=0)] = 0.0


class ServedAnswer(_Message):
    """All of an order is served, or held."""

    kind: Literal["served"] = "served"
    number: Number
    name: Word
    versions: Annotated[tuple[ServedVersion, ...], Field(max_length=200)]


class SwappedAnswer(_Message):
    """What was held serves, or is let go."""

    kind: Literal["swapped"] = "swapped"
    number: Number


class RefusedAnswer(_Message):
    """Nothing of an order is served, and what served before goes on."""

    kind: Literal["refused"] = "refused"
    number: Number
    error: Literal["integrity", "usage", "failed", "inconclusive", "outside"]
    message: Annotated[str, Field(max_length=4000)]
    hint: Annotated[str, Field(max_length=1000)] = ""


class StoppedCanary(_Message):
    """A canary that gets no more requests."""

    version: Annotated[str, Field(max_length=64)]
    digest: Hex
    reason: Annotated[str, Field(max_length=200)]


class VersionCount(_Message):
    """Requests that one version answered. ``errors``: 5xx; ``refused``: 4xx; ``buckets``: answers by their time, up to
    each of SECONDS and above the last."""

    model: Word
    version: Annotated[str, Field(max_length=64)]
    variant: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
    rows: Number = 0
    errors: Number = 0
    refused: Number = 0
    buckets: Annotated[tuple[Number, ...], Field(min_length=_BUCKETS, max_length=_BUCKETS)]

    @classmethod
    def none(cls, model: str, version: str, variant: str) -> VersionCount:
        return cls(model=model, version=version, variant=variant, buckets=(0,) * _BUCKETS)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.model, self.version, self.variant

    @property
    def requests(self) -> int:
        return sum(self.buckets) + self.errors + self.refused

    def since(self, before: VersionCount | None) -> VersionCount:
        """What was added; a count that fell adds nothing."""
        return self._with(before, lambda mine, old: max(0, mine - old)) if before else self

    def plus(self, other: VersionCount) -> VersionCount:
        return self._with(other, lambda mine, more: mine + more)

    def _with(self, other: VersionCount, made: Callable[[int, int], int]) -> VersionCount:
        names = ("rows", "errors", "refused")
        told = {name: made(getattr(self, name), getattr(other, name)) for name in names}
        buckets = tuple(made(mine, more) for mine, more in zip(self.buckets, other.buckets, strict=True))
        return self.model_copy(update={**told, "buckets": buckets})


class AliveAnswer(_Message):
    """``serving``: by model, the digests that answer. ``still``: seconds since the server's loop last turned.
    ``stopped``: by model, the canary that fails where the champion answers. ``counts``: since its start."""

    kind: Literal["alive"] = "alive"
    number: Number
    serving: Annotated[Mapping[Word, tuple[Hex, ...]], Field(max_length=1000)]
    still: Annotated[float, Field(ge=0)] = 0.0
    stopped: Annotated[Mapping[Word, StoppedCanary], Field(max_length=1000)] = Field(default_factory=dict)
    counts: Annotated[tuple[VersionCount, ...], Field(max_length=MOST_VERSIONS)] = ()


class BegunAnswer(_Message):
    """It is there. ``closed``: the version of Landlock that holds it, 0 for none. ``alone``: it starts no process."""

    kind: Literal["begun"] = "begun"
    number: Number
    closed: Annotated[int, Field(ge=0, le=1000)]
    alone: bool


class OpenedAnswer(_Message):
    """It answers requests. ``missing`` says which limit it does not keep."""

    kind: Literal["opened"] = "opened"
    number: Number
    missing: Annotated[str, Field(max_length=500)] = ""


class Knock(_Message):
    """Somebody asked to look at main at once."""

    kind: Literal["knock"] = "knock"


class Remark(_Message):
    """A line for the log."""

    kind: Literal["remark"] = "remark"
    text: Annotated[str, Field(max_length=500)]


Answer = ServedAnswer | SwappedAnswer | RefusedAnswer | AliveAnswer | BegunAnswer | OpenedAnswer | Knock | Remark

ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="kind")])
ANSWER: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="kind")])

# Bytes of one message. Orders hold records; answers hold a few lines.
LONGEST_ORDER, LONGEST_ANSWER = 256 << 20, 256 << 10
