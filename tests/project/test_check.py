# ruff: noqa: E501 (the table of mistakes reads best with one mistake a line)
from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import gitml, write
from gitml.errors import Problem
from gitml.project.check import check

APP = {
    "gitml.yaml": """\
application: toy
models:
  m:
    packages: lock.txt
    artifact: out/m.onnx
    metrics: out/m.json
    better: {auc: higher, loss: lower}
hardware: {cpu: [ubuntu-latest]}
stages: {train: {hardware: cpu}}
""",
    "policy.yaml": """\
roles: {ops: {people: [olga]}}
environments:
  staging:
    approvals: {ops: 1}
    gates: {metrics: {auc: {at_least: 0.6}}}
""",
    "dvc.yaml": """\
stages:
  train:
    cmd: python train.py
    deps: [train.py, lock.txt]
    params: [model.rate]
    outs: [out/m.onnx]
    metrics:
      - out/m.json: {cache: false}
""",
    "params.yaml": "model: {rate: 0.5}\n",
    "train.py": "",
    "lock.txt": "",
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    write(tmp_path, APP)
    return tmp_path


def edit(app: Path, file: str, old: str, new: str) -> None:
    text = (app / file).read_text()
    assert old in text
    (app / file).write_text(text.replace(old, new, 1))


def only(app: Path) -> Problem:
    (found,) = check(app).problems
    return found


def test_a_good_application_has_no_problem(app: Path) -> None:
    report = check(app)
    assert report.problems == ()
    assert dict(report.counts) == {"models": 1, "stages": 1, "environments": 1, "deployments": 0}


def test_the_trained_application_has_no_problem(trained: Path) -> None:
    assert check(trained).problems == ()


@pytest.mark.parametrize(
    ("file", "old", "new", "where", "key", "words", "hint"),
    [
        ("gitml.yaml", "out/m.onnx", "out/n.onnx", "gitml.yaml:5", "models.m.artifact", "no stage of dvc.yaml writes", "out/m.onnx"),
        ("gitml.yaml", "lock.txt", "lok.txt", "gitml.yaml:4", "models.m.packages", "lok.txt is not there", ""),
        ("gitml.yaml", "train:", "tran:", "gitml.yaml:9", "stages.tran", "has no stage 'tran'", "'train'"),
        ("gitml.yaml", "hardware: cpu", "hardware: cpo", "gitml.yaml:9", "stages.train.hardware", "no hardware 'cpo'", "'cpu'"),
        ("gitml.yaml", "metrics: out/m.json", "metrics: out/m.onnx", "gitml.yaml:6", "models.m.metrics", "the place of m's artifact", ""),
        ("dvc.yaml", ", lock.txt", "", "dvc.yaml:2", "stages.train", "does not depend on lock.txt", "lock.txt"),
        ("dvc.yaml", "train.py, ", "trian.py, ", "dvc.yaml:4", "stages.train.deps[0]", "trian.py is not there", ""),
        ("dvc.yaml", "train.py, ", "/etc/passwd, ", "dvc.yaml:4", "stages.train.deps[0]", "other machines do not have", ""),
        ("dvc.yaml", "model.rate", "model.rat", "dvc.yaml:5", "stages.train.params[0]", "no param 'model.rat'", "'model.rate'"),
        ("dvc.yaml", "[out/m.onnx]", "[out/m.onnx, ../x]", "dvc.yaml:6", "stages.train.outs[1]", "outside the folder", ""),
        ("dvc.yaml", "[out/m.onnx]", "[out/m.onnx, OUT/m.onnx]", "dvc.yaml:6", "stages.train.outs[1]", "in capital letters only", "Windows"),
        ("dvc.yaml", "[out/m.onnx]", "[out/m.onnx, out/m.onnx/x]", "dvc.yaml:6", "stages.train.outs[1]", "lies inside out/m.onnx", ""),
        ("dvc.yaml", "[out/m.onnx]", "[out/m.onnx: {cache: false}]", "dvc.yaml:6", "stages.train.outs[0]", "keeps it out of DVC", ""),
        ("dvc.yaml", "train.py, lock", "out/m.onnx, lock", "dvc.yaml:2", "stages.train", "wait for one another", ""),
        ("policy.yaml", "ops: 1", "opps: 1", "policy.yaml:4", "environments.staging.approvals.opps", "no role 'opps'", "'ops'"),
        ("policy.yaml", "auc:", "auk:", "policy.yaml:5", "environments.staging.gates.metrics.auk", "no metric 'auk'", "'auc'"),
        ("params.yaml", "model: {rate: 0.5}", "model: {rate: 1, rate: 2}", "params.yaml:1", "model.rate", "duplicate key", ""),
    ],
)  # fmt: skip
def test_each_mistake_is_found_where_it_is(
    app: Path, file: str, old: str, new: str, where: str, key: str, words: str, hint: str
) -> None:
    edit(app, file, old, new)
    found = [p for p in check(app).problems if p.key == key]
    assert [f"{p.file}:{p.line}" for p in found] == [where], check(app).problems
    assert words in found[0].message
    assert hint in found[0].hint


def test_all_files_are_checked_even_when_several_are_broken(app: Path) -> None:
    edit(app, "gitml.yaml", "artifact", "artefact")
    edit(app, "policy.yaml", "roles", "role")
    edit(app, "dvc.yaml", "params", "parms")
    write(app, {"params.yaml": "a: [\n", "models/m/staging.yaml": "champion: x\n"})
    found = check(app).problems
    assert [p.file for p in found] == sorted(p.file for p in found)
    assert {p.file for p in found} == {
        "dvc.yaml", "gitml.yaml", "models/m/staging.yaml", "params.yaml", "policy.yaml"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("slices: [{column: c, metric: auc, at_least: 0.5, min_rows: 9}]", "reads the slices of a model"),
        ("fairness: [{column: c, metric: auc, ratio_at_least: 0.8, min_rows: 9}]", "reads the slices of a model"),
        ("signature: compatible", "reads the signature of a model"),
        ("latency: 20ms", "reads the samples of a model"),
        ("champion: {auc: {margin: 0}}", "reads the replicates of a model"),
    ],
)
def test_gates_that_could_never_open(app: Path, gate: str, words: str) -> None:
    edit(app, "policy.yaml", "{metrics: {auc: {at_least: 0.6}}}", f"{{{gate}}}")
    found = only(app)
    assert (found.file, found.line) == ("policy.yaml", 5)
    assert words in found.message


