"""Draws a comment as the sandbox shows it: `python docs/commentpicture.py ADDRESS TARGET`.

ADDRESS is that of the comment, such as http://127.0.0.1:42369/ada/flight-delay/pull/1#issuecomment-2 while `make demo`
is up: docs/images/report.png is the report of the training. What is folded away and has charts is opened. Takes a
Chromium and its driver, as docs/lookpicture.py does.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

WIDTH, HEIGHT = 1280, 4000
OPEN = "document.querySelectorAll('details').forEach(d => { if (d.innerHTML.includes('<img')) d.open = true })"
SECONDS = 60


def main() -> None:
    address, target = sys.argv[1:]
    options = ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(word)
    # Without its path selenium asks for a newer one on the network.
    driver = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
    try:
        driver.set_script_timeout(SECONDS)
        driver.get(address.partition("#")[0])  # a page that is asked for a comment marks it
        driver.execute_script(OPEN)
        driver.implicitly_wait(SECONDS)
        comment = driver.find_element(By.ID, address.rpartition("#")[2])
        wait_for = "const done = arguments[0]; Promise.all([...document.images].map(i => i.decode())).then(done, done)"
        driver.execute_async_script(wait_for)
        Path(target).write_bytes(comment.screenshot_as_png)
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
