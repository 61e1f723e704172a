"""A real browser, headless, walks the pages, reviews as somebody else and merges."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.chrome.options import Options as ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from sandbox.forge_kit import Kit
from sandbox.web_kit import api
from sandbox.web_scene import Scene, scene

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver: see `make browser`"),
]


@pytest.fixture
def chrome() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = BROWSER or ""
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"):
        options.add_argument(word)
    options.add_argument("--window-size=1240,900")
    driver = Chrome(options=options, service=Service(DRIVER))
    # Whatever the pages do, they do it without scripts.
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    yield driver
    driver.quit()


def press(chrome: Chrome, css: str) -> None:
    """Click, and wait until the next page is there."""
    page = chrome.find_element(By.TAG_NAME, "html")
    chrome.find_element(By.CSS_SELECTOR, css).click()
    WebDriverWait(chrome, 30).until(staleness_of(page))
    WebDriverWait(chrome, 30).until(lambda d: d.find_elements(By.CSS_SELECTOR, "footer"))


def login(chrome: Chrome, kit: Kit, who: str) -> None:
    chrome.get(f"{kit.url}/login")
    chrome.find_element(By.ID, "login").send_keys(who, Keys.TAB, f"{who} password")
    press(chrome, "main button.primary")
    assert who in chrome.find_element(By.CSS_SELECTOR, "nav.me").text


def seen(chrome: Chrome) -> str:
    return chrome.find_element(By.TAG_NAME, "body").text


def quiet(chrome: Chrome) -> None:
    """Nothing was refused by the page's policy, and nothing is missing."""
    assert [entry["message"] for entry in chrome.get_log("browser")] == []


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
