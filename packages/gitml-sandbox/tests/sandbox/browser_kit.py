"""A real browser, headless and without scripts, and what a person does with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.chrome.options import Options as ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from sandbox.forge_kit import Kit

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="needs chromium and chromedriver: see `make browser`"
)


@contextmanager
def chrome() -> Iterator[Chrome]:
    """A browser for one test, which closes it."""
    options = ChromeOptions()
    options.binary_location = BROWSER or ""
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"):
        options.add_argument(word)
    options.add_argument("--window-size=1240,900")
    driver = Chrome(options=options, service=Service(DRIVER))
    # Whatever the pages do, they do it without scripts.
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        yield driver
    finally:
        driver.quit()


# Words of cells that stand on more than one line. The page's own scripts are off, those of the driver are not.
_BROKEN = r"""
[...document.querySelectorAll("td, th")].flatMap(cell => {
  const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), found = [];
  for (let text; (text = texts.nextNode()); )
    for (const word of text.data.matchAll(/[\p{L}\p{N}_.+]+/gu)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1) found.push(word[0]);
    }
  return found;
})
"""


def broken_words(chrome: Chrome, width: int) -> list[str]:
    """The words that columns of tables break on a screen of this width (pixels)."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    asked = {"expression": _BROKEN, "returnByValue": True}
    found: list[str] = chrome.execute_cdp_cmd("Runtime.evaluate", asked)["result"]["value"]
    return found


# Scroll bars of a desktop take some of the width, those of a phone do not.
_SCROLL_BAR = 20
_MEASURED = """
document.readyState == "complete" && location.href == %s
  ? [document.documentElement.clientWidth, document.documentElement.scrollWidth] : null
"""


def opened_width(chrome: Chrome, url: str, width: int) -> int:
    """Open a page on a screen of this width (pixels), and say how wide it is.

    Without scripts the driver may return while the page before is still there, and a page that loads on a busy machine
    may have the size of the window: what is measured is this page, once it is there and has the screen's width.
    """
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    asked = {"expression": _MEASURED % json.dumps(url), "returnByValue": True}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    chrome.get(url)

    def measured(driver: Chrome) -> list[int] | None:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        found: list[int] | None = driver.execute_cdp_cmd("Runtime.evaluate", asked)["result"].get("value")
        return found if found and width - _SCROLL_BAR < found[0] <= width else None

    found = WebDriverWait(chrome, 30, poll_frequency=0.05).until(measured, f"{url} is never there, {width} wide")
    assert found
    return found[1]


def press(chrome: Chrome, css: str) -> None:
    """Click, and wait until the next page is there."""
    page = chrome.find_element(By.TAG_NAME, "html")
    chrome.find_element(By.CSS_SELECTOR, css).click()
    # While one document takes the place of the other, the driver may know neither: it is asked again.
    WebDriverWait(chrome, 30, ignored_exceptions=[WebDriverException]).until(staleness_of(page))
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
