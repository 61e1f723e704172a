"""Where a repository's DVC remotes lie. Who can edit ``.dvc/config`` of main says a place, and nothing else.

DVC's own configuration also names commands that it runs (a webdav ``bearer_token_command``), files that name commands
(``configpath`` of S3, with a ``credential_process``), files with keys, and passwords. None of that comes from a
repository here: agents and jobs with a key would run it with all that they hold. Credentials come from the machine, and
belong to an address: to another one they are not sent. So do those of its environment: where a repository names the
endpoint, requests are signed with them only if the machine names the same one.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.config import Config
from dvc.exceptions import DvcException

from gitml.dvc.errors import as_ours
from gitml.errors import UsageError

_ENDPOINT = re.compile(r"(https?://)?([A-Za-z0-9.\-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?(/[A-Za-z0-9._~/\-]*)?")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]{0,62}")
# What may be said beside the URL, and how it must look. A kind of storage that is not here is a plug-in.
_S3 = {"endpointurl": _ENDPOINT, "region": _WORD}
_BESIDE: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "": {},
    "s3": _S3,
    # Credentials of Google are a token that whoever receives it may use, so no repository says where it is sent.
    "gs": {},
    "azure": {"account_name": _WORD},
    "oss": {"oss_endpoint": _ENDPOINT},
    "http": {},
    "https": {},
    "webdav": {},
    "webdavs": {},
    "ssh": {},
    "hdfs": {},
    "webhdfs": {},
}
# What DVC may be told of a remote besides, and nobody misses here.
# fmt: off
_TUNING = frozenset({
    "jobs", "checksum_jobs", "verify", "type", "shared", "protected", "slow_link_warning", "no_traverse", "listobjects",
    "use_ssl", "timeout", "read_timeout", "connect_timeout", "connection_timeout", "max_sessions", "acl", "sse",
})
# fmt: on
# Where the environment's credentials belong, besides to the provider itself: key of the endpoint, and the variables by
# which the provider's own tools know it.
_AMBIENT = {
    "s3": ("endpointurl", ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")),
    "oss": ("oss_endpoint", ("OSS_ENDPOINT",)),
}
# A region says nothing of whom the credentials go to.
_NO_PLACE = frozenset({"region"})


@dataclass(frozen=True)
class RemotePlace:
    """One remote, with all that DVC is told about it. ``note`` says what of this machine's settings was not used."""

    name: str
    settings: Mapping[str, Any]
    note: str = ""


def places_of(
    config: bytes, own: Mapping[str, Mapping[str, Any]] | None = None, env: Mapping[str, str] | None = None
) -> tuple[RemotePlace, ...]:
    """The remotes that ``config`` (the bytes of a repository's .dvc/config) names, the default one first.

    ``own`` are those of this machine, by name (``own_remotes``); none where a key is near. One that lies at exactly the
    same address is used with all that this machine says of it. ``env`` is this process's own, unless it is given.
    Raises UsageError when no remote can be used.
    """
    read = _parsed(config)
    remotes: Mapping[str, Mapping[str, Any]] = read.get("remote", {})
    if not remotes:
        raise UsageError("main names no DVC remote", "add one: dvc remote add --default NAME URL, by a pull request")
    first = read.get("core", {}).get("remote")
    order = sorted(remotes, key=lambda name: (name != first, name))
    env = os.environ if env is None else env
    return tuple(_place(name, remotes[name], own or {}, env) for name in order)


def _place(
    name: str, said: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]], env: Mapping[str, str]
) -> RemotePlace:
    address = _address(name, said)
    for settings in own.values():
        if _same_place(address, settings):
            return RemotePlace(name, {**address, **settings})
    unsigned = _unsigned(name, address, env)
    note = "; ".join(filter(None, (_unused(name, address, own), unsigned, _left_out(name, said))))
    return RemotePlace(name, {**address, **({"allow_anonymous_login": True} if unsigned else {})}, note)


def _unsigned(name: str, address: Mapping[str, Any], env: Mapping[str, str]) -> str:
    """Why requests to it are not signed, or "". Raises UsageError for a kind of storage that cannot do without.

    Amazon's signatures hold for one host, Alibaba's do not: what an endpoint receives it may use at the real one.
    """
    scheme = _scheme(str(address["url"]))
    key, variables = _AMBIENT.get(scheme, ("", ()))
    endpoint = str(address.get(key, "")).rstrip("/").lower()
    if not endpoint or endpoint in {env.get(variable, "").rstrip("/").lower() for variable in variables}:
        return ""
    hint = f"set {variables[0]}={address[key]}, or give a remote of this machine the same url and {key}"
    if scheme != "s3":
        raise UsageError(f"the DVC remote {name} has an endpoint that this machine does not name: {endpoint}", hint)
    return f"requests to {address[key]} are not signed, as only the repository names it: {hint}"


