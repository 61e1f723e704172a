"""The pages: every link leads somewhere, nothing is loaded, names do nothing, and a role's build has its part alone."""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

from conftest import write
from gallery import VIEWS
from gitml.errors import UsageError
from gitml.reports.retraining import title
from gitml.site.build import build, site_files
from gitml.site.facts import SiteFacts
from gitml.site.pages import GROUPS
from gitml.site.readbusiness import bias_counts
from gitml.site.render import POLICY, table_script
from gitml.spec.views import SITE_PAGES, SiteView

HOME = "https://forge.example/acme/flights"
# A board and an audit's report, as gitml.yaml names them.
OUTSIDE = ("https://grafana.example.org/d/gitml/", "https://fair.example.org/flights")
EVERYTHING = SiteView()


class Page(HTMLParser):
    """What a page links to and loads, and its elements."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]


def made(facts: SiteFacts, view: SiteView = EVERYTHING, role: str = "") -> dict[str, bytes]:
    return dict(site_files(facts, role, view))


@pytest.fixture(scope="module")
def files(facts: SiteFacts) -> dict[str, bytes]:
    return made(replace(facts, home=HOME))


def test_every_link_leads_to_a_file_of_the_site_or_to_the_forge(files: dict[str, bytes]) -> None:
    pages = [name for name in files if name.endswith(".html")]
    assert len(pages) > 25
    for name in pages:
        for link in Page(files[name]).links:
            target, _ = urldefrag(link)
            if target.startswith("https://"):
                assert target.startswith((HOME, *OUTSIDE)), (name, link)
            elif target:
                assert unquote(posixpath.normpath(posixpath.join(posixpath.dirname(name), target))) in files, (
                    name,
                    link,
                )


def test_pages_forbid_all_scripts_but_the_one_that_sorts_long_tables(files: dict[str, bytes]) -> None:
    sorting = []
    for name, content in files.items():
        if name.endswith(".html"):
            page = Page(content)
            assert not {"iframe", "object", "embed"} & set(page.tags), name
            assert not [a for a, _ in page.attributes if a.startswith("on") or a in ("style", "src")], name
            scripts = re.findall(rb"<script[^>]*>(.*?)</script>", content, re.DOTALL)
            for script in scripts:
                digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
                assert ("content", f"{POLICY}; script-src 'sha256-{digest}'") in page.attributes
            assert len(scripts) == page.tags.count("script") <= 1
            sorting += [name] if scripts else []
            assert scripts or ("content", POLICY) in page.attributes
            assert len(content) < 1_000_000
    assert "audit.html" in sorting
    assert "index.html" not in sorting
    assert {script for name in sorting for script in re.findall(rb"<script>.*?</script>", files[name], re.DOTALL)} == {
        f"<script>{table_script()}</script>".encode()
    }


def test_there_is_a_page_for_each_word_of_the_policy(files: dict[str, bytes]) -> None:
    assert tuple(GROUPS) == SITE_PAGES
    assert {path for path, _, _ in GROUPS.values()} <= set(files)


def test_equal_facts_give_equal_bytes(facts: SiteFacts, files: dict[str, bytes]) -> None:
    assert made(replace(facts, home=HOME)) == files


def text_of(content: bytes) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", content.decode()).split())


def test_names_of_environments_and_odd_dates_hide_no_page(facts: SiteFacts) -> None:
    """An environment may be called index, or like the second part of another one; clocks may go back."""
    one = facts.deployments[0]
    names = ("index", "prod", "prod-2")
    deployments = tuple(replace(one, environment=name, id=f"{one.id}{name}") for name in names)
    older = replace(facts.commits[0], time="2019-01-01T00:00:00Z", title="Dated back")
    odd = replace(facts, deployments=deployments, commits=(facts.commits[0], older, *facts.commits[1:]))
    found = list(site_files(odd, "", EVERYTHING))
    assert len({path for path, _ in found}) == len(found)
    pages = dict(found)
    assert "Dated back" in text_of(pages["changes/2019-01.html"])
    newest = facts.commits[0].time[:7]
    titles = [c.title for c in facts.commits if c.time[:7] == newest]
    assert text_of(pages[f"changes/{newest}.html"]).count(titles[-1]) == titles.count(titles[-1])


def test_the_first_page_says_what_waits_and_what_alarms(files: dict[str, bytes]) -> None:
    text = text_of(files["index.html"])
    assert "1 waiting for approval" in text
    assert "risk: one person approves the newest commit: rita" in text
    assert "1 alarm" in text
    assert "monitor: failed" in text


def test_the_graph_says_what_models_are_built_on(files: dict[str, bytes]) -> None:
    page = files["index.html"].decode()
    assert "<title>answers in staging</title>" in page
    assert "elsewhere https://forge.example/acme/weather:rain" in page


def test_stages_that_wait_for_one_another_are_drawn_all_the_same(facts: SiteFacts) -> None:
    circle = tuple(
        replace(stage, after=("train",) if stage.name == "ingest" else stage.after) for stage in facts.stages
    )
    page = made(replace(facts, stages=circle))["index.html"].decode()
    assert page.count('class="node stage') == len(facts.stages)


def test_operations_shows_what_agents_told_of_each_hour(files: dict[str, bytes]) -> None:
    page = files["operations.html"].decode()
    text = text_of(files["operations.html"])
    # 24 hours of 401 to 4,812 requests, seven of which failed.
    assert "62,563 0.724" in text
    assert "7 0.011 %" in text
    assert "server-1 production 99.98 %" in text
    assert "nothing of 7 hours before" in text
    assert page.count('class="spark"') == 5
    assert 'aria-label="requests an hour: at most 4,812 in 65 hours"' in page
    assert 'href="https://grafana.example.org/d/gitml/models?orgId=1"' in page
    (row,) = json.loads(files["exports/traffic.json"])
    assert (row["requests"], row["errors"], row["hourly"][-1], row["hourly"][-36]) == (62_563, 7, 408, None)


def test_an_agent_that_names_a_model_that_is_not_there_makes_no_dead_link(facts: SiteFacts) -> None:
    """Whoever has an agent's key can sign any name."""
    odd = replace(facts, traffic=(replace(facts.traffic[0], model="ghost"),))
    page = made(odd, SiteView(pages=("operations", "models")))["operations.html"].decode()
    assert "<td>ghost<td>" in page
    assert "models/ghost" not in page


