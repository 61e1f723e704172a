"""What a dependency will hold, told from what stages made before any of it is fetched: a folder's listing names its
files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree

from gitml.dvc.lockentries import Content

if TYPE_CHECKING:
    from gitml.dvc.outputs import Outputs

# The files of a folder: MD5 by place in it; None where its listing is not to be had.
Listing = Callable[[Content], Mapping[str, str] | None]


def told(dep: Any, outs: Mapping[str, Any], made: Mapping[str, Content], outputs: Outputs) -> Content | None:
    """What DVC's dependency ``dep`` will hold, when each output of ``outs`` (by path) that it is about holds what
    ``made`` says; None if nobody knows."""
    path = outputs.relative(dep)
    if path in made:
        return made[path]

    def listing(content: Content) -> Mapping[str, str] | None:
        return outputs.listed(outs[content.path], content)

    whole = next((out for out in outs if path.startswith(f"{out}/") and outs[out].use_cache), None)
    if whole is not None:
        return part_of(made[whole], path, listing) if whole in made else None
    inside = {out.removeprefix(f"{path}/"): made.get(out) for out in outs if out.startswith(f"{path}/")}
    if dep.exists:
        dep.save()
    elif not inside:
        return None
    return folder_around(path, dep.obj, inside, listing) if inside else outputs.content(dep)


def part_of(whole: Content, path: str, listing: Listing) -> Content | None:
    """The file or folder ``path`` inside the folder ``whole``; None if it is not there, or nobody knows."""
    files = listing(whole) if whole.digest.endswith(".dir") else None
    place = path.removeprefix(f"{whole.path}/")
    if not files:
        return None
    if place in files:
        return Content(path, f"{_kind(whole)}:{files[place]}")
    below = {name.removeprefix(f"{place}/"): md5 for name, md5 in files.items() if name.startswith(f"{place}/")}
    return _folder(path, below, _kind(whole)) if below else None


def folder_around(
    path: str, here: Tree | None, inside: Mapping[str, Content | None], listing: Listing
) -> Content | None:
    """The folder ``path`` once what stages make in it (``inside``, by place) lies there; None if nobody knows.

    ``here`` are the files that lie there now; those at a place of ``inside`` do not count.
    """
    files = {"/".join(key): info.value for key, _, info in here or () if not _below("/".join(key), inside)}
    kinds = {"md5"}
    for place, content in inside.items():
        if content is None:
            return None
        kinds = {_kind(content)}
        if not content.digest.endswith(".dir"):
            files[place] = content.digest.partition(":")[2]
            continue
        listed = listing(content)
        if listed is None:
            return None
        files |= {f"{place}/{name}": md5 for name, md5 in listed.items()}
    return _folder(path, files, "md5") if kinds == {"md5"} else None


def _kind(content: Content) -> str:
    return content.digest.partition(":")[0]


def _below(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _folder(path: str, files: Mapping[str, Any], kind: str) -> Content:
    tree = Tree()
    for name, md5 in files.items():
        tree.add(tuple(name.split("/")), None, HashInfo(kind, md5))
    tree.digest()
    return Content(path, f"{tree.hash_info.name}:{tree.hash_info.value}", files=len(files))
