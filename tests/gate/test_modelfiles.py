"""No change below models/ is nobody's business: a promotion, a version from a training, or refused with what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from conftest import git
from gate.kit import FOLDER, Scene, files_of, new_scene, record_of, skops
from gitml.gate import modelfiles
from gitml.gate.judge import hidden_changes
from gitml.gate.tree import Edits, edits
from gitml.git import merges
from gitml.registry.record import Record

PRODUCTION = "models/delay/production.yaml"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Main stays as it is: each test has branches of its own."""
    return new_scene(tmp_path_factory.mktemp("gate"))


@pytest.fixture
def own(scene: Scene, tmp_path: Path) -> Scene:
    shutil.copytree(scene.root, tmp_path / "repo", symlinks=True)
    return replace(scene, root=tmp_path / "repo")


def judged(scene: Scene, head: str) -> Edits:
    return edits(scene.main.git, scene.base, head)


def path_of(record: Record) -> str:
    return f"models/{record.model}/versions/{record.version}.json"


def fresh(model: str = "delay") -> Record:
    record = record_of("2026-11-24T14:00:00Z", 0.72, files_of(0.72, skops("fresh")))
    return record if model == "delay" else record.model_copy(update={"model": model})


def test_a_training_brings_a_version_with_its_outputs(scene: Scene) -> None:
    files = {
        path_of(fresh()): fresh().to_json(),
        "dvc.lock": "stages: {}\n",
        f"{FOLDER}/metrics.json": "{}",
        "models/delay/metrics.json": "{}",
        "models/README.md": "all of them",
        "models/delay/versions/.gitkeep": "",
    }
    assert judged(scene, scene.branch(dict(files))) == Edits()


@pytest.mark.parametrize("place", [merges, modelfiles])
def test_a_branch_of_a_million_files_is_refused(
    scene: Scene, place: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it takes them away again: one error that names the limit, and no other pull request waits for it."""
    head = scene.branch({"models/delay/a": "1", "models/delay/b": "2", "models/delay/c": "3"})
    assert judged(scene, head) == Edits()
    monkeypatch.setattr(place, "MOST_FILES", 2)
    (why,) = judged(scene, head).refused
    assert "more than 2 files" in why


def test_records_are_never_edited_deleted_or_moved(scene: Scene) -> None:
    """A pull request without any deployment: it was nobody's business before."""
    path, swapped = path_of(scene.new), scene.new.model_copy(update={"roles": {}})
    edited = judged(scene, scene.branch({path: swapped.to_json()}))
    (why,) = edited.refused
    assert why.startswith(f"edits the record {path}: records are never edited")
    assert "git checkout" in why
    assert judged(scene, scene.branch({path: None})).refused[0].startswith("deletes the record")
    git(scene.root, "switch", "-q", "-c", "moved", "main")
    git(scene.root, "mv", path, path_of(fresh()))
    moved = scene.commit()
    os.chmod(scene.root / path_of(fresh()), 0o755)
    program = scene.commit()
    git(scene.root, "switch", "-q", "main")
    assert {why.split()[0] for why in judged(scene, moved).refused} == {"deletes", path_of(fresh())}
    assert any("is no record of a version" in why for why in judged(scene, program).refused)


def test_what_is_put_back_as_it_first_was_passes(own: Scene) -> None:
    path = path_of(own.new)
    first = (own.root / path).read_text()
    (own.root / path).unlink()
    own.commit("gone, past all gates")
    assert judged(own, own.branch({path: first})) == Edits()
    other = own.new.model_copy(update={"roles": {}}).to_json()
    assert "edits the record" in judged(own, own.branch({path: other})).refused[0]


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        ("models/délai/production.yaml", "champion: x\n", "looks like a deployment file"),
        ("models/délai/versions/20260101T000000Z-00000000.json", "{}", "no record of a version"),
        ("models/delay/production.yml", "champion: x\n", "looks like a deployment file"),
        ("models/delay/production.YAML", "champion: x\n", "looks like a deployment file"),
        ("models/delay/versions/latest.json", "{}", "no record of a version"),
        ("models/delay/versions/20260101T000000Z-00000000.json", "{}", "is no record: "),
        ("models/delay/versions/deep/20260101T000000Z-00000000.json", "{}", "no record of a version"),
        ("models/delay/versions/.hidden/x.json", "{}", "no record of a version"),
        (path_of(fresh()).replace("14", "15"), fresh().to_json(), "is the record of"),
        (path_of(fresh("mlp")), fresh("mlp").to_json(), "digest does not match"),
    ],
)
def test_odd_names_and_hand_made_records_are_refused(scene: Scene, path: str, content: str, said: str) -> None:
    (why,) = judged(scene, scene.branch({path: content})).refused
    assert said in why


