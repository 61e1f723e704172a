"""Secrets in logs: hidden in every form, and nothing else is lost."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.reports.redact import MASK, redact

secret = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60).filter(
    lambda s: "*" not in s and "\x1b" not in s
)
word = st.text("abc ,\n", max_size=10)


@given(secret, word, word, st.sampled_from(["", "?", "ab:", "x-access-token:"]))
def test_every_form_of_a_known_secret_is_hidden(hidden: str, before: str, after: str, user: str) -> None:
    raw = hidden.encode()
    forms = [
        hidden,
        raw.hex(),
        raw.hex().upper(),
        quote(hidden, safe=""),
        quote_plus(hidden),
        json.dumps(hidden),
        json.dumps({"x": [hidden]}),
        json.dumps(json.dumps(hidden)),
    ]
    for form in forms:
        assert form.strip('"') not in redact(f"{before} {form} {after}", [hidden]).replace(MASK, "")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for tail in ("", "x", "yz"):
            encoded = encode(f"{user}{hidden}{tail}".encode()).decode()
            shown = redact(f"{before} {encoded} {after}", [hidden])
            assert encoded not in shown
            kept = max(shown.split(MASK), key=len)
            assert len(kept) <= len(before) + len(after) + len(user) * 2 + 10


@given(st.text(max_size=200) | st.lists(st.sampled_from(["ghp_", "a" * 20, "://", "@", ":", "Authorization: ", "token=",
       "\x1b[0m", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "\n", "***", "*", "eyJ", ".", "x", "?"]),
       max_size=20).map("".join), st.lists(st.text(max_size=12), max_size=3))  # fmt: skip
def test_never_longer_and_stable(text: str, secrets: list[str]) -> None:
    once = redact(text, secrets)
    assert len(once) <= len(text)
    assert redact(once, secrets) == once


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ghp_" + "a1B2" * 9, MASK),
        ("(ghs_" + "a1B2" * 9 + ")", f"({MASK})"),
        ("gho_" + "a" * 36 + " x", f"{MASK} x"),
        ("github_pat_" + "11A_" * 20, MASK),
        ("AKIAIOSFODNN7EXAMPLE", MASK),
        ("xoxb-123456789012-abcdef", MASK),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", MASK),
        ("https://me:pa55@host/x", f"https://{MASK}@host/x"),
        ("https://me:pa@55@host/x", f"https://{MASK}@host/x"),
        ("https://tok@host/x@v4", f"https://{MASK}@host/x@v4"),
        ("s3://key:s@bucket", f"s3://{MASK}@bucket"),
        ("GET /a?X-Amz-Signature=ab12&b=1", f"GET /a?X-Amz-Signature={MASK}&b=1"),
        ("Authorization: Bearer abc.def", f"Authorization: {MASK}"),
        ("{'Authorization': 'Basic YTpi'}", f"{{'Authorization': '{MASK}'}}"),
        ("-H 'authorization: token x'", f"-H 'authorization: {MASK}'"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", f"AWS_SECRET_ACCESS_KEY={MASK}"),
        ("password: hunter22", f"password: {MASK}"),
        ("\x1b[31mghp_\x1b[0m" + "a" * 20, MASK),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nx", f"{MASK}\nx"),
        ("a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", f"a\n{MASK}"),
        ("b3BlbnNzaC1rZXk\nabcd\n-----END OPENSSH PRIVATE KEY-----\nx", f"{MASK}\nx"),
        ('"-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----"', f'"{MASK}"'),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "ValueError: 3 tokens expected, got 2",
        "uses: actions/checkout@v4 at https://github.com/actions/checkout@v4",
        "epoch 3: auc=0.7031 loss=0.48",
        "commit 1f0c5e7d2b9a4c6e8f1a3b5c7d9e0f1a2b3c4d5e",
        "mail ada@example.com, see https://example.com/a?page=2#x",
        "KeyError: 'weather'",
        "skops.io.load(file, trusted=['sklearn._loss.loss.HalfBinomialLoss'])",
    ],
)
def test_a_log_without_secrets_stays(text: str) -> None:
    assert redact(text, ["", "no", "x"]) == text


def test_each_line_of_a_secret_is_hidden() -> None:
    assert redact("got second-line here", ["first-line\nsecond-line\n"]) == f"got {MASK} here"


def test_the_longer_of_two_secrets_wins() -> None:
    assert redact("abcdefgh-1", ["abcdefgh", "abcdefgh-1"]) == MASK


def test_hostile_texts_take_no_time() -> None:
    began = time.monotonic()
    for text in ("a" * 100_000, "eyJ" * 40_000, "A_" * 50_000, "://" * 30_000, "a+/=\n" * 20_000, "&token" * 20_000,
                 "-----BEGIN PRIVATE KEY-----" * 4_000, "TOKEN" * 20_000, "x://" + "a" * 100_000):  # fmt: skip
        redact(text, ["another-secret"])
    assert time.monotonic() - began < 20
