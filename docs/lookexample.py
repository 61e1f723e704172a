"""The examples on the page about the report of a look, which ``gitml.reports`` makes of the looks in ``looks.json``."""

from __future__ import annotations

import json
import re
from pathlib import Path

from gitml.reports.lookhook import webhook_body
from gitml.reports.monitor import report

_LOOKS = Path(__file__).parent / "looks.json"
_MADE = re.compile(r"(?s)<!-- made: (\w+) -->\n.*?<!-- end -->")


def with_examples(page: str) -> str:
    """The page with what stands between its marks made anew."""
    looks = json.loads(_LOOKS.read_text(encoding="utf-8"))
    told = report(looks[-1], looks[:-1], draw=lambda specs: [b"drawn" for _ in specs])
    body = webhook_body(looks[-1], "https://github.com/acme/flights/pull/7#issuecomment-1")
    made = {
        "webhook": f"```json\n{json.dumps(body, indent=2, ensure_ascii=False)}\n```",
        "sticky": f"````markdown\n{told.sticky}\n````",
        "alert": f"````markdown\n{told.alert}\n````",
    }
    return _MADE.sub(lambda found: f"<!-- made: {found[1]} -->\n{made[found[1]]}\n<!-- end -->", page)