def test_an_odd_file_that_is_there_may_go(own: Scene) -> None:
    own.write("models/délai/production.yaml", "champion: x\n")
    own.commit("past all gates")
    assert judged(own, own.branch({"models/délai/production.yaml": None})) == Edits()


def test_links_are_refused(scene: Scene) -> None:
    for link in ("models/delay/metrics.json", "models/other"):
        git(scene.root, "switch", "-q", "-c", f"link-{Path(link).name}", "main")
        os.symlink("delay", scene.root / link)
        head = scene.commit()
        git(scene.root, "switch", "-q", "main")
        assert "becomes a link" in judged(scene, head).refused[0]


def steps(scene: Scene, name: str, *files: Mapping[str, str | None]) -> str:
    git(scene.root, "switch", "-q", "-c", name, "main")
    for number, one in enumerate(files):
        for path, content in one.items():
            scene.write(path, content) if content is not None else (scene.root / path).unlink()
        scene.commit(f"{name} {number}")
    git(scene.root, "switch", "-q", "main")
    return str(git(scene.root, "rev-parse", name))


def test_a_deployment_that_is_changed_and_changed_back_is_refused(scene: Scene) -> None:
    """Rebased, both commits stand on main, and nobody judged either: a new agent served nothing."""
    now = (scene.root / PRODUCTION).read_text()
    there, back = {PRODUCTION: f"champion: {scene.pin(scene.new)}\n"}, {PRODUCTION: now, "code.py": "x"}
    (why,) = judged(scene, steps(scene, "net-zero", there, back)).refused
    assert f"change {PRODUCTION} and change it back" in why
    assert "git reset --soft" in why
    other = "models/delay/elsewhere.yaml"
    found = judged(scene, steps(scene, "beside", {other: "a: b\n", **there}, {other: None}))
    assert [e.path for e in found.deployments] == [PRODUCTION]
    assert "elsewhere.yaml and change it back" in found.refused[0]


def test_a_record_has_one_content_in_all_commits_of_a_branch(scene: Scene) -> None:
    """Rebased, the first one would count. A branch that trains twice leaves another record, and that is fine."""
    path, bad = path_of(fresh()), fresh().model_copy(update={"roles": {}})
    found = judged(scene, steps(scene, "two-faced", {path: bad.to_json()}, {path: fresh().to_json()}))
    assert "more than one content" in found.refused[0]
    later = record_of("2026-11-24T15:00:00Z", 0.73, files_of(0.73, skops("later")))
    again = steps(scene, "again", {path: fresh().to_json()}, {path: None, path_of(later): later.to_json()})
    assert judged(scene, again) == Edits()


def test_what_main_brought_by_a_merge_is_no_step_of_the_branch(own: Scene) -> None:
    git(own.root, "switch", "-q", "-c", "feature", "main")
    own.write("code.py", "x")
    own.commit()
    git(own.root, "switch", "-q", "main")
    own.write(PRODUCTION, f"champion: {own.pin(own.new)}\n")
    own.commit("promoted")
    git(own.root, "switch", "-q", "feature")
    git(own.root, "merge", "-q", "-m", "main", "main")
    head = git(own.root, "rev-parse", "HEAD")
    git(own.root, "switch", "-q", "main")
    assert judged(own, head) == Edits()
    assert hidden_changes(own.main.git, own.base, head) == ()
