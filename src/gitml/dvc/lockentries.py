"""What ``dvc.lock`` says of one stage, as data that records and run journals share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitml.jsontext import canonical, plain


@dataclass(frozen=True, order=True)
class Content:
    """A file or folder under its digest.

    ``path`` is relative to the folder of ``gitml.yaml`` (or a URL); ``digest`` is ``md5:<hex>`` for a file,
    ``md5:<hex>.dir`` for a folder, ``etag:…`` for what lies elsewhere; ``size`` in bytes; ``files`` counts the
    files of a folder and is 0 for a file.
    """

    path: str
    digest: str
    size: int = 0
    files: int = 0

    def to_dict(self) -> dict[str, Any]:
        counted = {"files": self.files} if self.files else {}
        return {"path": self.path, "digest": self.digest, "size": self.size, **counted}


@dataclass(frozen=True, eq=False)
class Entry:
    """One stage as it ran: the command, on which contents and params, gave which contents.

    Two are equal only if their params have the same types too. ``always`` stands for DVC's ``always_changed``: the
    stage reads something that no digest covers, such as a database.
    """

    cmd: tuple[str, ...]
    deps: tuple[Content, ...]
    params: Mapping[str, Mapping[str, Any]]
    outs: tuple[Content, ...]
    always: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and same_value(self.to_dict(), other.to_dict())

    __hash__ = None  # type: ignore[assignment]

    @property
    def brings_in(self) -> bool:
        """Its bytes are an input of their own: of `dvc add`, `dvc import`, or of a stage that is always changed."""
        return self.always or not any(self.cmd)

    def to_dict(self) -> dict[str, Any]:
        always = {"always": True} if self.always else {}
        return always | {
            "cmd": list(self.cmd),
            "deps": [c.to_dict() for c in self.deps],
            "params": {file: dict(values) for file, values in self.params.items()},
            "outs": [c.to_dict() for c in self.outs],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Entry:
        """Raises KeyError, TypeError or AttributeError when ``data`` is no entry."""
        return cls(
            cmd=tuple(data["cmd"]),
            deps=tuple(Content(**c) for c in data["deps"]),
            params={file: dict(values) for file, values in data["params"].items()},
            outs=tuple(Content(**c) for c in data["outs"]),
            always=bool(data.get("always")),
        )

    def single_params(self) -> Iterator[tuple[str, Any]]:
        """Every value by its name, nested ones as ``train.rate``; the file is named unless it is params.yaml.

        >>> list(Entry((), (), {"params.yaml": {"train": {"rate": 1}}, "b.yaml": {"x": 2}}, ()).single_params())
        [('train.rate', 1), ('b.yaml:x', 2)]
        """
        for file, values in self.params.items():
            yield from _leaves(values, "" if file == "params.yaml" else f"{file}:")

    def inputs_digest(self) -> str:
        """Covers what the stage ran on; two runs with the same inputs should give the same."""
        return sha256_of({"cmd": list(self.cmd), "deps": _pairs(self.deps), "params": self.params})

    def digest(self) -> str:
        """Covers the whole entry. Sizes follow from the contents' digests and are left out."""
        return sha256_of({"inputs": self.inputs_digest(), "outs": _pairs(self.outs)})


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, part in value.items():
        dot = "" if not name or name.endswith(":") else "."
        yield from _leaves(part, f"{name}{dot}{key}")


def same_value(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one type: Python's ``==`` takes 1, 1.0 and true for the same.

    >>> same_value({"rate": 1}, {"rate": 1}), same_value({"rate": 1}, {"rate": 1.0}), same_value([1], [True])
    (True, False, False)
    """
    return canonical(plain(one)) == canonical(plain(other))


def _pairs(contents: tuple[Content, ...]) -> list[tuple[str, str]]:
    return sorted((c.path, c.digest) for c in contents)


def sha256_of(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def makers_of(path: str, makers: Mapping[str, str]) -> tuple[str, ...]:
    """The stages whose outputs (``makers``: output path → stage) are ``path``, hold it, or lie inside it.

    >>> makers_of("data/raw/a.csv", {"data/raw": "ingest", "model": "train"})
    ('ingest',)
    """
    if path in makers:
        return (makers[path],)
    return tuple(s for out, s in makers.items() if path.startswith(f"{out}/") or out.startswith(f"{path}/"))


def holds_more(path: str, makers: Mapping[str, str]) -> bool:
    """Whether ``path`` is a folder around outputs: there may be other files in it, which no stage makes.

    >>> holds_more("data", {"data/raw": "ingest"}), holds_more("data/raw/a.csv", {"data/raw": "ingest"})
    (True, False)
    """
    above = [path, *(path.rsplit("/", n)[0] for n in range(1, path.count("/") + 1))]
    return not any(place in makers for place in above) and bool(makers_of(path, makers))
