"""A real browser, headless, walks the pages, reviews as somebody else and merges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

import gitml_sandbox
from sandbox.browser_kit import broken_words, chrome, login, needs_browser, press, quiet, seen
from sandbox.forge_kit import Kit
from sandbox.web_kit import api
from sandbox.web_scene import Scene, scene

pytestmark = [pytest.mark.slow, pytest.mark.nightly, needs_browser]


@pytest.fixture(name="chrome")
def a_browser() -> Iterator[Chrome]:
    with chrome() as driver:
        yield driver


def walk(chrome: Chrome, kit: Kit, place: Scene) -> None:
    home = f"{kit.url}/{place.repo.full_name}"
    pages = {
        "": "flight-delay",
        "/blob/main/src/delay/model.py": "HistGradientBoostingClassifier",
        "/commits": "Describe the application",
        "/branches": "protected",
        "/pulls": "Promote delay@8d41c2e9",
        f"/pull/{place.promotion}": "outside the noise band",
        f"/pull/{place.promotion}/files": "Ten percent first, please.",
        f"/pull/{place.promotion}/checks": "Carrier YV",
        f"/pull/{place.promotion}/commits": "Canary at ten percent",
        "/actions": "No runs.",
        "/settings": "Code owners must approve",
        "/deployments": "healthy for 81 days",
    }
    for page, words in pages.items():
        chrome.get(f"{home}{page}")
        assert words in seen(chrome), page
        quiet(chrome)


def test_a_working_day(kit: Kit, chrome: Chrome, tmp_path: Path) -> None:
    place = scene(kit, tmp_path / "clone")
    page = f"{kit.url}/{place.repo.full_name}/pull/{place.small}"
    login(chrome, kit, "ada")
    walk(chrome, kit, place)

    chrome.get(page)
    assert "others have to approve it" in seen(chrome)
    assert not chrome.find_element(By.CSS_SELECTOR, "button[value=merge]").is_enabled()
    assert not chrome.find_element(By.CSS_SELECTOR, "input[value=APPROVE]").is_enabled()
    press(chrome, "nav.me button")
    assert "Log out" not in seen(chrome)

    login(chrome, kit, "rita")
    chrome.get(page)
    chrome.find_element(By.ID, "review-body").send_keys("The slices look right.")
    chrome.find_element(By.CSS_SELECTOR, "input[value=APPROVE]").click()
    press(chrome, "button[value=review]")
    assert "approved these changes" in seen(chrome)
    assert "Ready to merge" in seen(chrome)
    chrome.find_element(By.CSS_SELECTOR, "input[value=squash]").click()
    press(chrome, "button[value=merge]")
    assert "merged this into main" in seen(chrome)
    quiet(chrome)
    shown = api(kit, "ada", "GET", f"/repos/{place.repo.full_name}/pulls/{place.small}")
    assert (shown["merged"], shown["merged_by"]["login"]) == (True, "rita")


def test_narrow_columns_break_between_words(chrome: Chrome, tmp_path: Path) -> None:
    """Of a report: six columns, some of numbers and some of words, on a telephone too."""
    style = Path(gitml_sandbox.__file__).parent / "web/static/gitml.css"
    head = "".join(f"<th>{name}" for name in ("metric", "staging", "this version", "95 % interval", "reading"))
    cells = (
        "<code>log_loss</code>",
        "0.062134",
        "20261130T220637Z",
        "-0.00714 … +0.00031",
        "perhaps worse than staging",
    )
    table = f"<table><tr>{head}<tr>{''.join(f'<td>{cell}' for cell in cells)}</table>"
    page = tmp_path / "page.html"
    start = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    page.write_text(f"{start}<link rel=stylesheet href='{style.as_uri()}'><div class='wrap md'>{table}</div>")
    chrome.get(page.as_uri())
    assert {width: broken_words(chrome, width) for width in (360, 768, 1240)} == {360: [], 768: [], 1240: []}
    chrome.execute_cdp_cmd("Runtime.evaluate", {"expression": "document.body.style = 'word-break: break-all'"})
    assert broken_words(chrome, 360), "what is broken is seen"


def test_by_keyboard(kit: Kit, chrome: Chrome) -> None:
    chrome.get(f"{kit.url}/")
    body = chrome.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    first = chrome.switch_to.active_element
    assert first.text == "Skip to content"
    assert first.is_displayed()
    assert first.rect["x"] >= 0
    first.send_keys(Keys.TAB)
    brand = chrome.switch_to.active_element
    assert "gitml" in brand.text
    assert brand.value_of_css_property("outline-style") == "solid"
    brand.send_keys(Keys.TAB)
    assert chrome.switch_to.active_element.text == "Log in"