def test_a_deployment_tells_why_it_came(files: dict[str, bytes]) -> None:
    (page,) = [text_of(c) for name, c in files.items() if "+delay+production" in name and b"olga, rita" in c]
    assert "Approved by olga, rita" in page
    assert "trained successful" in page
    assert "gitml rollback delay --in production" in page
    assert "auc 0.710 0.740" in page
    assert "What it did for the business" in page
    assert "on_time USD 14 better 410 31 12 to 50 +930 USD (+360 to +1,500)" in page


def test_what_a_change_brought_stands_beside_what_it_took(files: dict[str, bytes]) -> None:
    text = text_of(files["kpis.html"])
    assert "delay 1 142 USD 120 USD 930 USD 1 of 1" in text, "all changes of a model"
    assert "14 52.50 USD 90.00 USD 120 USD +930 USD (+360 to +1,500) +810 USD after 5 days –" in text
    (page,) = [text_of(c) for name, c in files.items() if "+delay+production" in name and b"olga, rita" in c]
    assert "By lot, before the change: on_time successful 0.40 a unit (0.10 to 0.70)" in page
    (row,) = json.loads(files["exports/impacts.json"])
    assert (row["kpi"], row["a_month"], row["training"], row["serving_month"]) == ("on_time", 930.0, 52.5, 120.0)


def test_risk_sees_bias_and_why_models_were_trained_again(files: dict[str, bytes]) -> None:
    text = text_of(files["bias.html"])
    assert "2026-01-15 by Fair & Square LLC" in text.replace("&amp;", "&")
    assert "Sex Female 600 150 0.250 0.220 to 0.290 0.833 0.700 to 0.990" in text
    assert "Sex Other – – 0.300 – 1.000 – count not shown" in text
    why = title("delay", "drift").partition(": ")[2]
    assert f"delay drift {why} #13 merged" in text_of(files["experiments.html"])
    assert files["exports/bias.csv"].splitlines()[1].startswith(b"delay,Sex,Female,600,150,0.25")


