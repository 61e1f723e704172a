"""The text of a promotion's pull request."""

from dataclasses import replace

from gitml.reports.facts import ReportedMetric
from gitml.reports.promotion import MAX_BODY, Evidence, Proposal, ProposedEdit, ProposedSeat, promotion
from gitml.reports.rowfacts import Row
from gitml.stats.comparison import Reading

OLD, NEW = "20260131T080000Z-3f2a90bc", "20260201T080000Z-77aa00ff"
WHOLE = Proposal(
    model="delay",
    environment="production",
    version=NEW,
    home="https://forge.example/acme/flights",
    edits=(ProposedEdit("champion, which answers", OLD, NEW),),
    environment_is="Its alerts reach passengers",
    champion=OLD,
    previous=OLD,
    rows=(Row("auc", 0.75, 0.70, 0.05, 0.04, 0.06, True, Reading.BETTER), Row("rows", 5.0, 4.0, 1.0)),
    lineage=(("artifact", "`model.skops`"),),
    evidence=(Evidence("trained", "2026-02-01T08:05:00Z", "passed"), Evidence("gate", "t", "passed", "staging", "old")),
    seats=(ProposedSeat("operations", 1, ("olga",)), ProposedSeat("risk", 2, (), ("acme/risk",))),
    shut_out=("olga",),
)


def test_all_three_readers_find_their_part() -> None:
    text = promotion(WHOLE)
    assert text.startswith("**🟢 `delay@77aa00ff` is better than `production`: `auc` 0.700 → 0.750.**")
    for line in (
        f"| champion, which answers | `{OLD}` | `{NEW}` |",
        "| `auc` | 0.700 | 0.750 | +0.050 | +0.040 to +0.060 | ▲ better |",
        "The intervals count the chance of the evaluated rows, not that of training",
        "| `trained` |  | passed |",
        "not believed: old",
        "| `operations` | 1 | `olga` |",
        "| `risk` | 2 | `acme/risk` |",
        "`olga` cannot approve",
        'gitml rollback delay --in production --reason "…"',
        "For whom. `production`: Its alerts reach passengers.",
    ):
        assert line in text
    assert text.count("- **You ") == 3
    asks = promotion(replace(WHOLE, model_is="Will it be late?"))
    assert "Its alerts reach passengers. `delay`: Will it be late?\n" in asks


def test_what_is_missing_is_said() -> None:
    nothing = Proposal("delay", "staging", NEW, "https://x", edits=(ProposedEdit("champion, which answers", "", NEW),))
    text = promotion(
        replace(nothing, metrics=(ReportedMetric("auc", 0.7, None, None),), no_evidence="The ledger is away")
    )
    assert "🔵 `delay@77aa00ff`: nothing runs there yet" in text
    assert f"| champion, which answers | nothing | `{NEW}` |" in text
    for words in ("The ledger is away", "nobody's approval here", "nothing to go back to", "| `auc` | 0.7000 |"):
        assert words in text


def test_a_rollback_has_other_questions() -> None:
    text = promotion(replace(WHOLE, is_rollback=True, warnings=("no proof",), reason="a\n\n# b"))
    assert "gitml resume delay --in production" in text
    assert "> ⚠️ no proof" in text
    assert "Why: a \\# b" in text
    assert "what went wrong with the version that leaves" in text


def test_it_fits_into_a_pull_request() -> None:
    row = Row("x" * 300, 1.0, 2.0, -1.0, -1.5, -0.5, False, Reading.WORSE)
    evidence = Evidence("gate", "t", "failed", "staging", "y" * 5000)
    huge = replace(WHOLE, rows=(row,) * 200, evidence=(evidence,) * 500, reason="z" * 9000, warnings=("w" * 9000,) * 60)
    text = promotion(huge)
    assert len(text.encode()) <= 65_536
    assert len(text) <= MAX_BODY