def places_named(names: Sequence[str], own: Mapping[str, Mapping[str, Any]]) -> tuple[RemotePlace, ...]:
    """Those that this machine's operator names: remotes of its own DVC configuration, or URLs.

    Raises UsageError for a name that is neither.
    """
    return tuple(_named(name, own) for name in names)


def own_remotes(folder: Path | None = None) -> dict[str, Mapping[str, Any]]:
    """The remotes of this machine's DVC configuration, and of ``folder``/.dvc/config.local. Name → settings."""
    try:
        read = Config(local_dvc_dir=str(folder / ".dvc") if folder else None, validate=False)
    except DvcException as exc:
        raise as_ours(exc) from exc
    return dict(read.get("remote", {}))


def _parsed(config: bytes) -> Mapping[str, Any]:
    with tempfile.NamedTemporaryFile(prefix="gitml-dvc-") as file:
        file.write(config)
        file.flush()
        try:
            found: Mapping[str, Any] = Config.load_file(file.name)
        except DvcException as exc:
            raise as_ours(exc) from exc
    return found


def _address(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    url = str(said.get("url", ""))
    beside = _BESIDE.get(_scheme(url))
    if beside is None:
        known = ", ".join(scheme for scheme in _BESIDE if scheme)
        raise UsageError(
            f"the DVC remote {name} lies at {url[:80]!r}, a kind of place that a repository may not name",
            f"those are a folder, {known}; an agent can be told another one: gitml agent --remote NAME",
        )
    _refuse_odd(name, url)
    kept = {key: str(said[key]) for key in beside if key in said}
    for key, value in kept.items():
        if not beside[key].fullmatch(value):
            raise UsageError(f"the DVC remote {name} has the {key} {value[:80]!r}, which is not one", "correct it")
    return {"url": url, **kept}


def _left_out(name: str, said: Mapping[str, Any]) -> str:
    """What of the repository's settings does not count, for whoever wonders why the remote gives nothing."""
    more = sorted(set(said) - {"url", *_TUNING, *_BESIDE[_scheme(str(said["url"]))]})
    if not more:
        return ""
    keys = ", ".join(more)
    return f"{keys} of the remote {name}: not taken from a repository; say it on this machine, under the same url"


def _scheme(url: str) -> str:
    before, mark, _ = url.partition("://")
    return before if mark else ""


def _refuse_odd(name: str, url: str) -> None:
    if _scheme(url):
        # What stands behind a question mark, or as a password, is a setting and no place.
        if re.search(r"[?#\s\\]|://[^/]*:[^/]*@", url) or not re.match(r"[a-z0-9]+://[^/]", url):
            raise UsageError(f"the DVC remote {name} has a URL that is more than a place", "write SCHEME://HOST/PATH")
    elif not (url.startswith(("/", "~")) or re.match(r"[A-Za-z]:[\\/]", url)):
        raise UsageError(
            f"the DVC remote {name} lies at {url!r}, a place inside a clone, and here is none",
            "give it an absolute path or a URL: dvc remote modify NAME url URL",
        )


def _unused(name: str, address: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]) -> str:
    near = next((n for n, said in own.items() if n == name or _url(said) == _url(address)), "")
    return f"this machine's settings for the remote {near} were not used: they do not name its address" if near else ""


def _same_place(address: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    keys = set(_BESIDE[_scheme(str(address["url"]))]) - _NO_PLACE
    return _url(own) == _url(address) and all(own.get(key) == address.get(key) for key in keys)


def _url(settings: Mapping[str, Any]) -> str:
    return str(settings.get("url", "")).rstrip("/")


def _named(name: str, own: Mapping[str, Mapping[str, Any]]) -> RemotePlace:
    found = own.get(name.lower()) or next((said for said in own.values() if _url(said) == name.rstrip("/")), None)
    if found is None and ("://" in name or name.startswith("/")):
        return RemotePlace(name, {"url": name})
    if found is None or not found.get("url"):
        hint = f"give a URL, or name it here: dvc remote add --global {name} URL"
        raise UsageError(f"this machine knows no DVC remote {name}", hint)
    return RemotePlace(name, found)
