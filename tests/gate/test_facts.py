"""Facts for the gate out of real Git trees and a real DVC remote; nothing of the head is checked out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import git
from gate.kit import FOLDER, NOW, POLICY, Scene, believed, files_of, new_scene, record_of, skops
from gitml.control.mainline import Mainline
from gitml.dvc.addresses import places_of
from gitml.dvc.remotes import Depot, depot
from gitml.evidence.statement import SignedChange
from gitml.gate import version as gateversion
from gitml.gate.described import same_roles
from gitml.gate.facts import case_of
from gitml.gate.tree import Edits, edits
from gitml.gate.vouching import NoProofError
from gitml.gates.facts import Commit, Facts, Person, Unknown, Version
from gitml.git.commands import Git
from gitml.policy.change import Move
from gitml.policy.decision import Decision, decide
from gitml.policy.facts import Case, CountedReview, Pull
from gitml.registry.outputs import parse_metrics
from gitml.registry.record import Record
from gitml.spec.deployment import Pin
from gitml.verdict import Phase

PRODUCTION = "models/delay/production.yaml"
BOT = Person("gitml[bot]", 9, bot=True)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return new_scene(tmp_path_factory.mktemp("gate"))


@pytest.fixture
def scene(template: Scene) -> Scene:
    """For tests that leave main and the remote as they are: they share one."""
    return template


@pytest.fixture
def own(template: Scene, tmp_path: Path) -> Scene:
    shutil.copytree(template.root, tmp_path / "repo", symlinks=True)
    shutil.copytree(template.remote, tmp_path / "remote")
    return replace(template, root=tmp_path / "repo", remote=tmp_path / "remote")


@contextmanager
def remotes(scene: Scene) -> Iterator[Depot]:
    config = f"[core]\n    remote = r\n['remote \"r\"']\n    url = {scene.remote}\n"
    yield depot(places_of(config.encode()))


def promoted(scene: Scene, **files: Any) -> str:
    return scene.branch({PRODUCTION: f"champion: {scene.pin(scene.new)}\n", **files})


def found(scene: Scene, head: str) -> Edits:
    return edits(scene.main.git, scene.base, head)


def case(scene: Scene, head: str, *statements: Any, pull: Pull | Unknown | None = None, **changes: Any) -> Case:
    what = found(scene, head)
    assert len(what.deployments) == 1
    return case_of(scene.sources(*statements, **changes), what, what.deployments[0], pull or Unknown("a preview"))


def candidate(found: Case) -> Version:
    facts = found.candidates[0][2]
    assert isinstance(facts, Facts), facts
    return facts.candidate


def approved(head: str) -> Pull:
    review = CountedReview(Person("olga", 2), "APPROVED", head, NOW - timedelta(hours=1))
    commits = (Commit(head, (BOT,)),)
    return Pull(head, BOT, (BOT,), 7, asked_by=(Person("ada", 1),), commits=commits, reviews=(review,))


def decided(found: Case) -> Decision:
    from gitml.spec import parse_policy

    return decide(parse_policy(POLICY.encode()), found)


# edits


def test_a_promotion_is_one_edit_with_git_s_names_of_the_file(scene: Scene) -> None:
    head = promoted(scene)
    what = found(scene, head)
    (edit,) = what.deployments
    assert (edit.path, edit.model, edit.environment) == (PRODUCTION, "delay", "production")
    assert edit.old == git(scene.root, "rev-parse", f"main:{PRODUCTION}")
    assert edit.new == git(scene.root, "rev-parse", f"{head}:{PRODUCTION}")
    assert (what.refused, what.stale) == ((), "")


def test_code_alone_is_no_promotion(scene: Scene) -> None:
    assert found(scene, scene.branch({"train.py": "2"})) == Edits()


@pytest.mark.parametrize(
    "path", ["policy.yaml", ".github/workflows/x.yml", "CODEOWNERS", ".dvc/config", "gitml.yaml", "train.py", "a/\nb"]
)
def test_a_promotion_with_anything_else_is_refused(scene: Scene, path: str) -> None:
    head = promoted(scene, **{path: "x: 1\n"})
    what = found(scene, head)
    assert "as well" in what.refused[0]
    assert decided(case(scene, head)).phase is Phase.FAILED


def test_a_renamed_deployment_takes_two_edits_and_one_is_refused(scene: Scene) -> None:
    git(scene.root, "switch", "-q", "-c", "renamed")
    git(scene.root, "mv", PRODUCTION, "models/delay/moon.yaml")
    head = scene.commit()
    git(scene.root, "switch", "-q", "main")
    what = found(scene, head)
    assert {(e.environment, bool(e.new)) for e in what.deployments} == {("production", False), ("moon", True)}
    cases = [case_of(scene.sources(), what, e, Unknown("x")) for e in what.deployments]
    assert all(decided(c).phase is Phase.FAILED for c in cases if c.environment == "production")
    assert "no environment moon" in next(c.refused[0] for c in cases if c.environment == "moon")


def test_a_symlink_in_its_place_is_refused(scene: Scene) -> None:
    git(scene.root, "switch", "-q", "-c", "linked")
    (scene.root / PRODUCTION).unlink()
    os.symlink("staging.yaml", scene.root / PRODUCTION)
    head = scene.commit()
    git(scene.root, "switch", "-q", "main")
    assert "no plain file" in found(scene, head).refused[0]


def test_a_folder_that_becomes_a_symlink_deletes_deployments(scene: Scene) -> None:
    git(scene.root, "switch", "-q", "-c", "folder")
    shutil.move(scene.root / "models/delay", scene.root / "elsewhere")
    os.symlink("../elsewhere", scene.root / "models/delay")
    head = scene.commit()
    git(scene.root, "switch", "-q", "main")
    what = found(scene, head)
    assert what.refused
    assert {e.new for e in what.deployments} == {""}


def test_two_promotions_at_once_are_judged_one_after_the_other(own: Scene) -> None:
    head = promoted(own)
    own.write(PRODUCTION, f"champion: {own.pin(own.old)}\nhold: {{by: olga, reason: looking}}\n")
    own.commit("a hold came first")
    what = found(own, head)
    assert "changed on the base branch meanwhile" in what.stale
    assert decided(case(own, head)).phase is Phase.INCONCLUSIVE


def test_a_branch_without_common_history_is_refused(own: Scene) -> None:
    git(own.root, "switch", "-q", "--orphan", "alone")
    own.write(PRODUCTION, f"champion: {own.pin(own.new)}\n")
    head = own.commit()
    git(own.root, "switch", "-q", "-f", "main")
    assert "no history" in found(own, head).refused[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("champion: {pin}\nchampion: {pin}\n", "duplicate"),
        ("champion: {pin}\nroot: true\n", "root"),
        ("champion: {{version: 20260101T000000Z-00000000}}\n", "digest"),
        ("[1, 2", ""),
        ("\xff\xfe", ""),
    ],
)
def test_a_file_that_is_no_deployment_is_inconclusive(scene: Scene, text: str, said: str) -> None:
    raw = text.encode("latin-1") if text.startswith("\xff") else text.format(pin=scene.pin(scene.new)).encode()
    what = case(scene, scene.branch({PRODUCTION: raw}))
    assert isinstance(what.new, Unknown)
    assert said in what.new.reason
    assert decided(what).phase is Phase.INCONCLUSIVE


# versions


def test_a_version_is_read_from_what_its_record_vouches_for(scene: Scene) -> None:
    what = candidate(case(scene, promoted(scene)))
    assert (what.version, what.format, what.better) == (scene.new.version, "skops", {"auc": "higher"})
    assert not isinstance(what.metrics, Unknown)
    assert what.metrics["auc"].value == 0.71
    assert len(what.metrics["auc"].replicates) == 21
    assert what.resamples == "sha256:rows:7"
    assert what.data_until == datetime(2026, 11, 1, tzinfo=UTC)
    assert what.bias_audited == datetime(2026, 3, 2, tzinfo=UTC)
    assert not isinstance(what.slices, Unknown)
    assert what.slices[0]["rows"] == 500
    assert isinstance(what.verified, Unknown)


def test_the_champion_is_what_base_pins_with_its_own_files(scene: Scene) -> None:
    facts = case(scene, promoted(scene)).candidates[0][2]
    assert isinstance(facts, Facts)
    assert isinstance(facts.champion, Version)
    assert not isinstance(facts.champion.metrics, Unknown)
    assert facts.champion.metrics["auc"].value == 0.70  # not the newer file that lies at the same path
    assert facts.pinned == frozenset({"staging"})
    assert facts.order == ("staging", "production")


def test_a_record_that_was_edited_after_it_came_in_is_none(own: Scene) -> None:
    """Its digest covers what the model was made from, and not its metrics: whoever edits these must not get through."""
    raised = {"auc": own.new.metrics["auc"].model_copy(update={"value": 0.99, "high": 1.0})}
    other = own.new.model_copy(update={"metrics": raised})
    own.write(f"models/delay/versions/{own.new.version}.json", other.to_json())
    own.commit("tidy up")
    what = decided(case(own, promoted(own)))
    assert "never edited" in what.verdicts["version"].reason


def brought(own: Scene, created: str, **how: Any) -> Record:
    """A version that a hand-made record brings: all that has a digest is as an honest one's."""
    files = files_of(0.72, skops("fresh"))
    made = record_of(created, 0.72, files)
    record = Record.model_validate({**made.model_dump(exclude_none=True), **how})
    for path, raw in files.items():
        own.write(path, raw)
    own.write(f"models/delay/versions/{record.version}.json", record.to_json())
    own.commit(record.version)
    return record


