"""The gates of one environment in policy.yaml, as the table of gates says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model

from gitml.fields import FileSection
from gitml.gates.base import Need
from gitml.gates.table import GATES

if TYPE_CHECKING:
    GateName = str

    class _Keys(FileSection):
        def __getattr__(self, name: str) -> Any: ...

else:
    # A Literal, so that an error names the valid words, and editors offer them.
    GateName = Literal[tuple(GATES)]
    # Made from the table, so that a gate is known to policy.yaml and to its schema by its own file alone.
    _Keys = create_model(
        "_Keys",
        __base__=FileSection,
        **{name: (gate.KEY | None, Field(None, description=gate.MEANING)) for name, gate in GATES.items()},
    )


class Gates(_Keys):
    """What a version must show. A gate that is not named is not asked."""

    @property
    def wanted(self) -> dict[str, Any]:
        """The gates that are asked, by name, in the order of the table."""
        values = ((name, getattr(self, name)) for name in GATES)
        return {name: value for name, value in values if value is not None and value is not False}

    @property
    def needs(self) -> Iterator[tuple[str, Need]]:
        """Everything that these gates read, with the name of the gate."""
        for name, value in self.wanted.items():
            yield from ((name, need) for need in GATES[name].needs(value))

    def reads_evidence(self, kind: str) -> bool:
        """Whether some gate waits for evidence of this kind."""
        return any((need.what, need.name) == ("evidence", kind) for _, need in self.needs)
