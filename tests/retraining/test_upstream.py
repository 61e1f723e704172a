"""A new champion upstream becomes a pull request that trains the downstream model again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from gitml.forges.base import State
from gitml.registry.record import Record
from gitml.reports.escape import GAP
from gitml.spec import Deployment, render_deployment
from promotion.promoting import GITML, pin
from promotion.upstreaming import made, reading
from retraining.retrain_town import SPEC, RetrainTown

pytestmark = [pytest.mark.slow, pytest.mark.nightly]


def brought(town: RetrainTown, *records: Record) -> None:
    town.town.push({f"models/{r.model}/versions/{r.version}.json": r.to_json() for r in records})


def deployed(town: RetrainTown, record: Record) -> None:
    state = render_deployment(Deployment(champion=pin(record)))
    town.town.push({f"models/{record.model}/production.yaml": state})


def test_the_gate_derives_it_from_main_alone_and_it_goes_when_a_version_knows_the_upstream(
    retrain_town: Callable[..., RetrainTown],
) -> None:
    town = retrain_town()
    one, two = made("demand", 1), made("demand", 2)
    delay = made("delay", 3, reading(one), created="2026-02-20T00:00:00Z")
    models = "    needs: {demand: answers}\n  demand: {artifact: demand.skops, metrics: demand.json}\n"
    retrain = yaml.safe_dump({"retrain": {"delay": {**SPEC, "causes": ["upstream"]}}})
    town.town.push({"gitml.yaml": f"{GITML}{models}{retrain}"})
    brought(town, one, two, delay)
    deployed(town, delay)
    deployed(town, one)
    assert town.run().how == ""
    deployed(town, two)
    done = town.run()
    assert (done.how, done.problem) == ("opened", ""), done
    (pull,) = town.pulls()
    assert pull.head.branch == "gitml/retrain/delay/upstream"
    assert f"demand runs {two.version} in production, trained with {one.version}" in pull.body.replace(GAP, "")
    outcome = town.g.one(pull.number)
    assert outcome.state is State.SUCCESS, outcome.line
    (derived,) = town.g.events("derived")
    assert derived.details["subject"] == "delay upstream"
    brought(town, made("delay", 4, reading(two), created="2026-03-01T00:00:00Z"))
    assert town.run().how == "closed"
