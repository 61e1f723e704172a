"""The whole loop by clicks: a report read, approved and merged, then a promotion that people of two roles let in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from loop.city_kit import BRANCHES, PATIENCE, City
from sandbox.browser_kit import chrome, login, needs_browser, press, quiet, seen

pytestmark = [pytest.mark.slow, pytest.mark.nightly, needs_browser]


@pytest.fixture(name="driver")
def a_browser() -> Iterator[Chrome]:
    with chrome() as driver:
        yield driver


class Person:
    """Somebody at a screen."""

    def __init__(self, driver: Chrome, city: City, who: str) -> None:
        self.driver, self.city, self.who = driver, city, who
        driver.delete_all_cookies()
        login(driver, city.loop.works.kit, who)

    def open(self, number: int) -> str:
        works = self.city.loop.works
        self.driver.get(f"{works.kit.url}/{works.repo.full_name}/pull/{number}")
        quiet(self.driver)
        return seen(self.driver)

    def approve(self, number: int, words: str) -> str:
        self.open(number)
        self.driver.find_element(By.ID, "review-body").send_keys(words)
        self.driver.find_element(By.CSS_SELECTOR, "input[value=APPROVE]").click()
        press(self.driver, "button[value=review]")
        return seen(self.driver)

    def merge(self, number: int) -> str:
        self.open(number)
        press(self.driver, "button[value=merge]")
        return seen(self.driver)

    @property
    def may_merge(self) -> bool:
        return self.driver.find_element(By.CSS_SELECTOR, "button[value=merge]").is_enabled()

    def keep(self, name: str) -> None:
        """A picture of the whole page, in the folder $GITML_SCREENSHOTS if there is one."""
        if folder := os.environ.get("GITML_SCREENSHOTS"):
            height = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["height"]
            self.driver.set_window_size(1240, height + 140)
            self.driver.save_screenshot(str(Path(folder, f"{name}.png")))
            self.driver.set_window_size(1240, 900)


def pictures(driver: Chrome) -> list[int]:
    """How wide each picture of the page's texts is, once the browser has it."""
    found = driver.find_elements(By.CSS_SELECTOR, ".md img")
    WebDriverWait(driver, 30).until(lambda _: all(image.get_property("complete") for image in found))
    return [int(image.get_property("naturalWidth")) for image in found]


def test_report_approval_and_promotion_by_clicks(city: City, driver: Chrome) -> None:
    loop = city.loop
    pushed = loop.change({"params.yaml": "rate: 0.7\n"}, branch="faster", message="Learn faster")
    training = loop.pull("faster", title="Learn faster")
    loop.until(lambda: loop.tip("faster") != pushed and loop.status(loop.tip("faster")), PATIENCE)

    rita = Person(driver, city, "rita")
    page = rita.open(training)
    assert "accuracy" in page
    assert "Learn faster" in page
    widths = pictures(driver)
    assert widths
    assert min(widths) > 100, widths
    rita.keep("training")
    assert not rita.may_merge
    assert "approved these changes" in rita.approve(training, "The calibration looks right.")
    city.until_gate(loop.tip("faster"), "success")
    assert "merged this into main" in rita.merge(training)

    (pull,) = loop.until(lambda: [p for p in city.api("GET", "/pulls") if BRANCHES in p["head"]["ref"]], PATIENCE)
    number, head = pull["number"], pull["head"]["sha"]
    city.until_gate(head, "pending")
    ada = Person(driver, city, "ada")
    ada.approve(number, "I trained it, it is good.")
    loop.until(lambda: any("does not count" in c["body"] for c in loop.comments(number)), PATIENCE)
    page = ada.open(number)
    ada.keep("promotion-pending")
    assert "could still approve" in page
    assert "1 review that does not count" in page
    assert "ada" in driver.find_element(By.XPATH, "//th[.='does not count because']/ancestor::table//tbody").text
    assert not ada.may_merge

    olga = Person(driver, city, "olga")
    olga.approve(number, "Operations is ready.")
    assert not olga.may_merge, "risk has not approved yet"
    eve = Person(driver, city, "eve")
    eve.approve(number, "Within our limits.")
    city.until_gate(head, "success")
    eve.open(number)
    eve.keep("promotion-ready")
    assert eve.may_merge
    assert "merged this into main" in eve.merge(number)
    eve.keep("promotion-merged")
    assert city.api("GET", f"/pulls/{number}")["merged_by"]["login"] == "eve"