def test_a_metric_in_the_metrics_file_is_known_and_a_models_own_gates_count(app: Path) -> None:
    edit(app, "policy.yaml", "auc:", "brier:")
    assert "no metric 'brier'" in only(app).message
    write(app, {"out/m.json": json.dumps({"brier": 0.1})})
    assert check(app).problems == ()
    write(app, {"out/m.json": "not json"})
    edit(app, "policy.yaml", "    gates:", "    models: {m: {gates: {metrics: {auc: {at_least: 0.6}}}}}\n    gates:")
    assert check(app).problems == ()
    edit(app, "policy.yaml", "{m: {gates", "{mm: {gates")
    assert {p.key for p in check(app).problems} == {
        "environments.staging.models.mm",
        "environments.staging.gates.metrics.brier",
    }


def test_slices_gates_name_columns_and_metrics_of_the_slices_file(app: Path) -> None:
    edit(app, "gitml.yaml", "    better", "    slices: out/s.json\n    better")
    edit(app, "dvc.yaml", "[out/m.onnx]", "[out/m.onnx, out/s.json]")
    rule = "{column: origin, metric: recall, ratio_at_least: 0.8, min_rows: 9}"
    edit(app, "policy.yaml", "{metrics: {auc: {at_least: 0.6}}}", f"{{fairness: [{rule}]}}")
    assert check(app).problems == ()
    groups = [
        {"column": "origin", "value": "a", "rows": 9, "metrics": {"recall": 1}},
        {"column": "x", "too_small": True},
    ]
    write(app, {"out/s.json": json.dumps(groups)})
    assert check(app).problems == ()
    edit(app, "policy.yaml", "metric: recall", "metric: recal")
    found = only(app)
    assert (found.line, found.key) == (5, "environments.staging.gates.fairness[0].metric")
    assert found.hint == "did you mean 'recall'?"
    edit(app, "policy.yaml", "column: origin", "column: orign")
    assert "have no column 'orign'" in only(app).message


def test_a_model_from_elsewhere_needs_no_stages(app: Path) -> None:
    bought = "  bought: {origin: external, artifact: bought/b.onnx, metrics: bought/b.json, better: {auc: higher}}\n"
    edit(app, "gitml.yaml", "hardware", bought + "hardware")
    assert check(app).problems == ()
    edit(app, "gitml.yaml", "bought/b.onnx", "out/m.onnx")
    assert any("the model is external" in p.message for p in check(app).problems)


