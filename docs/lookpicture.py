"""Draws docs/images/monitor.png: the report of the looks in docs/looks.json, as a pull request shows it.

`python docs/lookpicture.py LOOKS TARGET [HEIGHT]` draws others, that `gitml monitor --json` printed; of HEIGHT pixels.
docs/images/alarm.png is such a picture: three weeks of flights from April on, in production of the reference
application.

Takes a Chromium, its driver, and a font with coloured signs (Debian: fonts-noto-color-emoji).
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from gitml.reports.monitor import Page, report

ROOT = Path(__file__).resolve().parent.parent
WIDTH, MARGIN = 928, 20
STYLE = """
body { margin: 20px; font: 15px/1.6 system-ui, "DejaVu Sans", sans-serif; color: #1f2328; background: #fff }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; background: #f2f2ee; border-radius: 5px }
code { padding: 2px 5px; font-size: 85% } pre { padding: 14px 16px } pre code { padding: 0 }
table { border-collapse: collapse } th, td { border: 1px solid #dddcd6; padding: 7px 12px } th { background: #f2f2ee }
img { max-width: 100% } details { border: 1px solid #dddcd6; border-radius: 6px; padding: 8px 14px; margin: 14px 0 }
summary { font-weight: 600 }
"""


def page(looks_at: Path) -> Page:
    looks = json.loads(looks_at.read_text(encoding="utf-8"))
    return report(looks[-1], looks[:-1])


def html(told: Page) -> str:
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(told.sticky)
    return f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><body>{body}</body>'


def main() -> None:
    given = dict(enumerate(sys.argv[1:]))
    told = page(Path(given.get(0, ROOT / "docs/looks.json")))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for picture, content in told.pictures.items():
            (folder / picture).write_bytes(content)
        (folder / "page.html").write_text(html(told), encoding="utf-8")
        options = ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},800"):
            options.add_argument(word)
        # Without its path selenium asks for a newer one on the network.
        driver = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
        try:
            driver.get((folder / "page.html").as_uri())
            whole = driver.execute_script("return document.body.scrollHeight") + 2 * MARGIN
            height = int(given.get(2, whole))
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False},
            )
            driver.save_screenshot(f"{given.get(1, ROOT / 'docs/images/monitor.png')}")
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
