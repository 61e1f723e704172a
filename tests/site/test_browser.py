"""A person with a browser: what each role asks is answered in three clicks, and axe finds nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from gallery import dated
from gitml.reports.charts import svgs
from gitml.reports.stillsvg import size_of
from gitml.site.build import build
from gitml.site.facts import SiteFacts
from gitml.site.versionfacts import SiteModel, TrainingChart
from gitml.spec.views import SiteView
from sandbox.browser_kit import broken_words, chrome, needs_browser, opened_width, press, quiet, seen

pytestmark = [pytest.mark.slow, pytest.mark.nightly, needs_browser]
AXE = Path(sys.prefix, "npm/node_modules/axe-core/axe.min.js")


@pytest.fixture(scope="module")
def pages(facts: SiteFacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site in a folder, as it is opened from a disk."""
    days = tuple((f"2026-03-{day:02}", 400.0 + day * (day % 7)) for day in range(1, 29))
    kpis = tuple(replace(kpi, points=days) for kpi in facts.kpis)
    folder = tmp_path_factory.mktemp("pages") / "below" / "site"
    models = tuple(with_drawn(model) for model in facts.models)
    shown = replace(dated(facts), home="https://forge.example/acme/flights", kpis=kpis, models=models)
    build(shown, "", SiteView(), folder)
    return folder


def with_drawn(model: SiteModel) -> SiteModel:
    """What a training like that of the reference application draws."""
    shares = [0.05 + 0.1 * place for place in range(8)]
    told = [{"predicted": x, "observed": x**1.15, "low": x**1.15 - 0.03, "high": x**1.15 + 0.03} for x in shares]
    costs = [{"threshold": place / 20, "cost": 12 + (place - 7) ** 2 / 8} for place in range(1, 20)]
    x, y = ({"field": name, "type": "quantitative"} for name in ("predicted", "observed"))
    line = {"mark": {"type": "line", "point": True, "color": "#1f6feb"}, "encoding": {"x": x, "y": y}}
    band = {"mark": "rule", "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}}
    cost = {"x": {**x, "field": "threshold"}, "y": {**y, "field": "cost"}}
    base = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "width": 300, "height": 200}
    specs = {
        "calibration": {**base, "title": "Calibration", "data": {"values": told}, "layer": [line, band]},
        "cost": {**base, "title": "Cost by threshold", "data": {"values": costs}, "mark": "line", "encoding": cost},
    }
    pictures = zip(specs, svgs(list(specs.values())), strict=True)
    charts = tuple(
        TrainingChart(name, str(specs[name]["title"]), svg, *size_of(svg), name)
        for name, svg in pictures
        if isinstance(svg, bytes)
    )
    assert len(charts) == 2
    return replace(model, details={name: replace(detail, charts=charts) for name, detail in model.details.items()})


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chrome() as found:
        yield found


def click(driver: Chrome, text: str) -> str:
    """What the page says that a link of this text leads to."""
    driver.find_element(By.XPATH, f"//a[normalize-space()='{text}']").click()
    return seen(driver)


@pytest.fixture
def first(driver: Chrome, pages: Path) -> Chrome:
    driver.get(f"file://{pages}/index.html")
    return driver


def test_why_did_this_version_go_to_production(first: Chrome, facts: SiteFacts) -> None:
    promoted = next(d for d in facts.deployments if d.environment == "production" and d.gate)
    press(first, f"main a[href='changes/{promoted.id}.html']")
    page = seen(first)
    for words in ("olga, rita", "trained", "auc", "0.710", "Commits since the change before", "gitml rollback"):
        assert words in page
    quiet(first)


def test_what_waits_for_me(first: Chrome) -> None:
    assert "risk: one person approves the newest commit: rita" in seen(first)
    page = click(first, "Approvals")
    assert "operations: olga (1 of 1)" in page


def test_did_it_pay(first: Chrome) -> None:
    page = click(first, "KPIs")
    assert "Passengers that were told in time" in page
    assert "+930 USD (+360 to +1,500)" in page
    assert first.find_elements(By.CSS_SELECTOR, "svg path.line")


def test_which_models_use_this_column(first: Chrome) -> None:
    click(first, "Data")
    page = click(first, "Who uses which column")
    assert "carrier" in page
    row = first.find_element(By.XPATH, "//tr[td/code='carrier']").text
    assert "delay" in row
    assert "delay in production" in row, "where it has drifted"


def test_what_runs_and_is_it_well(first: Chrome) -> None:
    page = click(first, "Operations")
    for words in ("in step", "behind", "up", "canary", "Long weekend"):
        assert words in page


def test_is_it_still_good(first: Chrome) -> None:
    click(first, "Monitors")
    click(first, "delay")
    assert len(first.find_elements(By.CSS_SELECTOR, "figure.chart")) == 4


def test_the_graph_leads_on(first: Chrome) -> None:
    first.find_element(By.XPATH, "//*[local-name()='text'][.='production']").click()
    assert "Deployments in production" in first.title


