"""An alarm told to an address that gitml.yaml of the default branch names. Whatever goes wrong there stops nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from gitml.errors import GitmlError
from gitml.fields import WrongValueError
from gitml.http import HttpError, Request, connected
from gitml.retries import Patience
from gitml.spec.monitors import MonitorTell, check_address

# A comment waits for this.
_PATIENCE = Patience(tries=2, total=12.0, first=0.5, longest=2.0, answer=5.0)


def address_of(tell: MonitorTell, secrets: Mapping[str, str], say: Callable[[str], None]) -> str:
    """Where the alarm goes: as gitml.yaml says, or a secret that it names; '' where there is none that can be used."""
    if not tell.webhook_secret:
        return tell.webhook or ""
    held = secrets.get(tell.webhook_secret, "").strip()
    try:
        return check_address(held) if held else ""
    except WrongValueError:
        say(f"the secret {tell.webhook_secret} holds no address that can be used: https://…")
        return ""


def announce(address: str, body: Mapping[str, Any], say: Callable[[str], None], patience: Patience = _PATIENCE) -> bool:
    """POST ``body`` as JSON; whether a 2xx came back. ``say`` hears why not, with no more of the address than its host:
    the rest may be a secret. A server that answers byte by byte holds nobody up for longer than ``patience`` says."""
    found: list[bool] = []
    heard: list[str] = []
    call = threading.Thread(
        target=lambda: found.append(_posted(address, body, heard.append, patience)), daemon=True, name="gitml-webhook"
    )
    call.start()
    call.join(patience.total)
    for text in heard or ([] if found else [f"the webhook at {urlsplit(address).hostname} was not told: no answer"]):
        say(text)
    return bool(found and found[0])


def _posted(address: str, body: Mapping[str, Any], say: Callable[[str], None], patience: Patience) -> bool:
    parts = urlsplit(address)
    server = f"{parts.scheme}://{parts.netloc}"
    try:
        with connected(server, "", patience=patience) as http:
            http.send(Request("POST", address.removeprefix(server).lstrip("/"), body=dict(body), repeatable=False))
    except HttpError as exc:
        # Many answer with a word that is not JSON.
        if 200 <= exc.status < 300:
            return True
        say(f"the webhook at {parts.hostname} was not told: {exc.status or 'no answer'}")
        return False
    except GitmlError as exc:
        say(f"the webhook at {parts.hostname} was not told: {exc.message}")
        return False
    return True
