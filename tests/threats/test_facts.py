"""What is proposed is read as it is written, from the base branch where it counts: nothing is taken on trust."""

from __future__ import annotations

import json

import pytest

from promotion.promoting import record
from sandbox.forge_kit import git
from threats.kit import GOOD, PRODUCTION, STAGING, Scene

pytestmark = pytest.mark.slow

METRICS = {
    "absent": (json.dumps({"loss": {"value": 0.1}}), "says other metrics than its metrics file"),
    "nan": ('{"auc": {"value": NaN, "low": 0.69, "high": 0.71}}', "auc value is nan, a finite number is needed"),
    "infinite": ('{"auc": {"value": 1e999, "low": 0.69, "high": 0.71}}', "auc value is inf, a finite number is needed"),
    "word": ('{"auc": {"value": "0.99", "low": 0.69, "high": 0.71}}', "auc value is .*0.99.*number"),
    "twice": ('{"auc": {"value": 0.1}, "auc": {"value": 0.7, "low": 0.69, "high": 0.71}}', "twice"),
    "other": (GOOD.replace("0.7,", "0.71,"), "says other metrics than its metrics file"),
    "poor": (GOOD.replace("0.7,", "0.6,").replace("0.69", "0.5"), "0.6"),
}


@pytest.mark.nightly
def test_metrics_that_are_missing_no_numbers_or_made_up(scene: Scene) -> None:
    scene.unguarded()
    said = {}
    for seed, (name, (text, words)) in enumerate(METRICS.items(), start=20):
        claimed = json.loads(text) if name == "poor" else json.loads(GOOD)
        version = scene.train(seed, text, metrics=claimed)
        said[name] = (scene.pinned(name, version), words)
    scene.guard()
    expected = {}
    for name, (text, words) in said.items():
        number = scene.branch(name, {STAGING: text})
        scene.g.approve(number)
        expected[number] = ('"metrics": {"phase": "(inconclusive|failed)"', words)
    scene.shut(expected)


@pytest.mark.nightly
def test_deployment_files_that_say_two_things_or_pin_what_is_not_there(scene: Scene) -> None:
    good = scene.pinned()
    digest = scene.version.files["model.skops"].sha256
    files: dict[str, tuple[dict[str, str | None], str]] = {
        "keys-twice": ({STAGING: good + good}, "twice|duplicate"),
        "unknown-version": ({STAGING: scene.pinned("x", record(99))}, "is not in|no version|not there"),
        "other-digest": ({STAGING: good.replace(digest, "0" * 64)}, "is pinned with the artifact 000000000000"),
        "other-model": ({"models/evil/staging.yaml": good}, "no model evil"),
        "other-place": ({"models/delay/nowhere.yaml": good}, "no environment nowhere"),
        "renamed": ({STAGING: None, "models/delay/Staging.yaml": good}, "one deployment at a time"),
        "moved": ({STAGING: None, PRODUCTION: good}, "one deployment at a time"),
        "two": ({STAGING: good, PRODUCTION: good}, "one deployment at a time"),
        "gone": ({STAGING: None}, "would be deleted"),
        "skipped": ({PRODUCTION: scene.pinned("skipped")}, "staging"),
    }
    expected = {}
    for name, (changed, words) in files.items():
        number = scene.branch(name, changed)
        scene.g.approve(number)
        expected[number] = (words,)
    scene.shut(expected, force=len(expected))


@pytest.mark.nightly
def test_files_that_are_links_or_programs(scene: Scene) -> None:
    """The link leads to a file that would be fine; the mode alone changes what the file is."""
    main = scene.town.main
    expected = {}
    for name in ("link", "absolute", "program", "folder"):
        git(main, "checkout", "-q", "--force", "-B", "attack", "origin/main")
        path = main / STAGING
        path.unlink()
        if name in ("link", "absolute"):
            (main / "other.yaml").write_text(scene.pinned(name))
            path.symlink_to("../../other.yaml" if name == "link" else "/etc/hostname")
        elif name == "program":
            path.write_text(scene.pinned(name))
            path.chmod(0o755)
        else:
            path.mkdir()
            (path / "champion").write_text("x")
        git(main, "add", "-A")
        git(main, "commit", "-q", "-m", name)
        scene.pushed(name, "ada")
        number = int(scene.town.ada.post("pulls", title=name, head=name, base="main")["number"])
        scene.g.approve(number)
        expected[number] = ("no plain file any more|promotion is a pull request of its own",)
    scene.shut(expected)


ALONG = {
    "policy": "policy.yaml",
    "workflow": ".github/workflows/gitml-gate.yml",
    "owners": ".github/CODEOWNERS",
    "remotes": ".dvc/config",
    "application": "gitml.yaml",
}


@pytest.mark.nightly
def test_the_rules_are_not_changed_by_what_they_judge(scene: Scene) -> None:
    """Policy with roles, approvals and keys, workflows, owners, remotes, records: none of it in the same request."""
    policy = (scene.town.main / "policy.yaml").read_text()
    texts = {"policy": policy.replace("at_least: 0.65", "at_least: 0.1")}
    expected = {}
    for name, path in ALONG.items():
        text = texts.get(name, (scene.town.main / path).read_text() if (scene.town.main / path).exists() else "")
        number = scene.branch(name, {STAGING: scene.pinned(name), path: text + "# mine\n"})
        scene.g.approve(number)
        expected[number] = (f"changes .*{path}.* as well: a promotion is a pull request of its own",)
    path = f"models/delay/versions/{scene.version.version}.json"
    better = (scene.town.main / path).read_text().replace("0.71", "0.99")
    number = scene.branch("record", {STAGING: scene.pinned("record"), path: better})
    scene.g.approve(number)
    expected[number] = (f"changes .*{path}.* as well",)
    scene.shut(expected)


@pytest.mark.nightly
def test_a_record_that_was_edited_after_its_training(scene: Scene) -> None:
    """Not in the same request, but before it."""
    scene.unguarded()
    path = f"models/delay/versions/{scene.version.version}.json"
    scene.town.push({path: (scene.town.main / path).read_text().replace("0.71", "0.99")}, "better")
    scene.guard()
    number = scene.branch("edited")
    scene.g.approve(number)
    scene.shut({number: ("records are never edited",)})