def test_only_external_models_need_no_dvc_yaml(app: Path) -> None:
    (app / "dvc.yaml").unlink()
    missing = only(app)
    assert (missing.file, missing.message) == ("dvc.yaml", "the file is missing")
    write(
        app,
        {
            "gitml.yaml": APP["gitml.yaml"]
            .replace("    packages: lock.txt", "    origin: external")
            .split("hardware")[0]
        },
    )
    assert check(app).problems == ()


def test_shared_stages_may_follow_the_packages_of_either_model(app: Path) -> None:
    edit(
        app,
        "gitml.yaml",
        "hardware",
        "  n: {packages: lock2.txt, artifact: n.onnx, metrics: n.json, better: {auc: higher}}\nhardware",
    )
    shared = "  ingest: {cmd: x, deps: [lock.txt], outs: [data]}\n"
    other = "  n: {cmd: x, deps: [data, lock2.txt], outs: [n.onnx], metrics: [n.json]}\n"
    edit(app, "dvc.yaml", "stages:\n", "stages:\n" + shared + other)
    edit(app, "dvc.yaml", "[train.py,", "[data, train.py,")
    write(app, {"lock2.txt": ""})
    assert check(app).problems == ()
    edit(app, "dvc.yaml", "[data, lock2.txt]", "[data, lock.txt]")
    assert only(app).message == "does not depend on lock2.txt, the packages of n"


def test_a_folder_with_the_packages_in_it_is_as_good(app: Path) -> None:
    edit(app, "gitml.yaml", "lock.txt", "code/lock.txt")
    edit(app, "dvc.yaml", "[train.py, lock.txt]", "[code/]")
    write(app, {"code/lock.txt": ""})
    assert check(app).problems == ()


def test_packages_that_training_refuses_are_told_before(app: Path) -> None:
    write(app, {"lock.txt": "numpy==2.3.1\npandas>=2\n"})
    found = only(app)
    assert (found.file, found.line, found.key, found.message) == ("lock.txt", 2, "pandas", "is not pinned with ==")


def test_params_that_another_reader_takes_for_something_else_are_a_caution(app: Path) -> None:
    edit(app, "params.yaml", "0.5", "010")
    (found,) = check(app).cautions
    assert (str(found), found.hint) == (
        "params.yaml:1: model.rate: 010 is 10 for DVC and the record, 8 for readers of YAML 1.1 such as PyYAML",
        "write 10, which all read alike",
    )


def test_dvc_lock_speaks_of_stages_that_exist_and_stays_inside(app: Path) -> None:
    entry = "{cmd: x, outs: [{path: ../../etc/x, md5: 0123456789abcdef0123456789abcdef}]}"
    write(app, {"dvc.lock": f"schema: '2.0'\nstages:\n  trian: {{cmd: x}}\n  train: {entry}\n"})
    (old,) = check(app).cautions
    assert (old.file, old.line, old.message) == ("dvc.lock", 3, "dvc.yaml has no stage 'trian'")
    assert "`gitml train` removes" in old.hint
    assert (only(app).line, only(app).key) == (4, "stages.train.outs[0]")
    write(app, {"dvc.lock": "schema: '1.0'\nstages: {train: {cmd: x, outs: [{path: o, md5: zz}]}}\n"})
    assert only(app).message == "must be '2.0', but is '1.0'"
    write(app, {"dvc.lock": "schema: '2.0'\nstages: {train: {cmd: x, outs: [{path: o, md5: zz}]}}\n"})
    assert "is no MD5 digest" in only(app).message


def test_an_unfinished_merge_of_dvc_lock(app: Path) -> None:
    write(app, {"dvc.lock": "schema: '2.0'\nstages:\n<<<<<<< HEAD\n  a: {cmd: x}\n=======\n  a: {cmd: y}\n>>>>>>> b\n"})
    found = only(app)
    assert (found.line, found.message) == (3, "an unfinished merge: conflict markers")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("['remote \"s\"']\n    url = https://ada:secret@host/x\n", 2, "the address holds a password"),
        (
            "[core]\n    remote = s\n['remote \"s\"']\n    url = s3://b\n    secret_access_key = hunter2\n",
            5,
            "a secret",
        ),
        ("no section\n", 1, "is no configuration of DVC"),
        ("[a]\nx = 1\nx = 2\n", 3, "is no configuration of DVC"),
    ],
)
def test_secrets_do_not_belong_into_dvc_config(app: Path, text: str, line: int, words: str) -> None:
    write(app, {".dvc/config": text})
    found = only(app)
    assert (found.file, found.line) == (".dvc/config", line)
    assert words in found.message
    assert "secret@" not in str(found)
    assert "hunter2" not in str(found) + found.hint


