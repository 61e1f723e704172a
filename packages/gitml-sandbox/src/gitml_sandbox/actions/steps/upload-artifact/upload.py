"""Pack the files that the patterns name and send them to the sandbox in parts."""

from __future__ import annotations

import glob
import json
import os
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import urlencode

PART = 16 * 1024 * 1024


def files(patterns: list[str], *, hidden: bool) -> list[Path]:
    """Regular files that patterns name and no `!` pattern takes out; folders count with all that is in them."""
    chosen: dict[Path, None] = {}
    for pattern in patterns:
        negative = pattern.startswith("!")
        for path in matches(pattern.removeprefix("!").strip(), hidden=hidden):
            if negative:
                chosen.pop(path, None)
            else:
                chosen[path] = None
    return list(chosen)


def matches(pattern: str, *, hidden: bool) -> list[Path]:
    base = Path(os.environ["GITHUB_WORKSPACE"])
    found: list[Path] = []
    for name in glob.glob(str(base / os.path.expanduser(pattern)), recursive=True, include_hidden=hidden):
        path = Path(name)
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [p for p in inside if p.is_file() and (hidden or not is_hidden(p, path))]
    return [Path(os.path.normpath(p)) for p in found]


def is_hidden(path: Path, top: Path) -> bool:
    parts = path.relative_to(top).parts if path != top else (path.name,)
    return any(part.startswith(".") for part in parts)


def root_of(paths: list[Path], patterns: list[str]) -> Path:
    """What names inside the artifact are relative to: the folder that all files share."""
    base = Path(os.environ["GITHUB_WORKSPACE"])
    only = base / patterns[0] if len(patterns) == 1 else None
    if only is not None and only.is_dir():
        return Path(os.path.normpath(only))
    return Path(os.path.commonpath([p.parent for p in paths]))


def send(method: str, path: str, body: bytes | None = None) -> dict[str, object]:
    request = urllib.request.Request(
        os.environ["ACTIONS_RUNTIME_URL"] + path,
        method=method,
        data=body,
        headers={
            "Authorization": f"Bearer {os.environ['ACTIONS_RUNTIME_TOKEN']}",
            "Content-Type": "application/octet-stream",
        },
    )
    try:
        with urllib.request.urlopen(request) as response:
            text = response.read()
    except urllib.error.HTTPError as exc:
        sys.exit(f"::error::the sandbox refused the artifact: {exc.read().decode(errors='replace')[:500]}")
    return dict(json.loads(text)) if text else {}


def main() -> None:
    name = os.environ["IN_NAME"]
    patterns = [line.strip() for line in os.environ["IN_PATH"].splitlines() if line.strip()]
    paths = files(patterns, hidden=os.environ["IN_HIDDEN"] == "true")
    if not paths:
        kind = os.environ["IN_EMPTY"]
        words = f"No files were found with the provided path: {' '.join(patterns)}. No artifacts will be uploaded."
        if kind == "error":
            sys.exit(f"::error::{words}")
        print(words if kind == "ignore" else f"::warning::{words}")
        return
    root = root_of(paths, patterns)
    with tempfile.TemporaryFile() as packed:
        level = int(os.environ["IN_LEVEL"])
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
            for path in paths:
                archive.write(path, path.relative_to(root))
        size = packed.tell()
        packed.seek(0)
        # The name goes into the query: a slash in it must reach the check, not the routing.
        at = 0
        while part := packed.read(PART):
            send("PUT", f"upload?{urlencode({'name': name, 'offset': at})}", part)
            at += len(part)
    asked = {"name": name, "overwrite": os.environ["IN_OVERWRITE"], "days": os.environ["IN_DAYS"] or "0", "size": size}
    made = send("POST", f"upload?{urlencode(asked)}", b"")
    with open(os.environ["GITHUB_OUTPUT"], "a") as out:
        out.write(f"artifact-id={made['id']}\nartifact-url={made['url']}\nartifact-digest={made['digest']}\n")
    print(f"Artifact {name}: {len(paths)} files, {size} bytes, id {made['id']}")


if __name__ == "__main__":
    main()
