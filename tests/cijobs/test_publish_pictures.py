"""Pictures of a report, from the files beside it to the page of the forge."""

from pathlib import Path

import pytest

from cijobs.publishing import JOB, Desk, desk, png, weak, with_chart
from sandbox.forge_kit import Kit


def test_pictures(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    (tmp_path / "report-pictures").mkdir()
    (tmp_path / "report-pictures" / "roc.png").write_bytes(png())
    d.run(with_chart(d.report(), "roc.png"))
    body = d.comments()[0].body
    url = body[body.index(f"{kit.url}/{d.ada.repo}/raw/gitml-assets/") :].split(")")[0]
    answer = d.ada.http.get(url)
    assert (answer.status_code, answer.content) == (200, png())
    tip = d.ada.tip("gitml-assets")
    d.run(with_chart(d.report(), "roc.png"), run=2)
    assert d.ada.tip("gitml-assets") == tip
    assert kit.events(kit_repo(d), "push")[-1] == "refs/heads/gitml-assets"


def kit_repo(d: Desk):  # type: ignore[no-untyped-def]
    from gitml_sandbox.forge import repos

    with d.kit.sandbox.store.read() as tx:
        return repos.find(tx, *d.ada.repo.split("/"))


@pytest.mark.parametrize("kind", ["missing", "text", "link"])
def test_pictures_that_are_none(kit: Kit, tmp_path: Path, kind: str) -> None:
    d = desk(kit, tmp_path)
    folder = tmp_path / "report-pictures"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(png())
    if kind == "text":
        (folder / "roc.png").write_text("no picture")
    if kind == "link":
        (folder / "roc.png").symlink_to(tmp_path / "secret.png")
    assert d.run(with_chart(d.report(), "roc.png")).how == "posted"
    assert "raw/gitml-assets" not in d.comments()[0].body
    assert any("picture" in line for line in d.said)
    assert d.ada.call("GET", "git/ref/heads/gitml-assets").status_code == 404


def test_pictures_without_permission_are_left_out(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    (tmp_path / "report-pictures").mkdir()
    (tmp_path / "report-pictures" / "roc.png").write_bytes(png())
    d.token = weak(d, **{**{k.replace("-", "_"): v for k, v in JOB.items()}, "contents": "read"})
    assert d.run(with_chart(d.report(), "roc.png")).how == "posted"
    assert any("without pictures" in line for line in d.said)
    assert all(d.token not in line for line in d.said)