def test_a_count_of_bias_is_one(tmp_path: Path) -> None:
    for text in ("[]", "{", '{"model": "delay"}'):
        (tmp_path / "bias.json").write_text(text)
        with pytest.raises(UsageError, match="bias"):
            bias_counts([tmp_path / "bias.json"])


def test_who_does_not_see_kpis_sees_no_money(facts: SiteFacts) -> None:
    for name, content in made(facts, SiteView(pages=("changes", "inventory"))).items():
        assert b"on_time" not in content, name
        assert b"930" not in content, name


def test_a_role_sees_its_pages_and_nothing_of_a_hidden_column(facts: SiteFacts) -> None:
    seen = made(facts, SiteView.model_validate(VIEWS["risk"]), "risk")
    assert "operations.html" not in seen
    assert not [name for name in seen if name.startswith(("models/", "monitors/", "data/"))]
    for name, content in seen.items():
        assert b"seat_owner" not in content, name


def test_a_role_sees_nothing_of_a_hidden_model(facts: SiteFacts) -> None:
    """The test that counts: whatever is written is searched."""
    view = SiteView.model_validate(VIEWS["operations"])
    everything = made(facts)
    assert b"fare" in everything["index.html"]
    assert b"carrier" in everything["data/columns.html"]
    for name, content in made(facts, view, "operations").items():
        assert "fare" not in name
        assert b"fare" not in content, name
        assert b"carrier" not in content, name


def test_only_named_columns_are_shown(facts: SiteFacts) -> None:
    for name, content in made(facts, SiteView(columns=("distance",))).items():
        assert b"carrier" not in content, name
        assert b"seat_owner" not in content, name


def test_groups_by_a_private_column_are_shown_to_nobody(files: dict[str, bytes]) -> None:
    assert not [name for name, content in files.items() if b"Lovelace" in content]


POISON = "<img src=x onerror=alert(1)>\"'&{{7*7}}\u202eevil" + "a" * 300


def test_names_do_nothing(facts: SiteFacts) -> None:
    """Whatever strangers can name: titles, authors, reasons, columns, paths."""
    model = facts.models[0]
    details = {
        v: replace(d, columns=tuple(replace(c, name=POISON) for c in d.columns), source=POISON, packages=POISON)
        for v, d in model.details.items()
    }
    poisoned = replace(
        facts,
        description=POISON,
        home=HOME,
        notes=(POISON,),
        models=(replace(model, description=POISON, owner=POISON, details=details), *facts.models[1:]),
        commits=tuple(replace(c, title=POISON, author=POISON) for c in facts.commits),
        deployments=tuple(replace(d, title=POISON, author=POISON, approvers=(POISON,)) for d in facts.deployments),
        pending=tuple(replace(p, title=POISON, url="javascript:alert(1)", author=POISON) for p in facts.pending),
        looks=tuple(replace(look, drift=tuple(replace(d, column=POISON) for d in look.drift)) for look in facts.looks),
        stages=tuple(replace(s, name=POISON) for s in facts.stages[:1]),
        policy_text=POISON,
    )
    for name, content in made(poisoned).items():
        if name.endswith(".html"):
            page = Page(content)
            assert "img" not in page.tags, name
            assert not [a for a, _ in page.attributes if a.startswith("on")], name
            assert "\u202e" not in content.decode(), name
            assert "49" not in re.findall(r"\{\{7\*7\}\}|evil49", content.decode())
            assert not [link for link in page.links if link.startswith("javascript:")], name
            assert len(content) < 1_000_000


