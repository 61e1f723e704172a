"""The web pages of the sandbox: every address, and the files that they need."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.web import addresses as web_addresses
from gitml_sandbox.web import commits as web_commits
from gitml_sandbox.web import compare as web_compare
from gitml_sandbox.web import files as web_files
from gitml_sandbox.web import login as web_login
from gitml_sandbox.web import patches as web_patches
from gitml_sandbox.web import pulls as web_pulls
from gitml_sandbox.web import runs as web_runs
from gitml_sandbox.web import serve as web_serve
from gitml_sandbox.web import settings as web_settings
from gitml_sandbox.web import texts as web_texts
from gitml_sandbox.web import words as web_words
from gitml_sandbox.web.serve import Page, Site

STATIC = {
    "gitml.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "no-picture.svg": "image/svg+xml",
}
# White letters on each have a contrast of at least 4.5.
COLOURS = (
    *("#9a3412", "#92400e", "#3f6212", "#166534", "#115e59", "#155e75"),
    *("#1e40af", "#3730a3", "#5b21b6", "#86198f", "#9d174d", "#9f1239"),
)


def pages() -> tuple[Page, ...]:
    """All pages, in the order in which addresses are tried."""
    return (
        *web_addresses.PAGES,
        *web_patches.PAGES,
        *web_pulls.PAGES,
        *web_compare.PAGES,
        *web_runs.PAGES,
        *web_settings.PAGES,
        *web_texts.PAGES,
        *web_commits.PAGES,
        *web_files.PAGES,
    )


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """The routes for the server; the last one takes every address that is none."""
    texts = {name: (files("gitml_sandbox.web") / "static" / name).read_bytes() for name in STATIC}
    css = hashlib.sha256(texts["gitml.css"]).hexdigest()[:12]
    site = Site(sandbox, web_serve.templates(sandbox), css)
    found: list[BaseRoute] = [
        *(Route(f"/static/{name}", _file(text, STATIC[name])) for name, text in texts.items()),
        Route("/favicon.ico", _file(texts["icon.svg"], STATIC["icon.svg"])),
        Route("/avatars/{login}", avatar),
        *web_login.routes(site),
        Route(web_runs.LOG.path, web_runs.log_endpoint(site, web_runs.LOG)),
    ]
    for page in pages():
        methods = ["GET", "POST"] if page.change else ["GET"]
        found.append(Route(page.path, web_serve.endpoint(site, page), methods=methods))
    everything = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return [*found, Route("/{rest:path}", web_serve.missing(site), methods=everything)]


def _file(text: bytes, media: str) -> Callable[[Request], Response]:
    headers = {"Cache-Control": "public, max-age=86400"}
    return lambda request: Response(text, headers=headers, media_type=media)


def avatar(request: Request) -> Response:
    """A letter on a colour: nothing is fetched from anywhere."""
    login = request.path_params["login"]
    letter = next((c for c in login if c.isascii() and c.isalnum()), "?").upper()
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">'
        f'<rect width="40" height="40" fill="{COLOURS[web_words.hue(login)]}"/>'
        '<text x="20" y="27" text-anchor="middle" font-family="system-ui,sans-serif" font-size="19" font-weight="600"'
        f' fill="#fff">{letter}</text></svg>'
    )
    return Response(svg, headers={"Cache-Control": "public, max-age=86400"}, media_type="image/svg+xml")
