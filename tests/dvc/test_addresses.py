"""A repository names places for artifacts. It names no command, no file with keys, and nobody else's password."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gitml.dvc.addresses import own_remotes, places_named, places_of
from gitml.dvc.lockentries import Content
from gitml.dvc.remotes import depot
from gitml.errors import OutsideError, UsageError

RAW = b"a model"
MD5 = hashlib.md5(RAW, usedforsecurity=False).hexdigest()


def config(url: str, **more: str) -> bytes:
    rows = "".join(f"    {key} = {value}\n" for key, value in {"url": url, **more}.items())
    return f"[core]\n    remote = store\n['remote \"store\"']\n{rows}".encode()


def settings(raw: bytes, env: Mapping[str, str] | None = None, **own: Mapping[str, Any]) -> dict[str, Any]:
    (place,) = places_of(raw, own, env or {})
    return dict(place.settings)


RUNS_OR_READS = [
    ("webdavs://example.org/x", "bearer_token_command", "touch /tmp/pwned"),
    ("webdavs://example.org/x", "cert_path", "/etc/shadow"),
    ("webdavs://example.org/x", "key_path", "/etc/shadow"),
    ("s3://bucket/x", "configpath", "evil/aws.conf"),
    ("s3://bucket/x", "credentialpath", "evil/aws.conf"),
    ("s3://bucket/x", "profile", "admin"),
    ("s3://bucket/x", "ssl_verify", "false"),
    ("ssh://example.org/x", "keyfile", "/home/gitml/.ssh/id_rsa"),
    ("ssh://example.org/x", "gss_auth", "true"),
    ("gs://bucket/x", "credentialpath", "key.json"),
    # Google's credentials are a token that whoever receives it may use: it goes to Google.
    ("gs://bucket/x", "endpointurl", "http://example.org"),
    ("https://example.org/x", "custom_auth_header", "X-Key"),
    ("https://example.org/x", "ssl_verify", "/etc/shadow"),
    ("azure://container/x", "connection_string", "BlobEndpoint=https://example.org"),
    ("webhdfs://example.org/x", "data_proxy_target", "https://example.org"),
]


@pytest.mark.parametrize(("url", "key", "value"), RUNS_OR_READS)
def test_main_names_a_place_and_nothing_that_runs_or_leads_to_a_file(url: str, key: str, value: str) -> None:
    assert settings(config(url, **{key: value})) == {"url": url}


def test_a_machine_may_say_where_its_own_google_storage_lies() -> None:
    mine = {"url": "gs://bucket/x", "endpointurl": "http://10.0.0.3:4443"}
    assert settings(config("gs://bucket/x", endpointurl="http://example.org"), mine=mine) == mine


def test_what_is_not_taken_is_said_where_a_remote_gives_nothing(tmp_path: Path) -> None:
    (place,) = places_of(config(str(tmp_path), password="x", jobs="4", type="symlink"))
    assert place.note.startswith("password of the remote store: not taken from a repository")
    with pytest.raises(OutsideError) as failed:
        depot([place]).fetch(Content("m", f"md5:{MD5}"), tmp_path / "m")
    assert failed.value.hint == place.note
    assert places_of(config(str(tmp_path), jobs="4"))[0].note == ""


def test_what_belongs_to_the_place_is_kept() -> None:
    said = {"endpointurl": "http://10.0.0.3:9000", "region": "eu-central-1"}
    own = {"AWS_ENDPOINT_URL": "http://10.0.0.3:9000/"}
    assert settings(config("s3://bucket/x", **said, profile="me"), own) == {"url": "s3://bucket/x", **said}
    assert settings(config("azure://box/x", account_name="flights")) == {
        "url": "azure://box/x",
        "account_name": "flights",
    }


@pytest.mark.parametrize(
    "url",
    [
        "gdrive://folder",
        "memory://x",
        "git://example.org/x",
        "remote://other/x",
        "../store",
        "https://ada:secret@example.org/x",
        "hdfs://example.org/x?kerb_ticket=/tmp/t",
        "webdav:///x",
    ],
)
def test_other_kinds_of_places_and_settings_inside_a_url_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="the DVC remote store"):
        places_of(config(url))


def test_the_environment_s_credentials_sign_nothing_at_an_endpoint_that_only_main_names() -> None:
    there = config("s3://bucket/x", endpointurl="http://evil:9000")
    for env in ({}, {"AWS_ENDPOINT_URL_S3": "http://10.0.0.3:9000"}):
        (place,) = places_of(there, None, env)
        assert place.settings["allow_anonymous_login"] is True
        assert "set AWS_ENDPOINT_URL_S3=http://evil:9000" in place.note
    mine = {"url": "s3://bucket/x", "endpointurl": "http://evil:9000", "profile": "me"}
    for fine in (
        settings(config("s3://bucket/x", region="eu-1")),
        settings(there, {"AWS_ENDPOINT_URL_S3": "http://Evil:9000/"}),
        settings(there, mine=mine),
    ):
        assert "allow_anonymous_login" not in fine
    oss = config("oss://bucket/x", oss_endpoint="oss-eu.example.org")
    with pytest.raises(UsageError, match="an endpoint that this machine does not name"):
        settings(oss)
    assert settings(oss, {"OSS_ENDPOINT": "oss-eu.example.org"})["oss_endpoint"] == "oss-eu.example.org"


@pytest.mark.parametrize("endpoint", ["http://a@example.org", "http://example.org/?x=1", "file:///etc"])
def test_an_endpoint_is_a_host(endpoint: str) -> None:
    with pytest.raises(UsageError, match="endpointurl"):
        places_of(config("s3://bucket", endpointurl=endpoint))


def test_own_settings_belong_to_an_address_and_to_no_name() -> None:
    own = {"mine": {"url": "s3://bucket/x/", "endpointurl": "http://10.0.0.3:9000", "access_key_id": "me"}}
    main = {"endpointurl": "http://10.0.0.3:9000", "region": "eu-1"}
    assert settings(config("s3://bucket/x", **main), **own)["access_key_id"] == "me"
    for other in ({"endpointurl": "http://evil:9000"}, {}):
        assert "access_key_id" not in settings(config("s3://bucket/x", **other), **own)
    (place,) = places_of(config("https://evil.example.org"), {"store": {"url": "https://good.example.org"}})
    assert "store were not used" in place.note


class Seen(list[tuple[str, str]]):
    """Path and password of each request."""


@contextmanager
def store(seen: Seen) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("X-Key", "")))
            good = self.path == f"/files/md5/{MD5[:2]}/{MD5[2:]}" and self.headers.get("X-Key")
            self.send_response(200 if good else 401)
            self.send_header("Content-Length", str(len(RAW) if good else 0))
            self.end_headers()
            self.wfile.write(RAW if good and self.command == "GET" else b"")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_remote_of_the_same_name_at_another_address_does_not_get_the_password(tmp_path: Path) -> None:
    """The machine's password goes to the machine's address; main points the same name elsewhere and gets nothing."""
    good, evil = Seen(), Seen()
    with store(good) as home, store(evil) as elsewhere:
        (tmp_path / ".dvc").mkdir()
        secret = {"auth": "custom", "custom_auth_header": "X-Key", "password": "s3cret"}
        (tmp_path / ".dvc" / "config.local").write_bytes(config(home, **secret))
        there = own_remotes(tmp_path)
        assert depot(places_of(config(home), there)).fetch(Content("m", f"md5:{MD5}"), tmp_path / "m")
        assert (tmp_path / "m").read_bytes() == RAW
        with pytest.raises(OutsideError) as failed:
            depot(places_of(config(elsewhere), there)).fetch(Content("m", f"md5:{MD5}"), tmp_path / "n")
        assert "were not used" in failed.value.hint
    assert any(password for _, password in good)
    assert evil
    assert not any(password for _, password in evil)


def test_who_runs_a_machine_names_its_remotes(tmp_path: Path) -> None:
    own = {"near": {"url": "s3://near", "profile": "me"}, "half": {"password": "x"}}
    assert [dict(p.settings) for p in places_named(["near", str(tmp_path)], own)] == [
        own["near"],
        {"url": str(tmp_path)},
    ]
    assert places_named(["s3://near"], own)[0].settings["profile"] == "me"
    for unknown in ("far", "half"):
        with pytest.raises(UsageError, match=f"no DVC remote {unknown}"):
            places_named([unknown], own)