def stretched(value: Any, words: str, most: int = 300) -> Any:
    """The same with long texts and long lists; lists inside of lists have a sixth."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return value
    if isinstance(value, tuple) and value and is_dataclass(value[0]) and len(value) < 60:
        grown = tuple(stretched(inner, words, most // 6) for inner in value)
        return grown * max(1, most // len(grown))
    if is_dataclass(value) and not isinstance(value, type):
        long = {f.name: words for f in fields(value) if f.name in ("reason", "message", "subject", "title", "purpose")}
        return replace(value, **{f.name: stretched(getattr(value, f.name), words, most) for f in fields(value)} | long)
    return value


@pytest.mark.nightly
def test_no_page_grows_over_a_megabyte(facts: SiteFacts) -> None:
    """Whatever there is much of, and however long reasons are."""
    kept = {name: getattr(facts, name) for name in ("models", "commits", "deployments", "states", "stages", "looks")}
    grown = replace(stretched(facts, "because " * 120), **kept, policy_text="# x\n" * 500_000)
    # What is kept as it is has no larger page.
    pages = tuple(page for page in SITE_PAGES if page not in ("models", "changes", "deployments", "monitors"))
    sizes = {name: len(text) for name, text in made(grown, SiteView(pages=pages)).items() if name.endswith(".html")}
    assert max(sizes.values()) < 1_000_000, max(sizes, key=lambda name: sizes[name])


def test_an_empty_repository_has_pages_that_say_so() -> None:
    empty = made(SiteFacts("nothing", notes=("There is nothing to show yet: this clone has no main branch.",)))
    assert "There is nothing to show yet" in text_of(empty["index.html"])
    assert "Nothing is deployed yet" in text_of(empty["operations.html"])
    assert "No KPI is declared" in text_of(empty["kpis.html"])
    assert "no model yet" in text_of(empty["models/index.html"])
    assert "No traffic is watched yet" in text_of(empty["monitors/index.html"])


def test_a_ledger_out_of_reach_is_said_where_evidence_is_missing(facts: SiteFacts) -> None:
    problem = "The evidence cannot be read: gone."
    lost = made(replace(facts, ledger="", verdict=None, findings=(), ledger_problem=problem))
    for name in ("index.html", "audit.html", "approvals.html"):
        assert problem in text_of(lost[name]), name


def test_five_thousand_versions_come_in_parts(facts: SiteFacts) -> None:
    model = facts.models[0]
    many = tuple(replace(model.versions[-1], version=f"20200101T000000Z-{n:08x}", places=()) for n in range(5000))
    found = made(replace(facts, models=(replace(model, versions=(*model.versions, *many)),)))
    parts = [name for name in found if re.fullmatch(r"models/delay/index(-\d+)?\.html", name)]
    assert len(parts) == 51
    assert max(len(found[name]) for name in parts) < 100_000
    assert "5,003 versions, part 1 of 51" in text_of(found["models/delay/index.html"])


def test_exports_hold_what_the_pages_show(files: dict[str, bytes]) -> None:
    inventory = json.loads(files["exports/inventory.json"])
    assert [(row["name"], row["owner"]) for row in inventory] == [("delay", "Flight operations"), ("fare", "")]
    trail = files["exports/approvals.csv"].decode().splitlines()
    assert trail[0].startswith("time,model,environment,move")
    assert any("olga rita" in line for line in trail)


def test_a_build_leaves_nothing_of_an_older_one(facts: SiteFacts, tmp_path: Path) -> None:
    first = build(facts, "", EVERYTHING, tmp_path / "site")
    assert (tmp_path / "site/operations.html").is_file()
    second = build(facts, "risk", SiteView.model_validate(VIEWS["risk"]), tmp_path / "site")
    assert not (tmp_path / "site/operations.html").exists()
    assert 0 < second.pages < first.pages
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@pytest.mark.parametrize("other", [{}, {"site.json": '{"name": "my blog"}'}, {"site.json": "["}, {".git/HEAD": "ref"}])
def test_a_folder_of_somebody_is_not_replaced(facts: SiteFacts, tmp_path: Path, other: dict[str, str]) -> None:
    out = tmp_path / "out"
    if ".git/HEAD" in other:
        build(facts, "", EVERYTHING, out)
    write(out, {"thesis.txt": "years of work", **other})
    with pytest.raises(UsageError, match="is no site"):
        build(facts, "", EVERYTHING, out)
    assert (out / "thesis.txt").read_text() == "years of work"
