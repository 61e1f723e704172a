from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.errors import SpecError
from gitml.spec import Deployment, load_deployment, parse_deployment, render_deployment
from gitml.spec.deployment import Canary, Hold, Pin, VersionHold
from gitml.spec.schema import schema_of
from gitml.spec.yamlfile import parse

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


DIGESTS = st.one_of(
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.sampled_from(["1" * 64, "0" * 64, "1e" + "5" * 62, "0" * 63 + "7"]),
)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
HOLDS = st.builds(Hold, by=st.sampled_from(["ada", "o-lga", "123"]), reason=WORDS, until=st.none() | TIMES)
WEIGHTS = st.floats(0, 100, exclude_min=True, exclude_max=True) | st.sampled_from([10.0, 1.0, 0.5, 1e-7, 99.999])


@st.composite
def deployments(draw: st.DrawFn) -> Deployment:
    versions = draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5, unique=True))
    pins = [Pin(version=f"20260131T080000Z-{v:08x}", digest=draw(DIGESTS)) for v in versions]
    champion, *rest = pins
    canary = None
    if rest and draw(st.booleans()):
        first, *rest = rest
        canary = Canary(version=first.version, digest=first.digest, weight=draw(WEIGHTS))
    held: tuple[VersionHold, ...] = ()
    if rest and draw(st.booleans()):
        gone = draw(HOLDS)
        held = (VersionHold(version=rest.pop().version, **gone.model_dump()),)
    return Deployment(champion=champion, canary=canary, shadow=tuple(rest), hold=draw(st.none() | HOLDS), held=held)


@given(deployments())
def test_what_is_written_is_read_again_and_written_the_same(deployment: Deployment) -> None:
    text = render_deployment(deployment)
    assert parse_deployment(text.encode(), "models/m/production.yaml") == deployment
    assert render_deployment(parse_deployment(text.encode(), "models/m/production.yaml")) == text
    data = parse(text.encode(), "x.yaml").data
    assert list(jsonschema.Draft202012Validator(schema_of("deployment")).iter_errors(data)) == []


def test_a_written_file_is_one_that_people_can_read() -> None:
    hold = Hold(by="olga", reason='late "alerts": 3\n', until=datetime(2026, 3, 1, tzinfo=UTC))
    pins = [Pin(version=v, digest=c * 64) for v, c in ((A, "a"), ("20260301T080000Z-00000001", "1"))]
    canary = Canary(version=B, digest="b" * 64, weight=10)
    state = Deployment(champion=pins[0], canary=canary, shadow=(pins[1],), hold=hold)
    assert render_deployment(state) == (
        "# yaml-language-server: $schema=../../schemas/deployment.schema.json\n"
        f'champion:\n  version: {A}\n  digest: "{"a" * 64}"\n'
        f'canary:\n  version: {B}\n  digest: "{"b" * 64}"\n  weight: 10\n'
        f'shadow:\n  - version: 20260301T080000Z-00000001\n    digest: "{"1" * 64}"\n'
        'hold:\n  by: "olga"\n  reason: "late \\"alerts\\": 3\\n"\n  until: "2026-03-01T00:00:00Z"\n'
    )
