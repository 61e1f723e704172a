from __future__ import annotations

from pathlib import Path

import pytest

from gitml.errors import SpecError
from gitml.spec import load_deployment, parse_deployment

A, B = "20260131T080000Z-3f2a90bc", "20260201T080000Z-77aa00ff"
PIN = f"{{version: {A}, digest: {'a' * 64}}}"


def test_champion_canary_shadow_and_hold(tmp_path: Path) -> None:
    path = tmp_path / "models" / "m" / "prod.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        f"champion: {PIN}\ncanary: {{version: {B}, digest: {'b' * 64}, weight: 10}}\n"
        "hold: {by: olga, reason: rolled back, until: 2026-03-01}\n"
    )
    state = load_deployment(path)
    assert state.champion.version == A
    assert state.canary is not None
    assert state.canary.weight == 10
    assert [pin.version for pin in state.pins] == [A, B]
    assert state.hold is not None
    assert state.hold.until is not None


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"champion: {PIN}\nchampion: {PIN}\n", 2, "duplicate key"),
        (f"champion: {PIN}\nshadow: [{PIN}]\n", 0, f"{A} is named twice"),
        (f"champion: {PIN}\ncanary: {{version: {B}, digest: {'b' * 64}, weight: 100}}\n", 2, "must be less than 100"),
        (f"champion: {{version: latest, digest: {'a' * 64}}}\n", 1, "'latest' is no version"),
        (f"champion: {{version: {A}, digest: abc}}\n", 1, "'abc' is no SHA-256"),
        (f"champion: {{version: {A}}}\n", 1, "the key 'digest' is missing"),
        ("champion:\n", 1, "has no value"),
        (f"shadow: [{PIN}]\n", 0, "the key 'champion' is missing"),
    ],
)
def test_a_wrong_desired_state_is_refused(text: str, line: int, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_deployment(text.encode(), "models/m/prod.yaml")
    (found,) = caught.value.problems
    assert (found.file, found.line) == ("models/m/prod.yaml", line)
    assert words in found.message
