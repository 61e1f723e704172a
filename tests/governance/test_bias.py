"""`gitml bias`: people counted once each, by categories that neither Git nor the traffic holds."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from conftest import commit, git, gitml
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog
from monitoring.watched_world import DAY, MONDAY

SPEC = """
bias:
  m:
    groups: {table: $HR_GROUPS, unit: person, sex: sex, race: origin, unknown: [declined]}
    output: p
    source: Applications of the first half of 2026.
    MORE
"""
ARM = Arm("m", "production", "champion", "v1", 90.0, "e1")


@pytest.fixture
def app(toy: Path) -> Path:
    with (toy / "gitml.yaml").open("a") as stream:
        stream.write(SPEC.replace("MORE", "selected_from: 0.5"))
    return toy


def table(folder: Path, rows: Mapping[str, tuple[str, str]], mode: int = 0o640) -> dict[str, str]:
    """The table of groups outside of the repository, and the variable that names it."""
    path = folder / "people.csv"
    lines = ["person,sex,origin", *(f"{name},{sex},{origin}" for name, (sex, origin) in rows.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(mode)
    return {"HR_GROUPS": str(path)}


def data(folder: Path, rows: Mapping[str, tuple[float | str, str]]) -> str:
    path = folder / "test.csv"
    path.write_text("person,p,hired\n" + "".join(f"{name},{p},{hired}\n" for name, (p, hired) in rows.items()))
    return str(path)


def crowd() -> tuple[dict[str, tuple[str, str]], dict[str, tuple[float | str, str]]]:
    """40 women of whom 10 are selected, 40 men of whom 20 are, two of unknown sex; all are labelled."""
    groups, rows = {}, dict[str, tuple[float | str, str]]()
    for number in range(82):
        name, sex = f"{number:03}", "F" if number < 40 else "M" if number < 80 else "declined" if number == 80 else ""
        groups[name] = (sex, "A" if number % 2 else "B")
        chosen = number < 10 or 40 <= number < 60
        rows[name] = (0.75 if chosen else 0.25, "1" if number % 4 else "0")
    return groups, rows


def test_test_data(app: Path, tmp_path: Path) -> None:
    groups, rows = crowd()
    env, out = table(tmp_path, groups), tmp_path / "out"
    ran = gitml(app, "bias", "m", "--data", data(tmp_path, rows), "--label", "hired", "--out", str(out), env=env)
    assert ran.code == 0, ran.err
    assert "input for an independent auditor" in ran.err
    told = json.loads((out / "bias.json").read_text())
    sexes = told["tables"][0]
    assert [(row["category"], row["people"], row["rate"], row["impact_ratio"]) for row in sexes["categories"]] == [
        (["F"], 40, 0.25, 0.5),
        (["M"], 40, 0.5, 1.0),
    ]
    assert (sexes["unknown"], told["tables"][1]["unknown"], told["tables"][2]["unknown"]) == (2, 0, 2)
    assert told["source"].startswith("Applications")
    assert told["data"] == "test data in test.csv"
    names = {one["name"] for one in told["measures"]}
    assert {name.split(":")[0] for name in names} >= {"demographic parity", "equalised odds", "calibration"}
    with (out / "bias.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [(line["category"], line["people"]) for line in lines[:3]] == [("F", "40"), ("M", "40"), ("unknown", "2")]
    page = (out / "index.html").read_text()
    assert "no law makes .8 a pass mark" in page
    assert not any(word in page for word in ("<script", "http://", "https://", "src="))


def test_scores_are_held_against_the_median_of_everybody(app: Path, tmp_path: Path) -> None:
    (app / "gitml.yaml").write_text((app / "gitml.yaml").read_text().replace("    selected_from: 0.5\n", ""))
    groups = {f"{n:02}": ("F" if n % 2 else "M", "A") for n in range(40)}
    rows: dict[str, tuple[float | str, str]] = {f"{n:02}": (n if n < 20 else 20, "") for n in range(40)}
    ran = gitml(app, "bias", "m", "--data", data(tmp_path, rows), "--json", env=table(tmp_path, groups))
    told = json.loads(ran.out)
    assert (told["kind"], told["median"]) == ("scoring", 19.5)
    assert [row["rate"] for row in told["tables"][0]["categories"]] == [0.5, 0.5]


def test_ids_are_the_same_however_unicode_composes_them(app: Path, tmp_path: Path) -> None:
    groups = {f"e\u0301{n}": ("F" if n % 2 else "M", "A") for n in range(20)}
    rows: dict[str, tuple[float | str, str]] = {f"\u00e9{n}": (0.9, "") for n in range(20)}
    ran = gitml(app, "bias", "m", "--data", data(tmp_path, rows), "--json", env=table(tmp_path, groups))
    assert json.loads(ran.out)["tables"][0]["unknown"] == 0


def serve(folder: Path, day: int, answers: Mapping[str, float], arm: Arm = ARM) -> None:
    arrived = (MONDAY + day * DAY + timedelta(hours=12)).timestamp()
    with patch("gitml.clock.time.time", lambda: arrived):
        log = PredictionLog(folder, limits=LogLimits(window=0.01), origin=LogOrigin("web", "production"))
        for unit, p in answers.items():
            log.put(Exchange(f"{arm.name}{day}{unit}", "", unit, arm, {}, {"p": [p]}, 0.1, arrived, arrived))
        log.close()


def test_live_traffic_counts_the_last_answer_of_each_person(app: Path, tmp_path: Path) -> None:
    """No shadow counts, nobody twice; answers without a unit are told apart."""
    folder = tmp_path / "traffic"
    groups = {f"u{n}": ("F" if n < 20 else "M", "A") for n in range(40)}
    serve(folder, 0, {f"u{n}": 0.9 for n in range(40)} | {"": 0.9})
    serve(folder, 1, {f"u{n}": 0.1 for n in range(5)})
    serve(folder, 1, {f"u{n}": 0.1 for n in range(40)}, ARM._replace(name="shadow", version="v2"))
    with patch("gitml.clock.time.time", (MONDAY + 3 * DAY).timestamp):
        store = LabelStore(folder)
        store.add("m", [Label(f"champion0u{n}", float(n % 2), 0) for n in range(5, 40)])
        store.close()
    env = table(tmp_path, groups)
    words = ("bias", "m", "--in", "production", "--log", str(folder), "--json")
    told = json.loads(gitml(app, *words, env=env).out)
    assert [(row["people"], row["selected"]) for row in told["tables"][0]["categories"]] == [(20, 15), (20, 20)]
    assert (told["people"], told["nameless"], told["versions"]) == (40, 1, ["v1"])
    assert [one for one in told["measures"] if one["name"].startswith("selected of those who were suited")]
    early = gitml(app, *words, "--until", f"{MONDAY + DAY:%Y-%m-%d}", env=env)
    assert [row["selected"] for row in json.loads(early.out)["tables"][0]["categories"]] == [20, 20]
    assert gitml(app, *words, "--since", "2031-01-01", env=env).code == 3


def test_a_ratio_that_left_its_interval(app: Path, tmp_path: Path) -> None:
    groups = {f"{n:04}": ("F" if n % 2 else "M", "A") for n in range(1000)}
    env = table(tmp_path, groups)

    def count(women: float, *words: str) -> tuple[int, str]:
        rows: dict[str, tuple[float | str, str]] = {
            f"{n:04}": (0.9 if n // 2 < (women if n % 2 else 0.5) * 500 else 0.1, "") for n in range(1000)
        }
        ran = gitml(app, "bias", "m", "--data", data(tmp_path, rows), *words, env=env)
        return ran.code, ran.out

    assert count(0.5, "--out", str(tmp_path / "before"))[0] == 0
    earlier = str(tmp_path / "before/bias.json")
    assert count(0.48, "--against", earlier)[0] == 0
    code, told = count(0.2, "--against", earlier)
    assert code == 1
    assert "failed: impact ratios moved beyond their intervals: F from 1.00 to 0.40" in told
    (tmp_path / "no.json").write_text("[]")
    assert count(0.2, "--against", str(tmp_path / "no.json"))[0] == 2


def test_small_cells_are_not_shown(app: Path, tmp_path: Path) -> None:
    groups, rows = crowd()
    groups |= {"000": ("X", "A"), "001": ("X", "B")}
    out = tmp_path / "out"
    words = ("bias", "m", "--data", data(tmp_path, rows), "--label", "hired", "--out", str(out))
    assert gitml(app, *words, env=table(tmp_path, groups)).code == 0
    row = json.loads((out / "bias.json").read_text())["tables"][0]["categories"][2]
    assert (row["category"], row["note"]) == (["X"], "fewer than 5 people")
    assert {row[name] for name in ("people", "selected", "rate", "rate_low", "impact_ratio")} == {None}
    hidden = [
        row for row in json.loads((out / "bias.json").read_text())["tables"][0]["categories"] if row["people"] is None
    ]
    assert [(row["category"], row["rate"], row["rate_low"]) for row in hidden] == [
        (["F"], 0.21, None),
        (["X"], None, None),
    ]
    assert not [one for one in json.loads((out / "bias.json").read_text())["measures"] if "X" in one["category"]]


@pytest.mark.skipif(os.name != "posix", reason="the rights of files are POSIX's")
def test_the_table_of_groups_is_for_few(app: Path, tmp_path: Path) -> None:
    groups, rows = crowd()
    words = ("bias", "m", "--data", data(tmp_path, rows))
    ran = gitml(app, *words, env=table(tmp_path, groups, 0o644))
    assert (ran.code, "everybody on this machine can read" in ran.err) == (2, True)
    assert "HR_GROUPS does not say" in gitml(app, *words).err
    env = table(app, groups)
    git(app, "add", "-f", "people.csv")
    assert "is tracked by Git" in gitml(app, *words, env=env).err
    commit(app, "a mistake")
    assert "is tracked by Git" in gitml(app, *words, env=env).err


def test_what_cannot_be_counted(app: Path, tmp_path: Path) -> None:
    groups, rows = crowd()
    env, file = table(tmp_path, groups), data(tmp_path, rows)
    assert "--in is for live traffic" in gitml(app, "bias", "m", "--data", file, "--in", "production", env=env).err
    assert "has no column 'late'" in gitml(app, "bias", "m", "--data", file, "--label", "late", env=env).err
    assert "no model 'n'" in gitml(app, "bias", "n", "--data", file, env=env).err
    twice = tmp_path / "twice.csv"
    twice.write_text("person,p\n001,0.5\n001,0.7\n")
    ran = gitml(app, "bias", "m", "--data", str(twice), env=env)
    assert (ran.code, "twice" in ran.err, "001" in ran.err) == (2, True, False)
    words = data(tmp_path, {"001": ("yes", "")})
    assert "is not a number" in gitml(app, "bias", "m", "--data", words, env=env).err
    (tmp_path / "people.csv").write_text("person,sex,origin\n1,F,A\n1,M,A\n")
    assert "two different things" in gitml(app, "bias", "m", "--data", file, env=env).err


def test_check_knows_the_models(app: Path) -> None:
    text = (app / "gitml.yaml").read_text().replace("bias:\n  m:", "bias:\n  n:")
    (app / "gitml.yaml").write_text(text)
    assert "there is no model 'n'" in gitml(app, "check").out
    (app / "gitml.yaml").write_text(text.replace("  n:", "  m:").replace("0.5", "0.5\n    selected_as: [x]"))
    assert "cannot both be given" in gitml(app, "check").out


def test_check_says_that_a_gate_without_an_audit_stays_shut(app: Path) -> None:
    (app / "policy.yaml").write_text("environments:\n  production:\n    gates:\n      audit_age: 365d\n")
    told = gitml(app, "check").out
    assert "policy.yaml:4: environments.production.gates.audit_age: gitml.yaml names no audit for bias of 'm'" in told
    text = (app / "gitml.yaml").read_text()
    audited = "    audited: {on: 2026-03-02, by: Example Auditors, report: there}\n"
    (app / "gitml.yaml").write_text(text.replace("    output: p\n", f"    output: p\n{audited}"))
    assert "audit_age" not in gitml(app, "check").out


def test_hostile_names_of_categories_do_nothing(app: Path, tmp_path: Path) -> None:
    groups, rows = crowd()
    groups = {name: (sex, "=1+1<script>" if origin == "A" else "\x1b[31mB") for name, (sex, origin) in groups.items()}
    out = tmp_path / "out"
    ran = gitml(app, "bias", "m", "--data", data(tmp_path, rows), "--out", str(out), env=table(tmp_path, groups))
    assert ran.code == 0
    assert "\x1b[31mB" not in ran.out
    assert "'=1+1<script>" in (out / "bias.csv").read_text()
    assert "=1+1&lt;script&gt;" in (out / "index.html").read_text()
    assert "<script" not in (out / "index.html").read_text()
