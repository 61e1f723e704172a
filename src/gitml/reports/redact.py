"""Secrets taken out of text that others will read: those that are known, and those that look like one."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
# Shorter ones are words of the log: hiding every "yes" tells what the secret is.
SHORTEST = 5
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_PRIVATE = r"[A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
_WHOLE = tuple(
    re.compile(pattern)
    for pattern in (
        rf"-----BEGIN {_PRIVATE}[\s\S]*?(?:-----END {_PRIVATE}|\Z)",
        # The last lines of a log may hold the end of a key alone.
        rf"(?m:(?:^[ \t]*[A-Za-z0-9+/=]{{4,80}}[ \t]*\r?\n){{1,200}}[ \t]*-----END {_PRIVATE})",
        r"gh[a-z]_[A-Za-z0-9]{16,255}",
        r"github_pat_[A-Za-z0-9_]{20,255}",
        r"gl[a-z]{1,6}-[A-Za-z0-9_-]{16,255}",
        r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,40}",
        r"xox[a-z]-[A-Za-z0-9-]{8,255}",
        r"\bhf_[A-Za-z0-9]{20,100}",
        r"\bsk-[A-Za-z0-9_-]{20,255}",
        r"\bpypi-[A-Za-z0-9_-]{40,500}",
        r"\bnpm_[A-Za-z0-9]{30,100}",
        r"\bdop_v1_[a-f0-9]{40,100}",
        r"\bAIza[A-Za-z0-9_-]{30,60}",
        r"\bya29\.[A-Za-z0-9_-]{20,500}",
        r"\beyJ[A-Za-z0-9_-]{8,5000}\.[A-Za-z0-9_-]{8,9000}(?:\.[A-Za-z0-9_-]{0,5000})?",
    )
)
# The first group stays: it says what was hidden.
_AFTER = tuple(
    re.compile(pattern)
    for pattern in (
        r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)[^\s/\"'<>]+(?=@)",
        r"(?i:([?&;](?:[a-z0-9_-]{0,30}(?:token|signature|credential|password|secret)|sig|key|api_?key)=))[^\s&\"'<>]+",
        r"(?i:((?:proxy-)?authorization[\"']?[ \t]*[:=][ \t]*[\"']?))[^\r\n\"']+",
        r"(?i:(\b(?:bearer|basic)[ \t]+))[A-Za-z0-9._~+/=-]{16,}",
        r"(\b[A-Z0-9_]{0,60}(?:SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|CREDENTIALS?)[A-Z0-9_]{0,60}"
        r"[\"']?[ \t]*[=:][ \t]*[\"']?)[^\s\"',;]{4,}",
        r"(?i:(\b(?:password|passwd|passphrase|client[_-]?secret|secret[_-]?key|api[_-]?key|access[_-]?token|auth[_-]?token)"
        r"[\"']?[ \t]*[=:][ \t]*[\"']?))[^\s\"',;]{4,}",
    )
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with ``***`` for each secret; never longer, and the same again when it is redacted again.

    ``secrets`` are found as they are and as base64 (at any offset of a longer text), percent-encoded, hex, JSON or
    HTML; of one with several lines, each line too. Those of fewer than 5 characters are left alone.

    >>> redact("git clone https://bot:hunter2@example.com/x", [])
    'git clone https://***@example.com/x'
    >>> redact("token is c2VjcmV0LXdvcmQ=", ["secret-word"])
    'token is ***='
    """
    known = _known(secrets)
    before = None
    text = _ANSI.sub("", text)
    while before != text:  # each round shortens the text or is the last: what is left side by side may be a secret too
        before = text
        text = _once(text, known)
    return text


def _once(text: str, known: re.Pattern[str] | None) -> str:
    text = _ANSI.sub("", text)
    if known is not None:
        text = known.sub(MASK, text)
    for pattern in _WHOLE:
        text = pattern.sub(MASK, text)
    for pattern in _AFTER:
        text = pattern.sub(_masked, text)
    return text


def _masked(match: re.Match[str]) -> str:
    return match[1] + MASK[: len(match[0]) - len(match[1])]


def _known(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """One pattern for all forms, the longest first."""
    parts = {part for secret in secrets for part in _parts(secret) if len(part) >= SHORTEST}
    forms = {form: _pattern(form) for part in parts for form in _forms(part)}
    # The characters on both ends hold bits of the secret and of what stands beside it.
    forms |= {form: f"[A-Za-z0-9+/_-]?{re.escape(form)}[A-Za-z0-9+/_-]?" for part in parts for form in _base64(part)}
    ordered = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("|".join(forms[form] for form in ordered)) if forms else None


def _parts(secret: str) -> Iterator[str]:
    """The secret, and its lines: a log shows them one by one."""
    yield from dict.fromkeys([secret, secret.strip(), *(line.strip() for line in secret.splitlines())])


def _pattern(form: str) -> str:
    """Encoders differ in the case of hex digits."""
    if re.fullmatch(r"[0-9a-f]+", form) or "%" in form or "\\u" in form:
        return f"(?i:{re.escape(form)})"
    return re.escape(form)


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield raw.hex()
    yield quote(raw, safe="")
    yield quote(raw, safe="/:")
    yield quote_plus(raw)
    yield quote(quote(raw, safe=""), safe="")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield json.dumps(json.dumps(secret)[1:-1])[1:-1]
    yield html.escape(secret)


def _base64(secret: str) -> Iterator[str]:
    """What stays the same of the encoded secret wherever it stands in a longer text: three offsets, no ends."""
    raw = secret.encode("utf-8", "surrogatepass")
    for offset in range(3):
        first = -(-offset * 8 // 6)
        length = (offset + len(raw)) * 8 // 6
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            form = alphabet(b"\0" * offset + raw).decode()[first:length]
            if len(form) >= 6:
                yield form
