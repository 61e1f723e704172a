"""Pages from templates: every text is escaped, and what nobody would see in it is made visible."""

from __future__ import annotations

import base64
import hashlib
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from gitml.output import size
from gitml.reports.escape import clip, is_plain_url, path_in_url, visible
from gitml.reports.figures import MINUS, decimals, figure, plural, share, signed
from gitml.site.charts import sparkline

# Nothing from elsewhere, no form that leads away. Of `file:` pages 'self' is any file of this machine.
POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'"
# Rows of a table that is worth sorting. Of versions and deployments there are hundreds of pages, and the script is a
# third of the smallest: they have it where a table is longer than a screen.
_LONG_TABLE, _LONGER_THAN_A_SCREEN = 8, 40
_OF_HUNDREDS = frozenset({"models-version.html", "changes-deployment.html"})


@cache
def table_script() -> Markup:
    """Sorts and searches long tables; what it does is in assets/tables.js, whose indents and comments stay there."""
    lines = files("gitml.site").joinpath("assets", "tables.js").read_text(encoding="utf-8").split("\n")
    kept = "\n".join(line for raw in lines if (line := raw.strip()) and not line.startswith("//"))
    return Markup(kept)  # noqa: S704  a file of this package, as it is


@cache
def script_policy() -> str:
    """That of a page with a long table. By its digest that script may run and no other one, wherever it lies."""
    digest = base64.b64encode(hashlib.sha256(table_script().encode()).digest()).decode()
    return f"{POLICY}; script-src 'sha256-{digest}'"


def _has_long_table(body: str, template: str) -> bool:
    """Whether the page has a table with a head that is worth sorting.

    >>> _has_long_table("<table><thead><tr><th>a</thead><tbody>" + 8 * "<tr><td>1", "audit.html")
    True
    """
    least = _LONGER_THAN_A_SCREEN if template in _OF_HUNDREDS else _LONG_TABLE
    return any(table.partition("</table>")[0].count("<tr>") > least for table in body.split("<table><thead>")[1:])


@dataclass(frozen=True)
class SitePageFile:
    """A page to be: its file, relative to the site's folder, its title, its template and what that shows.

    ``group`` is the page of ``policy.yaml`` that it belongs to; empty for the first one.
    """

    path: str
    title: str
    template: str
    group: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@cache
