""".dvc/config is committed: it must be readable, and hold no secret."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator

from gitml.errors import Problem

DVC_CONFIG = ".dvc/config"
_PASSWORD_URL = re.compile(r"://[^/@\s]*:[^/@\s]+@")
# fmt: off
_SECRETS = frozenset({
    "password", "secret_access_key", "session_token", "account_key", "sas_token", "connection_string",
    "client_secret", "gdrive_client_secret", "oss_key_secret", "custom_auth_header",
})
# fmt: on


def config_problems(content: bytes) -> list[Problem]:
    """What is wrong with a .dvc/config. A secret is never repeated in the message."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    try:
        text = content.decode()
        parser.read_string(text)
    except UnicodeDecodeError:
        return [Problem(DVC_CONFIG, 0, "", "is not UTF-8", "restore it from Git")]
    except configparser.Error as exc:
        line = getattr(exc, "lineno", None) or next((n for n, _ in getattr(exc, "errors", [])), 0)
        return [Problem(DVC_CONFIG, line, "", "is no configuration of DVC", "restore it from Git")]
    return [
        problem
        for section in parser.sections()
        for option, value in parser.items(section)
        for problem in _secret(text, section, option, value)
    ]


def default_remote(content: bytes) -> str:
    """The URL of the remote that DVC takes when none is named; empty when there is none, or no telling."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    try:
        parser.read_string(content.decode())
    except (UnicodeDecodeError, configparser.Error):
        return ""
    name = parser.get("core", "remote", fallback="")
    return parser.get(f"'remote \"{name}\"'", "url", fallback="") if name else ""


def _secret(text: str, section: str, option: str, value: str) -> Iterator[Problem]:
    place = f"{_spoken(section)}.{option}"
    hint = f"make a new one, and keep it out of Git: dvc config --local {place} ..."
    rows = enumerate(text.splitlines(), 1)
    line = next((n for n, row in rows if row.strip().lower().startswith(option) and value[:20] in row), 0)
    if _PASSWORD_URL.search(value):
        yield Problem(DVC_CONFIG, line, place, "the address holds a password, for all who read Git", hint)
    elif option.lower() in _SECRETS and value:
        yield Problem(DVC_CONFIG, line, place, "a secret, for all who read Git", hint)


def _spoken(section: str) -> str:
    """``'remote "store"'`` as the dvc command writes it.

    >>> _spoken("'remote \\"store\\"'")
    'remote.store'
    """
    return section.strip("'").replace(' "', ".").rstrip('"')
