"""A job of CI lets the new version and the one that runs answer the same rows; the report says what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cijobs.ci_kit import Ci, new_ci
from conftest import commit, dvc, git, gitml
from gitml.registry import parse_record
from gitml.reports.exchange import parse_report
from gitml.reports.markdown import ReportPlace, render

pytestmark = [pytest.mark.nightly, pytest.mark.slow]
PLACE = ReportPlace("https://forge.example/o/r", "https://forge.example/o/r/raw/pictures", "")


def grow(app: Path, day: str) -> None:
    subprocess.run([sys.executable, "pipelines/arrive.py", day], cwd=app, check=True, capture_output=True)
    dvc(app, "add", "data/arrivals")


@pytest.fixture(scope="module")
def ci(tmp_path_factory: pytest.TempPathFactory) -> Ci:
    """Main has the version of January and February; its files are on the remote alone."""
    folder = tmp_path_factory.mktemp("daily")
    app = folder / "app"
    assert gitml(folder, "init", "app", "--example", "flights-daily").code == 0
    grow(app, "2013-02-28")
    commit(app, "Start")
    done = gitml(app, "train", timeout=300)
    assert done.code == 0, done.err
    return new_ci(app, folder)


def moved(ci: Ci, last: str, branch: str, *, without: Path | None = None) -> dict[str, object]:
    """The report of a branch whose window ends later. ``without``: a file that the remote has lost."""
    git(ci.app, "checkout", "-q", "-B", branch, "main")
    dvc(ci.app, "checkout")
    grow(ci.app, last)
    params = ci.app / "params.yaml"
    params.write_text(params.read_text().replace("2013-02-28", last))
    dvc(ci.app, "push")
    if without:
        without.unlink()
    sha = ci.push(branch)
    ci.forget()
    ran = ci.run(sha, branch)
    assert ran.code == 0, ran.err
    done = ci.commit(sha, branch)
    assert done.code == 0, done.err
    (model,) = ci.report()["models"]
    return dict(model)


def test_the_report_compares_on_the_same_rows_and_shows_it(ci: Ci) -> None:
    model = moved(ci, "2013-09-30", "window")
    held = model["holdout"]
    assert isinstance(held, dict)
    assert (held["why"], held["changed"], held["name"]) == ("", True, "the version before")
    assert [row["reading"] for row in held["sets"][0]["metrics"]] == ["worse", "worse", "better"]
    (chart,) = [c for c in model["charts"] if c["name"] == "same rows"]  # type: ignore[union-attr]
    folder = ci.folder / "job" / ".gitml-ci"
    assert (folder / "report-pictures" / chart["image"]).read_bytes().startswith(b"\x89PNG")
    text = render(parse_report((folder / "report.json").read_bytes()), PLACE)
    assert text.startswith("**🟡 `late` against the version before on the same rows: better in `auc`")
    assert "is better than" not in text
    ci.forget()
    head = ci.tip("window")
    ran, done = ci.run(head, "window"), ci.commit(head, "window")
    assert (ran.code, done.code) == (0, 0), ran.err + done.err
    assert set(ci.how().values()) <= {"up to date", "restored"}, "the bot's commit has nothing to train"
    (again,) = ci.report()["models"]
    assert {**again["holdout"], "window": held["window"]} == held, "and its report says the same"
    assert again["holdout"]["window"]["why"] == "data/arrivals is not here, and nothing is fetched for that"


def test_a_champion_that_cannot_be_had_is_inconclusive(ci: Ci) -> None:
    record = parse_record(next((ci.app / "models/late/versions").glob("*.json")).read_bytes())
    lost = record.contents()[record.artifact].digest.partition(":")[2]
    kept = ci.remote / "files" / "md5" / lost[:2] / lost[2:]
    held = moved(ci, "2013-08-31", "lost", without=kept)["holdout"]
    assert isinstance(held, dict)
    assert "does not load" in held["why"]
    text = render(parse_report((ci.folder / "job" / ".gitml-ci" / "report.json").read_bytes()), PLACE)
    assert text.startswith("**🟡 `late` cannot be judged against the version before: ")


def test_data_of_dvc_add_are_handed_over_whether_they_were_fetched_or_not(trained: Path, tmp_path: Path) -> None:
    (trained / "extra").mkdir()
    (trained / "extra" / "a.txt").write_text("one\n")
    dvc(trained, "add", "extra")
    text = (trained / "dvc.yaml").read_text()
    (trained / "dvc.yaml").write_text(text.replace("deps: [ingest.py]", "deps: [extra, ingest.py]"))
    commit(trained, "Extra data")
    assert gitml(trained, "train").code == 0
    toy = new_ci(trained, tmp_path)
    (trained / "extra" / "b.txt").write_text("two\n")
    dvc(trained, "add", "extra")
    dvc(trained, "push")
    done = toy.both(toy.push("more"), "more")
    assert done.code == 0, done.out + done.err
    git(trained, "fetch", "-q", str(toy.bare), "more")
    git(trained, "reset", "-q", "--hard", "FETCH_HEAD")
    params = trained / "params.yaml"
    params.write_text(params.read_text().replace("rate: 0.5", "rate: 0.7"))
    done = toy.both(toy.push("more"), "more")
    assert done.code == 0, done.out + done.err
    assert toy.how()["ingest"] == "restored", "what it reads itself is known from the record, and not fetched"
    records = [json.loads(git(toy.bare, "show", f"more:{path}")) for path in toy.records("more")]
    assert sum("extra" in record["files"] for record in records) == len(records) - 1, "all but the first"
