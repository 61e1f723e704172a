from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.errors import Problem, SpecError, UsageError
from gitml.spec import find_root, load_application, parse_application

MINIMAL = b"application: toy\nmodels:\n  m: {artifact: m.skops, metrics: m.json}\n"


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        parse_application(text.encode())
    return caught.value.problems


def with_model(lines: str) -> str:
    return f"application: toy\nmodels:\n  m:\n    artifact: m.skops\n    metrics: m.json\n{lines}"


def test_two_paths_are_enough() -> None:
    app = parse_application(MINIMAL)
    model = app.models["m"]
    assert model.artifact_format == "skops"
    assert model.origin == "pipeline"
    assert model.outputs == {"artifact": "m.skops", "metrics": "m.json"}
    assert app.hardware == {"cpu": ("ubuntu-latest",)}
    assert app.hardware_of("anything") == "cpu"


def test_stages_take_named_hardware_and_the_first_otherwise() -> None:
    extra = "hardware: {big: [self-hosted], gpu: [self-hosted, gpu]}\nstages: {train: {hardware: gpu, timeout: 30m}}\n"
    app = parse_application(MINIMAL + extra.encode())
    assert app.hardware_of("train") == "gpu"
    assert app.hardware_of("other") == "big"
    assert app.stages["train"].timeout is not None
    assert app.stages["train"].timeout.total_seconds() == 1800


def test_models_are_frozen() -> None:
    app = parse_application(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        app.application = "other"  # type: ignore[misc]


def test_every_mistake_at_once_each_with_line_and_hint() -> None:
    found = problems(
        "application: Toy App\n"
        "models:\n"
        "  m:\n"
        "    artefact: m.skops\n"
        "    metrics: 5\n"
        "    format: skop\n"
        "hardware: {cpu: []}\n"
        "stages: {train: {timeout: soon}}\n"
        "descripton: x\n"
    )
    assert [(p.line, p.key) for p in found] == [
        (1, "application"),
        (3, "models.m.artifact"),
        (4, "models.m.artefact"),
        (5, "models.m.metrics"),
        (6, "models.m.format"),
        (7, "hardware.cpu"),
        (8, "stages.train.timeout"),
        (9, "descripton"),
    ]
    said = {p.key: (p.message, p.hint) for p in found}
    assert said["models.m.artefact"] == ("unknown key 'artefact'", "did you mean 'artifact'?")
    assert said["models.m.artifact"][0] == "the key 'artifact' is missing"
    assert said["models.m.metrics"][0] == "must be text, but is 5"
    assert said["models.m.format"][1] == "did you mean 'skops'?"
    assert said["hardware.cpu"][0] == "must not be empty"
    assert said["stages.train.timeout"] == ("'soon' is no duration", "write it like 30s, 30m, 12h, 90d or 2w")
    assert said["descripton"][1] == "did you mean 'description'?"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../m.skops", "leads out of the folder"),
        ("a/../../m.skops", "leads out of the folder"),
        ("/m.skops", "is not relative"),
        ("C:/m.skops", "is not relative"),
        ("~/m.skops", "is not relative"),
        ("a\\\\m.skops", "has a backslash"),
        (".git/m.skops", "a place of Git or DVC"),
        ("a/.GIT/m.skops", "a place of Git or DVC"),
        (".dvc/m.skops", "a place of Git or DVC"),
        ("a//m.skops", "is no path of a file"),
        ("./m.skops", "is no path of a file"),
        ("a/", "is no path of a file"),
        ("", "is no path of a file"),
        ("a\\nb.skops", "is no path of a file"),
    ],
)
def test_paths_stay_inside(path: str, words: str) -> None:
    (found,) = problems(f'application: toy\nmodels:\n  m:\n    artifact: "{path}"\n    metrics: m.json\n')
    assert (found.line, found.key) == (4, "models.m.artifact")
    assert words in found.message
    assert found.hint


@pytest.mark.parametrize("name", ["Delay", "a b", "-a", "a.", "a..b", "a.lock", "x" * 65, "con", "é", "a/b", "''"])
def test_names_that_cannot_be_folders_and_branches_are_refused(name: str) -> None:
    (found,) = problems(f"application: toy\nmodels:\n  {name}: {{artifact: m.skops, metrics: m.json}}\n")
    assert found.line == 3


def test_the_suffix_or_format_says_how_the_artifact_is_stored() -> None:
    base = "application: toy\nmodels:\n  m:\n    metrics: m.json\n"
    (unknown,) = problems(base + "    artifact: m.bin\n")
    assert "does not say how it is stored" in unknown.message
    (torn,) = problems(base + "    artifact: m.skops\n    format: onnx\n")
    assert "named like skops, but format says onnx" in torn.message
    assert parse_application((base + "    artifact: m.bin\n    format: onnx\n").encode()).models["m"].format == "onnx"
    assert parse_application((base + "    artifact: m.joblib\n").encode()).models["m"].artifact_format == "pickle"


