from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gitml.reports.gatecomment import LIMIT, Footer, Gate, Judgement, Said, Seat, comment, status_line
from gitml.verdict import Phase, Verdict

GOOD = Verdict(Phase.SUCCESSFUL, "all within bounds", {"auc": 0.7123})
BAD = Verdict(Phase.FAILED, "auc is 0.6, at least 0.65 is needed", {"auc": 0.6})
OPEN = Verdict(Phase.INCONCLUSIVE, "no evidence `reproduced` of aaaaaaaa")
FOOTER = Footer(head="a" * 40, base="b" * 40, policy="c" * 64, run="https://forge.example/runs/7")
FINE = Judgement(
    "delay",
    "production",
    "promotion",
    Phase.SUCCESSFUL,
    Verdict(Phase.SUCCESSFUL, "approved by olga for operations"),
    gates=(Gate("metrics", GOOD),),
    seats=(Seat("operations", 1, ("olga",), ("bob",)),),
    said=(Said("olga", "APPROVED", "operations"),),
    steps=(("whoever merges", "merge it: here, or with `gitml merge NUMBER`"),),
)
SHUT = replace(
    FINE,
    phase=Phase.FAILED,
    approvals=Verdict(Phase.INCONCLUSIVE, "still to approve: 1 more of risk"),
    gates=(Gate("metrics", BAD), Gate("reproduced", OPEN), Gate("size", GOOD)),
    seats=(*FINE.seats, Seat("risk", 1, (), ("rita",), ("acme/risk",))),
    said=(*FINE.said, Said("ada", "APPROVED", "", "is who trained aaaaaaaa")),
    steps=(("who trains the model", "train a version that is good enough (metrics)"), ("risk", "one person approves")),
)


def test_an_open_gate_says_so_first_and_what_to_do() -> None:
    text = comment([FINE], FOOTER)
    assert text.splitlines()[0] == "🟢 **Promotion of `delay` in `production`: may be merged.**"
    assert "merge it: here, or with `gitml merge NUMBER`" in text
    assert "1 gate passed" in text
    assert "| 🟢 passed | `metrics` | all within bounds | `auc` 0.7123 |" in text
    assert "`aaaaaaaaaaaa`" in text.splitlines()[-1]


def test_the_name_of_a_look_leaves_room_for_other_columns() -> None:
    seen = {"look": "2026/03/20260301T120000Z-look-ef3e4f88ba04.json", "file": "2026/03/x-look-ef3e4f88ba04.json"}
    text = comment([replace(FINE, gates=(Gate("drift", Verdict(Phase.FAILED, "it drifted", seen)),))], FOOTER)
    assert "| `look` `ef3e4f88ba04`, `file` 2026/03" in text


def test_a_shut_gate_says_why_who_and_what_next() -> None:
    text = comment([SHUT], FOOTER)
    first = text.splitlines()[0]
    assert first.startswith("🔴")
    assert "`metrics` failed; `reproduced` cannot be told; 1 approval missing" in first
    assert "| 🔴 failed | `metrics` | auc is 0.6, at least 0.65 is needed | `auc` 0.6000 |" in text
    assert "| 🟡 cannot tell | `reproduced` | no evidence `reproduced` of" in text
    assert "| `risk` | 1 | nobody | `rita`; members of `acme/risk` are not known |" in text
    assert "**1 review that does not count**" in text
    assert "is who trained" in text
    assert "- **who trains the model**: train a version that is good enough" in text


def test_many_reviews_that_do_not_count_are_folded() -> None:
    crowd = tuple(Said(f"p{i}", "APPROVED", "", "holds no role") for i in range(6))
    text = comment([replace(SHUT, said=crowd)], FOOTER)
    assert "<summary>6 reviews that do not count</summary>" in text


def test_what_people_overrode_stays_visible() -> None:
    opened = replace(SHUT, gates=(Gate("metrics", BAD, opened=True),), override="metrics opened by rita, rob")
    text = comment([opened], FOOTER)
    assert "**Overridden.** metrics opened by rita, rob" in text
    assert "⚠️ overridden (failed)" in text


def test_several_deployments_each_have_their_part() -> None:
    text = comment([FINE, replace(SHUT, model="mlp")], FOOTER)
    assert text.startswith("**2 deployments change.**")
    assert "### `delay` in `production`" in text
    assert "### `mlp` in `production`" in text


def test_no_promotion() -> None:
    assert "Not a promotion" in comment([], FOOTER)
    assert status_line([]) == "not a promotion"


def test_the_status_is_one_short_line() -> None:
    assert status_line([FINE]) == "delay may go to production"
    assert status_line([FINE, SHUT]) == "delay to production: metrics, reproduced, approvals"
    many = replace(SHUT, gates=tuple(Gate(f"gate-{i}", BAD) for i in range(50)))
    assert len(status_line([many])) == 140


HOSTILE = [
    "<script>alert(1)</script>",
    "<!-- gitml:gate -->",
    "@everyone #1",
    "](https://evil.example) [x](javascript:alert(1))",
    "a|b | c",
    "`` ` ```",
    "# big\n\n* list",
    "</details><details>",
    "\u202egnp.exe\u200b",
    "x" * 5000,
    "![x](https://evil.example/x.png)",
]


def spoiled(text: str) -> Judgement:
    verdict = Verdict(Phase.FAILED, text, {text: text, "list": [text, 1], "n": 0.5, "pair": [0.1, 0.2]})
    return Judgement(
        text,
        text,
        text,
        Phase.FAILED,
        Verdict(Phase.FAILED, text),
        gates=(
            Gate(text, verdict),
            Gate(text, verdict, opened=True),
            Gate(text, replace(verdict, phase=Phase.SUCCESSFUL)),
        ),
        seats=(Seat(text, 1, (text,), (text,), (text,)), Seat(text, 2, (), (text,), (text,))),
        said=(Said(text, text, "", text),),
        override=text,
        steps=((text, text), (text, f"`{text}` and {text}")),
    )


OURS = {"<details>", "</details>", "<summary>", "</summary>", "<sub>", "</sub>"}


def check(text: str) -> None:
    shown = comment([spoiled(text)], Footer(text, text, text, text))
    assert len(shown.encode()) <= LIMIT
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(shown)
    every = [*tokens, *(child for token in tokens for child in token.children or [])]
    assert not {"link_open", "image", "heading_open", "fence", "code_block"} & {t.type for t in every}
    html = "".join(t.content for t in every if t.type in ("html_block", "html_inline"))
    assert set(re.findall(r"<[^>]*>?", html)) <= OURS
    assert html.count("<details>") == html.count("</details>") == 1
    assert "<!--" not in shown


def test_hostile_names_do_nothing() -> None:
    for text in HOSTILE:
        check(text)


@given(st.text(max_size=60))
def test_no_text_breaks_out(text: str) -> None:
    check(text)


def test_it_fits_whatever_there_is() -> None:
    long = "word " * 400
    many = replace(
        SHUT,
        gates=tuple(
            Gate(f"gate {i}", Verdict(Phase.FAILED, long, {f"m{j}": 0.5 for j in range(40)})) for i in range(300)
        ),
        said=tuple(Said(f"p{i}", "APPROVED", "", long) for i in range(500)),
        steps=tuple((f"role {i}", long) for i in range(300)),
    )
    text = comment([many, many], FOOTER)
    assert len(text.encode()) <= LIMIT
    assert text.startswith("**2 deployments change.**")
    assert "Not everything fits" in text
