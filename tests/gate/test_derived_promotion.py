"""What the bot proposes by policy.yaml is believed only where it follows from main and a statement of this version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conftest import git, packed
from gate.kit import NOW, POLICY, Scene, believed, new_scene
from gitml.derivation import promotion, proposal
from gitml.derivation.claim import Claim
from gitml.errors import GitmlError
from gitml.evidence.statement import Statement
from gitml.git.bot import BOT_EMAIL, BOT_NAME
from gitml.git.commands import Git
from gitml.git.edit import Who, commit_file, commit_tree, tree_with
from gitml.spec.deployment import parse_deployment

BOT = Who(BOT_NAME, BOT_EMAIL)
PATH = "models/delay/production.yaml"
CAUSE = "2026/11/20261124T120000Z-promoted-3f2a90bc11d2.json"
MOMENT = f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
PROPOSES = POLICY.replace("  production:\n", "  production:\n    propose: true\n")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """What is tried here moves no branch."""
    made = new_scene(tmp_path_factory.mktemp("promotion"))
    made.write("policy.yaml", PROPOSES)
    made.commit("propose")
    packed(made.root)
    return made


def came(scene: Scene, kind: str = "promoted", **about: Any) -> Statement:
    """A statement that the newer version came to staging, or something else."""
    made = believed(kind, scene.new, environment="staging").statement
    assert made is not None
    return replace(made, binding=made.binding.model_copy(update=about))


def claim(scene: Scene, *, causes: int = 1, subject: str = "delay production", moment: str = MOMENT) -> Claim:
    return Claim(promotion.NAME, scene.base, (CAUSE,) * causes, moment, subject)


def why_not(scene: Scene, said: Claim, *causes: Statement) -> str:
    try:
        made = proposal.commit_of(Git(scene.root), said, causes, "Promote", BOT)
    except GitmlError as exc:
        return exc.message
    named = dict(zip(said.causes, causes, strict=False))
    return proposal.why_not(Git(scene.root), made, said, named, scene.base)


def test_a_promotion_follows_from_what_ran_before(scene: Scene) -> None:
    made = proposal.commit_of(Git(scene.root), claim(scene), [came(scene)], "Promote", BOT)
    assert proposal.why_not(Git(scene.root), made, claim(scene), {CAUSE: came(scene)}, scene.base) == ""
    state = parse_deployment(Git(scene.root).read_file(made, PATH) or b"", PATH)
    assert state.champion.version == scene.new.version


@pytest.mark.parametrize(
    "about",
    [
        {"model": "other"},
        {"environment": "production"},
        {"environment": ""},
        {"version": "20261101T120000Z-00000001"},
        {"artifact": "0" * 64},
        {"result": "failed"},
        {"result": "inconclusive"},
        {"kind": "trained"},
        {"kind": "approved"},
        {"kind": "gate"},
    ],
    ids=str,
)
def test_a_statement_of_something_else_causes_nothing(scene: Scene, about: dict[str, Any]) -> None:
    assert "came to staging" in why_not(scene, claim(scene), came(scene, **about))
    both = claim(scene, causes=2)
    with pytest.raises(GitmlError, match="came to staging"):
        promotion.derive(Git(scene.root), both, [came(scene), came(scene, **about)])


def test_without_a_cause_or_for_another_place_nothing_follows(scene: Scene) -> None:
    assert "came to staging" in why_not(scene, claim(scene, causes=0))
    for subject in ("delay nowhere", "delay", "", "delay production more", "../delay production", "nobody production"):
        assert why_not(scene, claim(scene, subject=subject), came(scene)) != "", subject
    for moment in ("", "2026-11-25T12:00:00", "now"):
        held = replace(claim(scene, moment=moment), subject="delay production")
        assert "moment" in why_not(scene, held, came(scene))


def test_what_else_is_in_the_commit_or_another_base_makes_it_somebody_s(scene: Scene) -> None:
    here, said = Git(scene.root), claim(scene)
    made = proposal.commit_of(here, said, [came(scene)], "Promote", BOT)
    more = commit_file(here, made, "train.py", b"import evil\n", "x", BOT)
    tree = here.repository.tree_of(more) or ""
    named = {CAUSE: came(scene)}
    squashed = commit_tree(here, tree, [said.base], "x", BOT)
    assert "other files" in proposal.why_not(here, squashed, said, named, scene.base)
    program = tree_with(here.repository, tree, "policy.yaml", POLICY.encode())
    assert "other files" in proposal.why_not(
        here, commit_tree(here, program, [said.base], "x", BOT), said, named, scene.base
    )
    side = commit_file(here, scene.base, "policy.yaml", PROPOSES.encode() + b"# mine\n", "side", BOT)
    apart = replace(said, base=side)
    on_side = proposal.commit_of(here, apart, [came(scene)], "Promote", BOT)
    assert "not a commit of the default branch" in proposal.why_not(here, on_side, apart, named, scene.base)
    before = replace(said, base=git(scene.root, "rev-parse", "main~1"))
    assert "wants no promotion" in why_not(scene, before, came(scene))