def environment() -> Environment:
    """Templates of this package. Strict: a name that a page does not have is a mistake."""
    made = Environment(
        loader=PackageLoader("gitml.site"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters.update(
        day=_day,
        minute=_minute,
        figure=_figure,
        metric=_metric,
        signed=signed,
        share=share,
        size=size,
        short=short,
        clip=clip,
        plural=plural,
        code=_with_code,
        percent=_percent,
        number=_number,
        seconds=_seconds,
        sparkline=sparkline,
        money=_money,
        ratio=_ratio,
        has_long_table=_has_long_table,
    )
    return made


def render(page: SitePageFile, shell: Mapping[str, Any]) -> bytes:
    """The page as UTF-8. ``shell`` is what all pages of a site have."""
    depth = page.path.count("/")
    root = "../" * depth
    links = PageLinks(root, str(shell["home"]), str(shell["commit"]), str(shell["folder"]))
    template = environment().get_template(page.template)
    told = {"navigation": _navigation(root, page.group, shell["pages"]), **shell, **page.data}
    policies = {"policy": POLICY, "script_policy": script_policy(), "script": table_script()}
    text = template.render(page=page, root=root, link=links, **policies, **told)
    return text.encode("utf-8", "backslashreplace")


@cache
def _navigation(root: str, group: str, pages: tuple[tuple[str, str, str], ...]) -> Markup:
    """The same on every page of a group and depth."""
    found = [
        Markup('<li><a href="{}{}"{}>{}</a>\n').format(root, path, _current(group == own), name)
        for own, path, name in (("", "index.html", "Overview"), *pages)
    ]
    return Markup("").join(found)


def _current(is_current: bool) -> Markup:
    return Markup(' aria-current="page"') if is_current else Markup("")


@dataclass(frozen=True)
class PageLinks:
    """Where links of one page lead. Without a forge there is nothing to open, and the text stands alone."""

    root: str
    home: str
    commit: str
    folder: str

    def here(self, path: str) -> str:
        """A page or file of the site."""
        return self.root + path

    def pull(self, number: int | None) -> str:
        return self._forge(f"pull/{number}") if number else ""

    def at(self, commit: str) -> str:
        """A commit."""
        return self._forge(f"commit/{commit}") if commit else ""

    def file(self, path: str, line: int = 0) -> str:
        """A file of the application as main has it, or one line of it."""
        return self._forge(f"blob/{self.commit}/{path_in_url(self.folder + path)}" + (f"#L{line}" if line else ""))

    def compare(self, old: str, new: str) -> str:
        return self._forge(f"compare/{old}...{new}") if old and new else ""

    def _forge(self, path: str) -> str:
        url = f"{self.home}/{path}"
        return url if self.home and is_plain_url(url.partition("#")[0]) else ""

    def outside(self, url: str) -> str:
        """An address that somebody else says: only of the web."""
        return url if is_plain_url(url) else ""


def relative(start: str, path: str) -> str:
    """
    >>> relative("models/delay/index.html", "data/index.html")
    '../../data/index.html'
    """
    return posixpath.relpath(path, posixpath.dirname(start) or ".")


def _finalized(value: Any) -> Any:
    """Called for everything that a template shows, so the common case comes first."""
    if not isinstance(value, str):
        return "–" if value is None else value
    if isinstance(value, Markup) or (value.isascii() and value.isprintable()):
        return value
    return "".join(visible(line) + "\n" for line in value.split("\n"))[:-1] if "\n" in value else visible(value)


def _percent(value: float) -> str:
    """
    >>> _percent(10.0), _percent(0.5)
    ('10 %', '0.5 %')
    """
    return f"{value:g} %"


def _number(value: float) -> str:
    """
    >>> _number(3.25), _number(3.0), _number(0.123456)
    ('3.25', '3', '0.123')
    """
    return f"{value:.3g}"


def _seconds(value: float | None) -> str:
    """
    >>> _seconds(0.00042), _seconds(0.0123), _seconds(2.5), _seconds(None)
    ('0.42 ms', '12.3 ms', '2.5 s', '–')
    """
    if value is None:
        return "–"
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def _money(value: float, currency: str, is_signed: bool = False) -> str:
    """
    >>> _money(1234.5, "USD"), _money(-3.25, "EUR"), _money(930.0, "", True)
    ('1,234 USD', '−3.25 EUR', '+930')
    """
    text = f"{abs(value):,.0f}" if abs(value) >= 100 else f"{abs(value):,.2f}"
    sign = MINUS if value < 0 else "+" if is_signed and value > 0 else ""
    return f"{sign}{text} {currency}".strip()


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _with_code(text: str) -> Markup:
    """What stands between backticks as code.

    >>> _with_code("run `a<b`")
    Markup('run <code>a&lt;b</code>')
    """
    parts = [escape(_finalized(part)) for part in text.split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else p for i, p in enumerate(parts))


def _day(time: str) -> str:
    return time[:10] or "–"


def _minute(time: str) -> str:
    """
    >>> _minute("2026-03-01T12:30:59Z")
    '2026-03-01 12:30'
    """
    return time.replace("T", " ")[:16] or "–"


def _figure(value: float | None) -> str:
    """Four digits that count, where nobody says how sure they are.

    >>> _figure(0.71234), _figure(9.0), _figure(26123.0), _figure(-0.5), _figure(None)
    ('0.7123', '9', '26,123', '−0.5', '–')
    """
    if value is None or abs(value) >= 1000:
        return figure(value, 0)
    return f"{value:.4g}".replace("-", MINUS)


def _metric(value: float | None, low: float | None, high: float | None) -> str:
    """With as many digits as its interval justifies."""
    width = None if low is None or high is None else high - low
    return figure(value, decimals(width))


def short(version: str) -> str:
    """
    >>> short("20260301T070000Z-3f2a90bc"), short("")
    ('3f2a90bc', '–')
    """
    return version.rpartition("-")[2] or "–"
