"""A look as the report reads it: the dict that was signed, with the looks before it. What a key lacks is not shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from gitml.verdict import Phase

Told = Mapping[str, Any]
MARKS = {Phase.SUCCESSFUL: "🟢", Phase.FAILED: "🔴", Phase.INCONCLUSIVE: "🟡", Phase.ERROR: "🟡"}
NOT_WATCHED = "⚪"
_RANK = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE, Phase.SUCCESSFUL)
_LARGEST = 1e300
# Of two that failed, broken data come first: they may be why the others did.
_PARTS = ("quality", "harm", "drift")


@dataclass(frozen=True)
class LookStory:
    """``look``: what `Monitored.to_dict` tells. ``history``: earlier looks of the same monitor, oldest first."""

    look: Told
    history: Sequence[Told] = ()

    @property
    def verdicts(self) -> list[tuple[str, Told]]:
        """By name, the worst first."""
        return sorted(verdicts_of(self.look).items(), key=lambda item: (_RANK.index(phase_of(item[1])), _place(item)))

    @property
    def phase(self) -> Phase:
        return phase_of(self.verdicts[0][1]) if self.verdicts else Phase.INCONCLUSIVE

    @property
    def failed(self) -> list[tuple[str, Told]]:
        return [(name, verdict) for name, verdict in self.verdicts if phase_of(verdict) is Phase.FAILED]

    @property
    def of_version(self) -> list[Told]:
        """The looks at the same version, this one last: a new version begins anew."""
        version = self.look.get("version")
        return [look for look in self.history if look.get("version") == version] + [self.look]

    @cached_property
    def tracks(self) -> list[dict[str, Told]]:
        """Of each of them the columns by name."""
        return [{str(c.get("column", "")): c for c in list_of(look, "drift")} for look in self.of_version]

    def streak(self, part: str) -> list[Told]:
        """The looks in which the verdict failed, up to this one, since it last passed; one that could not tell is no
        end. Oldest first."""
        found: list[Told] = []
        for look in reversed(self.of_version):
            verdict = verdicts_of(look).get(part)
            phase = None if verdict is None else phase_of(verdict)
            if phase in (None, Phase.SUCCESSFUL):
                break
            found += [look] if phase is Phase.FAILED else []
        return found[::-1]

    @property
    def columns(self) -> list[Told]:
        return list_of(self.look, "drift")

    @property
    def loud(self) -> list[Told]:
        """The columns that drifted and are not muted."""
        return [column for column in self.columns if column.get("drifted") and not column.get("muted")]


def _place(item: tuple[str, Told]) -> tuple[int, str]:
    name = item[0]
    return (_PARTS.index(name) if name in _PARTS else len(_PARTS), name)


def verdicts_of(look: Told) -> Mapping[str, Told]:
    found = look.get("verdicts")
    return found if isinstance(found, Mapping) else {}


def phase_of(verdict: Told) -> Phase:
    """Inconclusive where it is not told."""
    try:
        return Phase(str(verdict.get("phase", "")))
    except ValueError:
        return Phase.INCONCLUSIVE


def list_of(told: Told, key: str) -> list[Told]:
    """The mappings of a list; none where there is no list."""
    found = told.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list | tuple) else []


def effects_of(column: Told) -> list[tuple[str, Told]]:
    """Of values and missing values: those that drifted, or else the one that lies higher above its floor."""
    both = [(of, column[of]) for of in ("values", "missing") if isinstance(column.get(of), Mapping)]
    drifted = [(of, effect) for of, effect in both if effect.get("drifted")]
    return drifted or sorted(both, key=lambda one: (-_above(one[1]), one[0] != "values"))[:1]


def _above(effect: Told) -> float:
    return max(number(effect, "low") - number(effect, "floor"), 0.0)


def number(told: Told, key: str) -> float:
    """0 where there is none, or one that no float holds."""
    value = told.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    return float(value) if abs(value) <= _LARGEST else 0.0


def moment(told: Told, key: str) -> datetime | None:
    try:
        return datetime.fromisoformat(str(told.get(key))).astimezone(UTC)
    except ValueError:
        return None


def day(told: Told, key: str) -> str:
    """A moment as people write it: without its hour at midnight."""
    found = moment(told, key)
    if found is None:
        return "an unknown time"
    return f"{found:%a %Y-%m-%d}" if not (found.hour or found.minute) else f"{found:%a %Y-%m-%d %H:%M} UTC"


def mutes_of(look: Told) -> Iterator[Told]:
    """Those that hold, and those that ended within the windows of this look."""
    began = min((m for one in list_of(look, "looks") if (m := moment(one, "since"))), default=moment(look, "since"))
    for mute in list_of(look, "mutes"):
        until = moment(mute, "until")
        if not mute.get("over") or (until and began and until >= began):
            yield mute