def test_a_plain_dvc_config_is_fine(app: Path) -> None:
    write(app, {".dvc/config": "[core]\n    remote = s\n['remote \"s\"']\n    url = ssh://ada@host:22/x\n"})
    assert check(app).problems == ()


PINNED = "champion: {version: 20260131T080000Z-3f2a90bc, digest: " + "a" * 64 + "}\n"


def test_deployments_name_models_environments_and_versions_that_exist(app: Path) -> None:
    write(app, {f"models/{place}.yaml": PINNED for place in ("m/staging", "m/stagin", "mm/staging")})
    found = {(p.file, p.message, p.hint) for p in check(app).problems}
    missing = "m has no version 20260131T080000Z-3f2a90bc"
    none = "it has none yet: gitml train m"
    assert found == {
        ("models/m/staging.yaml", missing, none),
        ("models/m/stagin.yaml", missing, none),
        ("models/m/stagin.yaml", "policy.yaml has no environment 'stagin'", "did you mean 'staging'?"),
        ("models/mm/staging.yaml", "gitml.yaml has no model 'mm'", "did you mean 'm'?"),
    }


def test_a_deployment_pins_the_artifact_of_its_record(trained: Path) -> None:
    (record,) = (trained / "models" / "m" / "versions").glob("*.json")
    data = json.loads(record.read_text())
    good = f"champion:\n  version: {record.stem}\n  digest: {data['files'][data['artifact']]['sha256']}\n"
    write(trained, {"models/m/staging.yaml": good})
    assert check(trained).problems == ()
    write(trained, {"models/m/staging.yaml": f"champion:\n  version: {record.stem}\n  digest: {'a' * 64}\n"})
    found = only(trained)
    assert (found.file, found.line, found.key) == ("models/m/staging.yaml", 3, "champion.digest")


@pytest.mark.parametrize("place", ["/etc/secret.yaml", "../secret.yaml", "sub/../../secret.yaml"])
def test_templates_read_nothing_outside(app: Path, place: str) -> None:
    edit(app, "dvc.yaml", "stages:", f"vars: [{place}]\nstages:")
    found = only(app)
    assert (found.file, found.line) == ("dvc.yaml", 1)
    assert "lies outside the folder" in found.message


def test_no_params_yaml_is_fine_as_long_as_no_stage_asks_for_one(app: Path) -> None:
    (app / "params.yaml").unlink()
    found = only(app)
    assert (found.file, found.message) == ("params.yaml", "the file is missing")
    edit(app, "dvc.yaml", "    params: [model.rate]\n", "")
    assert check(app).problems == ()


def test_params_of_a_folder_below_are_looked_for_there(app: Path) -> None:
    (app / "one").mkdir()
    stages = "stages:\n  a: {cmd: 'echo ${size} > out', outs: [out]}\n  b: {cmd: x, params: [rate], outs: [o]}\n"
    (app / "one" / "dvc.yaml").write_text(stages)
    found = next(p for p in check(app).problems if p.key == "stages.a")
    assert (found.file, found.line, "define it in one/params.yaml" in found.hint) == ("one/dvc.yaml", 2, True)
    (app / "one" / "dvc.yaml").write_text(stages.replace("${size}", "x"))
    found = only(app)
    assert (found.file, found.message, "gitml init" in found.hint) == ("one/params.yaml", "the file is missing", False)


@pytest.mark.parametrize("file", ["params.yaml", "one/params.yaml"])
def test_params_are_a_mapping(app: Path, file: str) -> None:
    (app / "one").mkdir()
    (app / "one" / "dvc.yaml").write_text("stages: {a: {cmd: x, outs: [o]}}\n")
    (app / file).write_text("- rate\n")
    found = only(app)
    assert (found.file, found.line, "must be a mapping of keys" in found.message) == (file, 1, True)


@pytest.mark.parametrize("name", ["x" * 5000, '"a\\0b"'])
def test_names_that_no_file_can_have(app: Path, name: str) -> None:
    edit(app, "dvc.yaml", "train.py, ", f"{name}, ")
    assert "is not there" in only(app).message
    edit(
        app, "dvc.yaml", "stages:", f"vars: [{name.rstrip(chr(34))}.yaml{chr(34) * name.startswith(chr(34))}]\nstages:"
    )
    assert any(p.key == "vars[0]" for p in check(app).problems)