def test_what_servers_read_in_a_record_is_what_its_files_say(own: Scene) -> None:
    """Inputs swapped from the start, in a record whose digests are all right: servers would mix them up."""
    said = json.loads(files_of(0.72, skops("fresh"))[f"{FOLDER}/signature.json"])
    swapped = {**said, "inputs": [*said["inputs"], {"name": "x", "type": "float64"}]}
    for minute, (signature, why) in enumerate([(said, ""), (swapped, "another signature than its signature file")]):
        record = brought(own, f"2026-11-24T15:{minute:02}:00Z", signature=signature)
        head = own.branch({PRODUCTION: f"champion: {own.pin(record)}\n"})
        facts = case(own, head).candidates[0][2]
        assert facts.reason.endswith(why) if isinstance(facts, Unknown) else not why, facts
    hold = "hold: {by: olga, reason: broken, until: 2026-12-01}"
    back = own.branch({PRODUCTION: f"champion: {own.pin(record)}\n{hold}\n"})
    assert not isinstance(case(own, back).candidates[0][2], Unknown), "who goes back has no time for this"


def test_a_record_names_the_files_that_gitml_yaml_names(own: Scene) -> None:
    application = (own.root / "gitml.yaml").read_text().replace("    slices:", "    samples: s.parquet\n    slices:")
    own.write("gitml.yaml", application)
    made = own.commit("samples")
    roles = {**own.new.roles, "samples": "s.parquet"}
    same_roles(own.main, own.new.model_copy(update={"commit": made, "roles": roles}))
    for wrong in (own.new.roles, {**roles, "samples": "other.parquet"}, {**roles, "signature": "other.json"}):
        with pytest.raises(NoProofError, match="its record names") as caught:
            same_roles(own.main, own.new.model_copy(update={"commit": made, "roles": wrong}))
        assert caught.value.contradicts
    with pytest.raises(NoProofError, match="does not say what the files"):
        same_roles(own.main, own.new.model_copy(update={"commit": made, "model": "other"}))