@pytest.mark.parametrize("line", ["better:", "packages: ~", "charts: null"])
def test_a_key_without_a_value_is_no_missing_key(line: str) -> None:
    found = problems(with_model(f"    {line}\n"))
    assert [(p.line, p.message) for p in found] == [(6, "has no value")]


def test_texts_have_an_end() -> None:
    (found,) = problems(
        f"application: toy\nmodels: {{m: {{artifact: m.onnx, metrics: m}}}}\nhardware: {{a: [{'x' * 201}]}}\n"
    )
    assert found.message == "must have at most 200 characters, but has 201"


def test_better_has_two_directions() -> None:
    (found,) = problems(with_model("    better: {auc: hihger}\n"))
    assert (found.line, found.key, found.hint) == (6, "models.m.better.auc", "did you mean 'higher'?")


def test_root_is_found_from_below_in_a_larger_repository(tmp_path: Path) -> None:
    app = tmp_path / "repo" / "apps" / "toy"
    (app / "pipelines" / "deep").mkdir(parents=True)
    (tmp_path / "repo" / ".git").mkdir()
    (app / "gitml.yaml").write_bytes(MINIMAL)
    assert find_root(app / "pipelines" / "deep") == app
    assert load_application(find_root(app)).application == "toy"
    with pytest.raises(UsageError, match=r"there is no gitml\.yaml"):
        find_root(tmp_path / "repo")
    with pytest.raises(UsageError, match="is not a folder"):
        find_root(tmp_path / "nowhere")


names = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True).filter(lambda n: n not in {"con", "prn", "aux", "nul"})
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
models = st.fixed_dictionaries(
    {"artifact": paths.map(lambda p: p + ".onnx"), "metrics": paths},
    optional={"slices": paths, "description": st.text(max_size=20), "better": st.dictionaries(names, st.just("lower"))},
)


@given(st.fixed_dictionaries({"application": names, "models": st.dictionaries(names, models, min_size=1, max_size=3)}))
def test_valid_documents_round_trip(data: dict[str, object]) -> None:
    app = parse_application(json.dumps(data).encode())
    assert app.model_dump(mode="json", exclude_unset=True) == data
    assert parse_application(json.dumps(app.model_dump(mode="json", exclude_unset=True)).encode()) == app


def test_ci_has_defaults_that_need_no_line() -> None:
    app = parse_application(MINIMAL)
    assert (app.train.commit, app.publisher, app.ci.python) == ("ready", "auto", "3.12")
    assert (app.ci.gitml, app.ci.oidc, app.ci.secrets, app.ci.app, app.ci.forks) == (None, None, (), False, True)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("train: {commit: reddy}", "must be 'ready', 'push' or 'label'", "did you mean 'ready'?"),
        ("publisher: clm", "must be 'auto', 'gitml' or 'cml'", "did you mean 'cml'?"),
        ("ci: {python: 3.10}", "3.1 is a number", 'such as "3.12"'),
        ("ci: {python: '2.7'}", "is no version of Python", '"3.12"'),
        ("ci: {gitml: flask}", "does not say which gitml", "gitml==0.1.0"),
        ("ci: {gitml: 'gitml>=1'}", "does not say which gitml", "gitml==0.1.0"),
        ("ci: {gitml: 'gitml @ https://x/${{github.token}}'}", "does not say which gitml", "gitml==0.1.0"),
        ("ci: {secrets: [aws-key]}", "is no name of a secret", "capital letters"),
        ("ci: {secrets: [GITHUB_TOKEN]}", "belongs to the CI system", "another name"),
        ("ci: {secrets: ['A }} ${{ B']}", "is no name of a secret", "capital letters"),
        ("hardware: {cpu: ['${{ github.head_ref }}']}", "is no label", "plainly"),
        ('hardware: {cpu: ["a\\nb"]}', "is no label", "plainly"),
    ],
)
def test_what_ci_could_not_take_is_refused(line: str, message: str, hint: str) -> None:
    (problem,) = problems(f"{MINIMAL.decode()}{line}\n")
    assert message in problem.message
    assert hint in problem.hint
    assert problem.line == 4


@pytest.mark.parametrize("place", ["gitml==1.2.0rc1", "gitml @ git+https://git.example.org/gitml@v0.1.0"])
def test_gitml_comes_from_one_version_or_place(place: str) -> None:
    assert parse_application(f"{MINIMAL.decode()}ci: {{gitml: '{place}'}}\n".encode()).ci.gitml == place