def test_endless_files_in_place_of_metrics(app: Path) -> None:
    (app / "out").mkdir()
    (app / "out" / "m.json").symlink_to("/dev/zero")
    (app / "models" / "m").mkdir(parents=True)
    (app / "models" / "m" / "staging.yaml").mkdir()
    assert [(p.file, p.message) for p in check(app).problems] == [("models/m/staging.yaml", "is no regular file")]


def test_links_and_misnamed_deployments(app: Path) -> None:
    write(app, {"elsewhere": PINNED, "models/m/staging.yml": PINNED})
    (app / "models" / "m" / "other.yaml").symlink_to(app / "elsewhere")
    link, name = check(app).problems
    assert (link.file, link.message) == ("models/m/other.yaml", "is a symbolic link")
    assert (name.file, name.hint) == ("models/m/staging.yml", "name it staging.yaml")


def test_the_command_from_a_sub_folder_of_a_larger_repository(app: Path) -> None:
    (app / "deep" / "er").mkdir(parents=True)
    done = gitml(app / "deep" / "er", "check")
    assert (done.code, done.out) == (0, "1 model, 1 stage, 1 environment: no problem\n")
    edit(app, "gitml.yaml", "better", "bettr")
    done = gitml(app / "deep" / "er", "check")
    assert done.code == 2
    assert "../../gitml.yaml:7: models.m.bettr: unknown key 'bettr'\n    did you mean 'better'?\n" in done.out
    assert gitml(app.parent, "-C", str(app), "check").code == 2


def test_the_command_as_json(app: Path) -> None:
    edit(app, "gitml.yaml", "better", "bettr")
    done = gitml(app, "check", "--json")
    data = json.loads(done.out)
    assert done.code == 2
    assert data["problems"][0]["file"] == "gitml.yaml"
    assert data["problems"][0]["line"] == 7
    assert data["problems"][0]["hint"] == "did you mean 'better'?"
    assert set(data["counts"]) == {"models", "stages", "environments", "deployments"}


def test_no_application_here(tmp_path: Path) -> None:
    done = gitml(tmp_path, "check")
    assert done.code == 2
    assert "there is no gitml.yaml" in done.err
    assert "gitml init" in done.err


def test_the_reference_application_has_no_problem() -> None:
    assert check(Path(__file__).parents[2]).problems == ()


def test_members_of_an_ensemble_are_versions_that_there_are(app: Path) -> None:
    edit(app, "gitml.yaml", "  m:\n", "  blend: {artifact: out/b.yaml, format: ensemble, metrics: out/b.json}\n  m:\n")
    edit(app, "dvc.yaml", "stages:\n", "stages:\n  blend: {cmd: x, outs: [{out/b.yaml: {cache: false}}, out/b.json]}\n")
    version = "20260101T000000Z-00000001"
    pin = f"version: {version}, digest: '{'1' * 64}'"
    member = f"  - {{model: {{}}, {pin}}}\n".replace("{}", "%s")
    write(app, {"out/b.yaml": f"ensemble: mean\nmembers:\n{member % 'm'}{member % 'n'}{member % 'blend'}"})
    said = [(p.line, p.message) for p in check(app).problems if p.file == "out/b.yaml"]
    assert said == [
        (3, f"m has no version {version}"),
        (4, "gitml.yaml has no model 'n'"),
        (5, "blend is an ensemble itself"),
    ]


def test_a_dvc_above_the_application(app: Path, tmp_path: Path) -> None:
    assert check(app).problems == ()
    write(app, {"sub/gitml.yaml": (app / "gitml.yaml").read_text(), ".dvc/config": ""})
    found = check(app / "sub").problems
    (missing,) = (problem for problem in found if problem.file == ".dvc/config")
    assert missing.message.startswith("is missing, and DVC works in")
    assert "dvc init --subdir" in missing.hint


def test_rows_of_a_holdout_that_no_stage_writes_are_told(app: Path) -> None:
    edit(app, "gitml.yaml", "    better:", "    holdout: {rows: out/held.parquet, label: late}\n    better:")
    found = only(app)
    assert (found.key, found.message) == ("models.m.holdout.rows", "no stage of dvc.yaml writes out/held.parquet")
    edit(app, "dvc.yaml", "outs: [out/m.onnx]", "outs: [out/m.onnx, out/held.parquet]")
    assert check(app).problems == ()
