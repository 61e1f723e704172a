"""`gitml doctor` on models of other repositories."""

from __future__ import annotations

from pathlib import Path

from conftest import git
from gitml.project.doctorpoint import Mark, Point
from gitml.project.doctorupstreams import upstream_points
from gitml.spec.load import load_application


def points(root: Path, need: str, **env: str) -> list[Point]:
    text = "application: shop\nmodels:\n  pricing:\n    artifact: p.onnx\n    metrics: p.json\n    needs:\n"
    (root / "gitml.yaml").write_text(f"{text}      demand: {need}\n")
    return list(upstream_points(root, load_application(root), env))


def test_each_repository_is_tried_and_told_with_its_line(tmp_path: Path) -> None:
    bare, root = tmp_path / "acme/demand.git", tmp_path / "here"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    url = f"{{repository: 'file://{bare}'}}"
    (found,) = points(root, url)
    assert (found.mark, found.what) == (Mark.MISSING, f"gitml.yaml:7: file://{bare} has no branch main")
    commit = git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x")
    commit = git(root, "rev-parse", "HEAD")
    git(root, "push", "-q", str(bare), "main")
    (found,) = points(root, url)
    assert (found.mark, commit[:12] in found.what) == (Mark.OK, True)
    away = "{repository: 'http://127.0.0.1:9/acme/demand', token: DEMAND_TOKEN}"
    (found,) = points(root, away)
    assert (found.mark, "the secret DEMAND_TOKEN is not set here" in found.what) == (Mark.UNKNOWN, True)
    (found,) = points(root, away, DEMAND_TOKEN="s3cr3t")
    assert found.mark is Mark.MISSING
    assert found.what.startswith("gitml.yaml:7: http://127.0.0.1:9/acme/demand cannot be read: ")
    assert "s3cr3t" not in found.what
    assert points(root, "answers") == []
