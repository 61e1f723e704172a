"""Choose the members of the ensemble. For people, before a pull request; it is no stage.

    python pipelines/pin.py delay linear             the newest version of each
    python pipelines/pin.py delay@8d6bbf4c linear    that version of `delay`

Each version is read from its record below models/, and named twice in members/: by version and SHA-256 in pins.yaml,
and in a .dvc file, so that DVC brings exactly its bytes to every machine that runs the stage `blend`.
"""

import re
import sys
from pathlib import Path
from typing import Any

from files import StageError, read_json, run, say, write_yaml

FOLDER = Path("members")
PINS = FOLDER / "pins.yaml"
_HEAD = (
    "# The versions whose answers the model `blend` combines; `python pipelines/pin.py MODEL[@DIGEST] …` writes them.\n"
)


def record(reference: str) -> dict[str, Any]:
    """The record of MODEL or MODEL@DIGEST."""
    model, _, digest = reference.partition("@")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", model):
        raise StageError(f"{reference!r} names no model: write it like delay, or delay@8d6bbf4c")
    found = [path for path in sorted(Path("models", model, "versions").glob("*.json")) if _named(path, digest)]
    if not found:
        raise StageError(f"{model} has no version{f' {digest}' if digest else ''}: gitml train {model}")
    if digest and len(found) > 1:
        raise StageError(f"{reference} may be {' or '.join(path.stem for path in found)}: write more of the digest")
    return read_json(found[-1])


def _named(path: Path, digest: str) -> bool:
    """Whether the record's digest, the last part of its name, begins like this."""
    return path.stem.rpartition("-")[2].startswith(digest)


def pin(record: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What pins.yaml says of the version, and what its .dvc file says of the artifact."""
    artifact, model = record["artifact"], record["model"]
    file = record["files"][artifact]
    kept = next((o for s in record["stages"].values() for o in s["outs"] if o["path"] == artifact), None)
    if kept is None or not kept["digest"].startswith("md5:") or Path(artifact).suffix != ".skops":
        raise StageError(f"{model} {record['version']}: members are single skops files that a stage made")
    name = f"{model}.skops"
    said = {
        "model": model,
        "version": record["version"],
        "digest": file["sha256"],
        "data_until": record["signature"]["data_until"],
        "file": f"{FOLDER}/{name}",
    }
    md5 = kept["digest"].removeprefix("md5:")
    return said, {"outs": [{"md5": md5, "size": file["size"], "hash": "md5", "path": name}]}


def main() -> None:
    """Write members/."""
    if len(sys.argv) < 3:
        raise StageError("name two models or more: python pipelines/pin.py delay linear")
    pins = [pin(record(reference)) for reference in sys.argv[1:]]
    names = [said["model"] for said, _ in pins]
    if len(set(names)) < len(names):
        raise StageError("a model is named twice: blend combines one version of each")
    # Files of versions that were pinned before, and members that are none any more: DVC brings what is pinned now.
    for left in FOLDER.glob("*.skops*"):
        left.unlink()
    for said, tracked in pins:
        write_yaml(FOLDER / f"{said['model']}.skops.dvc", tracked)
        say(f"{said['model']}: {said['version']}")
    write_yaml(PINS, {"members": [said for said, _ in pins]}, _HEAD)


if __name__ == "__main__":
    run(main)
