"""Fetch artifacts of a run and unpack them inside the workspace, or where `path` says."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import IO, Any


def get(url: str, token: str) -> IO[bytes]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        answer: IO[bytes] = urllib.request.urlopen(request)
    except urllib.error.HTTPError as exc:
        sys.exit(f"::error::the sandbox refused: {exc.code} {exc.read().decode(errors='replace')[:500]}")
    return answer


def listing(url: str, token: str) -> list[dict[str, Any]]:
    with get(url, token) as answer:
        return list(json.load(answer)["artifacts"])


def chosen(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    name, pattern = os.environ["IN_NAME"], os.environ["IN_PATTERN"]
    ids = {int(i) for i in os.environ["IN_IDS"].split(",") if i.strip()}
    if name:
        found = [a for a in found if a["name"] == name]
        if not found:
            sys.exit(f"::error::Unable to download artifact(s): Artifact not found for name: {name}")
    elif ids:
        found = [a for a in found if a["id"] in ids]
    elif pattern:
        found = [a for a in found if fnmatch.fnmatchcase(a["name"], pattern)]
    return found


def unpack(packed: IO[bytes], folder: Path) -> None:
    """Regular files only, and only below the folder."""
    with zipfile.ZipFile(packed) as archive:
        for entry in archive.infolist():
            parts = Path(entry.filename).parts
            odd = stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR)
            if odd or ".." in parts or entry.filename.startswith(("/", "\\")):
                sys.exit(f"::error::the artifact holds {entry.filename!r}, which leaves its folder")
            archive.extract(entry, folder)


def fetch(artifact: dict[str, Any], url: str, token: str, folder: Path) -> None:
    with tempfile.TemporaryFile() as packed:
        with get(url, token) as answer:
            shutil.copyfileobj(answer, packed)
        packed.seek(0)
        if f"sha256:{hashlib.file_digest(packed, 'sha256').hexdigest()}" != artifact["digest"]:
            sys.exit(f"::error::the artifact {artifact['name']} is not what was uploaded: its digest differs")
        packed.seek(0)
        folder.mkdir(parents=True, exist_ok=True)
        unpack(packed, folder)
    print(f"Artifact {artifact['name']} in {folder}")


def main() -> None:
    workspace = Path(os.environ["GITHUB_WORKSPACE"])
    target = workspace / os.path.expanduser(os.environ["IN_PATH"])
    run, token = os.environ["IN_RUN"], os.environ["IN_TOKEN"]
    own = run == os.environ["GITHUB_RUN_ID"] and os.environ["IN_REPOSITORY"] == os.environ["GITHUB_REPOSITORY"]
    if own:
        token, base = os.environ["ACTIONS_RUNTIME_TOKEN"], os.environ["ACTIONS_RUNTIME_URL"]
        found = listing(f"{base}artifacts", token)
    else:
        api = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['IN_REPOSITORY']}/actions"
        found = listing(
            f"{api}/runs/{run}/artifacts?per_page=100", token or sys.exit("::error::github-token is needed")
        )
    picked = chosen(found)
    flat = (
        bool(os.environ["IN_NAME"])
        or os.environ["IN_MERGE"] == "true"
        or (len(os.environ["IN_IDS"].split(",")) == 1 and os.environ["IN_IDS"] != "")
    )
    for artifact in picked:
        url = f"{base}artifacts/{artifact['id']}" if own else artifact["archive_download_url"]
        fetch(artifact, url, token, target if flat else target / artifact["name"])
    with open(os.environ["GITHUB_OUTPUT"], "a") as out:
        out.write(f"download-path={target}\n")
    print(f"{len(picked)} artifacts")


if __name__ == "__main__":
    main()
