"""The judge is judged: what is thinner or other than GitHub's description must fail."""

import json
from typing import Any

import httpx
import pytest

from sandbox import description
from sandbox.description import Mismatch, check, modern
from sandbox.forge_kit import Kit
from sandbox.rest_kit import api, seeded

HEADERS = ("x-github-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


def again(response: httpx.Response, body: Any, **headers: str) -> httpx.Response:
    """The same answer with another body or other headers."""
    kept = {k: v for k, v in response.headers.items() if k not in ("content-length", *headers)}
    return httpx.Response(
        response.status_code,
        headers={**kept, **{k: v for k, v in headers.items() if v}},
        content=json.dumps(body).encode(),
        request=response.request,
    )


@pytest.mark.parametrize("path", ["", "pulls/1", "pulls", "pulls/1/reviews", "commits/main", "branches/main"])
def test_each_required_key_is_missed(kit: Kit, path: str) -> None:
    _, ada, olga, _ = seeded(kit)
    number = ada.pull()["number"]
    olga.review(number)
    response = ada.call("GET", path)
    body = response.json()
    first = body[0] if isinstance(body, list) else body
    schema = description.resolve(description.operation("GET", f"/repos/{ada.repo}/{path}".rstrip("/")) or {})
    answer = description.resolve(schema["responses"]["200"])["content"]["application/json"]["schema"]
    wanted = description.resolve(description.resolve(answer).get("items", answer))
    required = wanted["required"]
    assert len(required) > 5
    for key in required:
        assert key in first
        with pytest.raises(Mismatch, match=key):
            check(again(response, description.without(body, key)))


def test_a_wrong_type_and_a_missing_header(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    response = ada.call("GET", "")
    with pytest.raises(Mismatch, match="private"):
        check(again(response, {**response.json(), "private": "no"}))
    with pytest.raises(Mismatch, match="html_url"):
        check(again(response, {**response.json(), "html_url": "not a link"}))
    with pytest.raises(Mismatch, match="created_at"):
        check(again(response, {**response.json(), "created_at": "yesterday"}))
    for name in HEADERS:
        with pytest.raises(Mismatch, match=name):
            check(again(response, response.json(), **{name: ""}))


def test_null_is_allowed_only_where_the_description_says_so() -> None:
    schema = modern(
        {"type": "object", "properties": {"a": {"type": "string", "nullable": True}, "b": {"type": "string"}}}
    )
    assert description.errors(schema, {"a": None, "b": "x"}) == []
    assert description.errors(schema, {"a": None, "b": None})


def test_an_error_needs_its_words(kit: Kit) -> None:
    response = api(kit, "ada/nowhere", "ada").call("GET", "", expect=404)
    with pytest.raises(Mismatch, match="documentation_url"):
        check(again(response, {"message": "Not Found", "status": "404"}))


def test_a_later_page_needs_links(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    ada.write("b.txt", "b")
    response = ada.call("GET", "commits", params={"per_page": 1, "page": 2})
    with pytest.raises(Mismatch, match="first and prev"):
        check(again(response, response.json(), link=""))