def test_the_champions_record_counts_as_it_came_in_whoever_edits_it_later(own: Scene) -> None:
    """Else whoever may write lowers what the candidate is compared with, or stops all promotions."""
    lowered = {"auc": own.old.metrics["auc"].model_copy(update={"value": 0.1, "low": 0.0})}
    other = own.old.model_copy(update={"metrics": lowered})
    own.write(f"models/delay/versions/{own.old.version}.json", other.to_json())
    own.commit("tidy up")
    facts = case(own, promoted(own)).candidates[0][2]
    assert not isinstance(facts, Unknown)
    assert isinstance(facts.champion, Version)
    assert not isinstance(facts.champion.metrics, Unknown)
    assert facts.champion.metrics["auc"].value == 0.70


def test_a_shallow_clone_says_nothing_of_versions(scene: Scene, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{scene.root}", "shallow")
    main = Mainline(Git(tmp_path / "shallow"), git(scene.root, "rev-parse", "main"))
    found = gateversion.record_of(
        main, "delay", Pin(version=scene.new.version, digest=scene.new.files[scene.new.artifact].sha256)
    )
    assert isinstance(found, Unknown)
    assert "shallow" in found.reason


def test_a_record_that_says_other_metrics_than_its_file(own: Scene) -> None:
    other = own.add({}, metrics={"auc": {"value": 0.99}})
    what = candidate(case(own, own.branch({PRODUCTION: f"champion: {own.pin(other)}\n"})))
    assert isinstance(what.metrics, Unknown)
    assert "says other metrics" in what.metrics.reason


def test_the_spread_of_fits_with_other_seeds_is_a_fact_as_it_is_in_reports(own: Scene) -> None:
    refits = [0.70, 0.71, 0.72, 0.71, 0.71]
    raw = json.dumps({"auc": {"value": 0.71, "low": 0.70, "high": 0.72, "refits": refits}}).encode()
    other = own.add({"metrics.json": raw}, metrics=parse_metrics(raw, "metrics.json"))
    what = candidate(case(own, own.branch({PRODUCTION: f"champion: {own.pin(other)}\n"})))
    assert not isinstance(what.metrics, Unknown)
    found = what.metrics["auc"].refits
    assert found is not None
    assert found.count == 5


def test_a_file_that_is_not_the_one_of_the_record(own: Scene) -> None:
    other = own.add({"metrics.json": b"{}"}, written={"metrics.json": b'{"auc": 0.99}'})
    what = candidate(case(own, own.branch({PRODUCTION: f"champion: {own.pin(other)}\n"})))
    assert isinstance(what.metrics, Unknown)
    assert "nowhere to be had" in what.metrics.reason


def test_a_version_that_only_the_head_has_is_not_known(own: Scene) -> None:
    path = f"models/delay/versions/{own.new.version}.json"
    git(own.root, "rm", "-q", "--cached", path)
    raw = (own.root / path).read_text()
    (own.root / path).unlink()
    own.commit("gone")
    what = case(own, own.branch({PRODUCTION: f"champion: {own.pin(own.new)}\n", path: raw}))
    assert isinstance(what.candidates[0][2], Unknown)
    assert decided(what).phase is Phase.FAILED


def test_a_digest_that_is_not_the_record_s(scene: Scene) -> None:
    pin = f"{{version: {scene.new.version}, digest: {'a' * 64}}}"
    what = case(scene, scene.branch({PRODUCTION: f"champion: {pin}\n"}))
    assert "its record says" in decided(what).verdicts["version"].reason


@pytest.mark.parametrize(
    ("name", "raw", "field", "said"),
    [
        ("signature.json", b'{"inputs": [], "inputs": [], "outputs": []}', "signature", "twice"),
        ("slices.json", b'[{"column": "origin", "rows": NaN}]', "slices", "NaN"),
        ("slices.json", b'{"column": "origin"}', "slices", "no list"),
        ("metrics.json", b'{"auc": "0.9"}', "metrics", "auc"),
        ("signature.json", b"[" * 100_000, "signature", ""),
        ("signature.json", b'{"inputs": [], "outputs": [], "data_until": "soon"}', "data_until", "soon"),
        ("signature.json", b'{"inputs": [], "outputs": [], "data_until": 20130331}', "data_until", "no text"),
        ("signature.json", b'{"inputs": [], "outputs": []}', "data_until", "does not say"),
    ],
)
def test_files_that_are_not_what_they_should_be(own: Scene, name: str, raw: bytes, field: str, said: str) -> None:
    other = own.add({name: raw})
    head = own.branch({PRODUCTION: f"champion: {own.pin(other)}\n"})
    value = getattr(candidate(case(own, head)), field)
    assert isinstance(value, Unknown), value
    assert said in value.reason


# the artifact


def test_the_artifact_s_bytes_on_the_remote_are_compared(scene: Scene) -> None:
    with remotes(scene) as there:
        assert (
            candidate(case(scene, promoted(scene), depot=there)).verified == "its bytes on the DVC remote were compared"
        )


def test_an_artifact_that_was_swapped_or_is_gone(own: Scene) -> None:
    objects = [p for p in own.remote.rglob("*") if p.is_file()]
    for path in objects:
        path.write_bytes(b"\x80\x04evil")
    with remotes(own) as there:
        swapped = candidate(case(own, promoted(own), depot=there)).verified
        assert isinstance(swapped, Unknown)
        assert "cannot be compared" in swapped.reason
        for path in objects:
            path.unlink()
        what = case(own, own.branch({PRODUCTION: f"champion: {own.pin(own.new)}\n\n"}), depot=there)
        gone = candidate(what).verified
        assert isinstance(gone, Unknown)
        assert gone.reason == "no DVC remote has the artifact"


def test_a_job_of_main_that_loaded_it_is_as_good(scene: Scene) -> None:
    head = promoted(scene)
    assert isinstance(candidate(case(scene, head, believed("evaluated", scene.new))).verified, str)
    for other in (
        believed("evaluated", scene.new, reason="its key expired"),
        believed("evaluated", scene.old),
        believed("evaluated", scene.new, result="failed"),
        believed("trained", scene.new),
    ):
        assert isinstance(candidate(case(scene, head, other)).verified, Unknown)


# the ledger


def test_what_people_signed_of_another_content_or_file_does_not_count(scene: Scene) -> None:
    here, there = (
        SignedChange(path=path, old="", new="1" * 40) for path in (PRODUCTION, "other/models/delay/production.yaml")
    )
    statements = [believed("overridden", scene.new, change=change, by="olga") for change in (here, there)]
    proofs = case(scene, promoted(scene), *statements).proofs
    assert not isinstance(proofs, Unknown)
    assert ["is of another change" in p.why_not for p in proofs] == [True, True]


def test_an_override_is_of_one_pull_request_and_spent_when_the_file_has_changed_since(own: Scene) -> None:
    """A→B was overridden, B→A, and days later A→B once more: it used to be green."""
    head = promoted(own)
    edit = found(own, head).deployments[0]
    change = SignedChange(path=PRODUCTION, old=edit.old, new=edit.new)
    about = {"change": change, "environment": "production", "by": "olga", "pull": 7}
    said = believed("overridden", own.new, **about, base=own.base)

    def doubts(at: str, number: int = 7) -> list[str]:
        proofs = case(own, at, said, pull=replace(approved(at), number=number)).proofs
        assert not isinstance(proofs, Unknown)
        return [p.why_not for p in proofs]

    assert doubts(head) == [""]
    assert doubts(head, 9) == ["is of pull request 7"]
    before = git(own.root, "show", f"main:{PRODUCTION}") + "\n"
    for content in (f"champion: {own.pin(own.new)}\n", before):
        own.write(PRODUCTION, content)
        own.commit("there and back")
    again = promoted(own)
    same = found(own, again).deployments[0]
    assert (same.old, same.new) == (edit.old, edit.new)
    (why,) = doubts(again)
    assert "has changed the file since" in why


def test_a_clock_that_is_a_little_ahead_is_forgiven_as_trust_does(scene: Scene) -> None:
    soon = believed("trained", scene.new, time="2026-11-25T12:01:00Z")
    doubted = believed("trained", scene.new, reason="is in the future", time="2027-11-25T12:01:00Z")
    for said, phase in ((soon, Phase.SUCCESSFUL), (doubted, Phase.INCONCLUSIVE)):
        assert decided(case(scene, promoted(scene), said)).verdicts["trained"].phase is phase


def test_a_ledger_that_cannot_be_read(scene: Scene) -> None:
    what = decided(case(scene, promoted(scene), believed=Unknown("502")))
    assert what.verdicts["trained"].phase is Phase.INCONCLUSIVE
    assert "502" in what.verdicts["trained"].reason


# the whole


def test_from_trees_and_ledger_to_an_open_gate(scene: Scene) -> None:
    head = promoted(scene)
    evidence = (believed("trained", scene.new, by="ada"), believed("evaluated", scene.new))
    what = decided(case(scene, head, *evidence, pull=approved(head)))
    assert what.is_open, [f"{n}: {v.reason}" for n, v in what.verdicts.items() if v.phase is not Phase.SUCCESSFUL]
    shut = decided(case(scene, head, pull=approved(head)))
    assert shut.phase is Phase.INCONCLUSIVE
    assert shut.verdicts["trained"].phase is Phase.INCONCLUSIVE


def test_a_rollback_from_trees(own: Scene) -> None:
    own.write(PRODUCTION, f"champion: {own.pin(own.new)}\n")
    own.commit("promoted")
    back = f"champion: {own.pin(own.old)}\nhold: {{by: olga, reason: wrong alerts}}\n"
    head = own.branch({PRODUCTION: back})
    ran = believed("promoted", own.old, environment="production")
    what = decided(case(own, head, ran, pull=approved(head)))
    assert (what.move, what.is_open) == (Move.ROLLBACK, True)
    assert not decided(case(own, head, pull=approved(head))).is_open


def test_nothing_of_the_head_is_checked_out(scene: Scene) -> None:
    head = promoted(scene)
    before = {p: p.stat().st_mtime_ns for p in scene.root.rglob("*") if ".git" not in p.parts}
    case(scene, head)
    assert {p: p.stat().st_mtime_ns for p in scene.root.rglob("*") if ".git" not in p.parts} == before
    assert git(scene.root, "status", "--porcelain") == ""


def test_an_application_below_the_top_of_the_repository(scene: Scene, tmp_path: Path) -> None:
    root = tmp_path / "mono"
    shutil.copytree(scene.root, root / "apps" / "flights", ignore=shutil.ignore_patterns(".git"))
    git(root, "init", "-q", "-b", "main")
    inner = replace(scene, root=root / "apps" / "flights")
    inner.commit("all")
    what = found(inner, promoted(inner))
    assert what.deployments[0].path == f"apps/flights/{PRODUCTION}"
    assert what.deployments[0].old
    beside = inner.branch({"../../models/delay/production.yaml": "champion: x\n"})
    assert found(inner, beside) == Edits()  # another application's, or nobody's
