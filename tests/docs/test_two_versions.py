"""The page on two versions: each of its deployment files is served, and its comparison runs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections import Counter
from pathlib import Path

import httpx
import pytest

from conftest import gitml, write
from gitml.inference.serve import ServeOptions, serve
from gitml.registry import write_record
from gitml.registry.lineage import external_digest
from gitml.registry.record import File, Record, name_of
from gitml.serving.server import Listen
from serving_models import SIGNATURE, fitted, saved
from serving_server import ROW

PAGE = (Path(__file__).parents[2] / "docs/how-to/two-versions.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
(SNIPPET,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
CHAMPION, OTHER = "20261124T215634Z-8d6bbf4c", "20261125T014254Z-34e37122"
UNITS = [f"N{n}" for n in range(200)]


@pytest.fixture
def versions(tmp_path: Path) -> dict[str, Record]:
    """Two versions of small models, by the names that the page has for them."""
    application = "application: a\nmodels: {delay: {artifact: m.skops, metrics: m.json, origin: external}}\n"
    write(tmp_path, {"gitml.yaml": application})
    models = {CHAMPION: "boosting", OTHER: "onehot"}
    return {name: register(tmp_path, saved(fitted(m), tmp_path / f"{m}.skops")) for name, m in models.items()}


def register(root: Path, artifact: Path) -> Record:
    file = File(sha256=hashlib.sha256(artifact.read_bytes()).hexdigest(), size=artifact.stat().st_size)
    digest, created = external_digest("delay", file.sha256, "here"), "2026-01-01T00:00:00Z"
    record = Record(
        model="delay", version=name_of(digest, created), digest=digest, created=created,
        origin="external", source="here", artifact=artifact.name, files={artifact.name: file}, signature=SIGNATURE,
    )  # fmt: skip
    write_record(root, record)
    return record


def deployed(root: Path, text: str, versions: dict[str, Record]) -> None:
    """The file of the page, with versions that there are."""
    for name, record in versions.items():
        pin = f'{record.version}, digest: "{record.files[record.artifact].sha256}"'
        text, count = re.subn(rf'{name}, digest: "[0-9a-f]{{64}}"', pin, text)
        assert count == 1
    write(root, {"models/delay/production.yaml": text})


@pytest.mark.parametrize(("number", "canary", "shadow"), [(0, 0.10, 0.0), (1, 0.50, 0.0), (2, 0.0, 0.50)])
def test_traffic_is_split_as_the_page_says(
    tmp_path: Path,
    versions: dict[str, Record],
    number: int,
    canary: float,
    shadow: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert len(FILES) == 3
    deployed(tmp_path, FILES[number], versions)
    checked = gitml(tmp_path, "check")
    assert "models/delay/production.yaml" not in checked.out + checked.err
    with serve(tmp_path, "delay@production", ServeOptions(Listen(port=0), str(tmp_path / "log"))) as trial:
        url = f"{trial.running.url}/models/delay"
        with httpx.Client(trust_env=False) as client:
            answers = [client.post(f"{url}/predict", json={"rows": [ROW], "unit": u, "id": u}) for u in UNITS]
            labels = [{"request_id": unit, "label": n % 2} for n, unit in enumerate(UNITS)]
            assert client.post(f"{url}/labels", json={"labels": labels}).status_code == 200
    got = Counter(answer.headers["gitml-variant"] for answer in answers)
    seen = {(answer.headers["gitml-variant"], answer.headers["gitml-version"]) for answer in answers}
    champion, other = versions[CHAMPION].version, versions[OTHER].version
    assert seen <= {("champion", champion), ("canary", other)}
    assert abs(got["canary"] / len(UNITS) - canary) < 0.12
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(SNIPPET, "the page", "exec"), {})
    rows = {
        f"{v} {n}": int(c)
        for v, n, c in re.findall(r"^(\w+) (\S+): (\d+) rows, Brier score \d", printed.getvalue(), re.M)
    }
    assert rows.pop(f"champion {champion}") == got["champion"]
    assert rows.pop(f"canary {other}", 0) == got["canary"]
    assert abs(rows.pop(f"shadow {other}", 0) / len(UNITS) - shadow) < 0.12
    assert not rows
