"""Labels and windows of a model that is not there are refused, not kept for nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from gitml.cli.main import gitml
from gitml.errors import UsageError
from gitml.inference.known import refuse_unknown


def test_labels_of_no_model_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "gitml.yaml").write_text("application: a\nmodels: {delay: {artifact: m.onnx, metrics: m.json}}\n")
    (tmp_path / "a.csv").write_text("request_id,label\na,1\n")
    words = ["-C", str(tmp_path), "labels", "add", "delya", str(tmp_path / "a.csv"), "--log", str(tmp_path / "log")]
    done = CliRunner().invoke(gitml, words)
    assert isinstance(done.exception, UsageError)
    assert done.exception.message == "gitml.yaml has no model 'delya'"
    assert done.exception.hint == "did you mean 'delay'?"
    assert not (tmp_path / "log").exists()
    since = ["-C", str(tmp_path), "traffic", "nosuch", "--log", str(tmp_path / "log"), "--since", "2026-01-01"]
    assert "no model 'nosuch'" in str(CliRunner().invoke(gitml, since).exception)
    words[4] = "delay"
    assert CliRunner().invoke(gitml, words).output == "delay: 1 label kept\n"


def test_where_there_is_no_gitml_yaml_the_traffic_says_which_models_there_are(tmp_path: Path) -> None:
    refuse_unknown(str(tmp_path), "anything", None)
    (tmp_path / "predictions/model=delay").mkdir(parents=True)
    refuse_unknown(str(tmp_path), "delay", None)
    with pytest.raises(UsageError, match="has no model 'dealy'"):
        refuse_unknown(str(tmp_path), "dealy", None)