def test_the_keyboard_is_enough(first: Chrome) -> None:
    body = first.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert first.switch_to.active_element.text == "Skip to the content"
    for _ in range(3):
        first.switch_to.active_element.send_keys(Keys.TAB)
    first.switch_to.active_element.send_keys(Keys.ENTER)
    assert "What changed" in seen(first)


def column(driver: Chrome, number: int) -> list[str]:
    """The texts of a column of the first table, of the rows that are seen."""
    rows = driver.find_elements(By.CSS_SELECTOR, ".wrap tbody tr")
    return [row.find_elements(By.TAG_NAME, "td")[number].text for row in rows if row.is_displayed()]


def test_long_tables_are_sorted_and_searched_where_scripts_may_run(facts: SiteFacts, tmp_path: Path) -> None:
    model = facts.models[0]
    values = (0.5, 0.75, 0.725, -0.5, 12.0, 1234.0, 0.6, 0.7)
    versions = tuple(
        replace(v, version=f"{v.version[:-8]}{n:08x}", metrics={"auc": value} if n else {}, places=(), has_page=False)
        for n, (v, value) in enumerate(zip(model.versions[:1] * len(values), values, strict=True))
    )
    build(replace(facts, models=(replace(model, versions=versions, details={}),)), "", SiteView(), tmp_path / "site")
    page = f"file://{tmp_path}/site/models/delay/index.html"
    with chrome() as driver:
        driver.get(page)
        assert not driver.find_elements(By.CSS_SELECTOR, ".find, th button"), "without scripts nothing offers itself"
        as_written = column(driver, 0)
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        driver.get(page)
        auc = driver.find_element(By.XPATH, "//th/button[.='auc']")
        auc.click()
        assert column(driver, 3) == ["1,234", "12", "0.75", "0.725", "0.7", "0.6", "−0.5", "–"]
        assert auc.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"
        auc.send_keys(Keys.ENTER)
        assert column(driver, 3) == ["−0.5", "0.6", "0.7", "0.725", "0.75", "12", "1,234", "–"]
        field = driver.find_element(By.CSS_SELECTOR, "input[type=search]")
        field.send_keys("0.7 CI")
        assert column(driver, 3) == ["0.7", "0.725", "0.75"]
        assert driver.find_element(By.TAG_NAME, "output").text == "3 of 8"
        address = driver.current_url
        driver.get("about:blank")
        driver.get(address)
        assert column(driver, 3) == ["0.7", "0.725", "0.75"], "the address holds what was asked for"
        driver.find_element(By.CSS_SELECTOR, "input[type=search]").clear()
        driver.find_element(By.XPATH, "//th/button[.='auc']").click()
        assert column(driver, 0) == as_written
        assert driver.current_url == page
        quiet(driver)
        driver.get(f"{page}#sort0=99up&find0=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
        assert column(driver, 0) == []
        assert not driver.find_elements(By.TAG_NAME, "img")


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_page_is_wider_than_the_screen(driver: Chrome, pages: Path, width: int) -> None:
    wide, broken = [], []
    for page in sorted(pages.rglob("*.html")):
        if opened_width(driver, page.as_uri(), width) > width:
            wide.append(page.name)
        broken += [(page.name, word) for word in broken_words(driver, width)]
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert (wide, broken) == ([], [])


@pytest.mark.skipif("GITML_SCREENSHOTS" not in os.environ, reason="pictures are kept where GITML_SCREENSHOTS says")
def test_pictures_of_the_documentation(driver: Chrome, pages: Path) -> None:
    change = next(page for page in sorted((pages / "changes").glob("*+production.html")) if "rita" in page.read_text())
    version = max((pages / "models/delay").glob("2*.html"))
    shots = (
        ("site-overview", "index.html", 1200, "light"),
        ("site-change", f"changes/{change.name}", 900, "light"),
        ("site-monitor", "monitors/delay/production.html", 1200, "dark"),
        ("site-version", f"models/delay/{version.name}", 1200, "light"),
        ("site-operations", "operations.html", 1200, "light"),
        ("site-bias", "bias.html", 1200, "light"),
    )
    for name, page, width, theme in shots:
        scheme = [{"name": "prefers-color-scheme", "value": theme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        screen = {"width": width, "height": 600, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get(f"file://{pages}/{page}")
        tall = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["height"]
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**screen, "height": min(int(tall), 2400)})
        driver.save_screenshot(str(Path(os.environ["GITML_SCREENSHOTS"], f"{name}.png")))
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: see `make browser`")
def test_axe_finds_nothing(pages: Path) -> None:
    script = AXE.read_text(encoding="utf-8")
    run = "const done = arguments[0]; axe.run().then(r => done(r.violations.map(v => [v.id, v.nodes[0].html])))"
    found = {}
    with chrome() as driver:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        for theme in ("light", "dark"):
            scheme = [{"name": "prefers-color-scheme", "value": theme}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
            for page in sorted(pages.rglob("*.html")):
                driver.get(f"file://{page}")
                driver.execute_script(script)
                if violations := driver.execute_async_script(run):
                    found[theme, page.relative_to(pages).as_posix()] = violations
    assert found == {}
