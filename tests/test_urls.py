"""Passwords and tokens stand in URLs, and URLs stand in errors, logs and pages."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.errors import OutsideError
from gitml.git.orphan import Remote
from gitml.urls import shown, shown_url

SECRETS = st.text("abcXYZ019:@%!$&()*+,;=-._~", min_size=6, max_size=20).map(lambda s: f"hunter2{s}")


@given(SECRETS, st.sampled_from(["https", "s3", "git+ssh"]), st.sampled_from([" said no", "", "', then", '"}', ">"]))
def test_no_text_shows_what_stands_before_the_at_or_behind_the_question_mark(
    secret: str, kind: str, after: str
) -> None:
    for url in (f"{kind}://{secret}@host/a/b", f"{kind}://u:{secret}@host", f"{kind}://host/a?key={secret}"):
        assert "hunter2" not in shown(f"unable to access '{url}{after}")
        assert "hunter2" not in shown_url(url)
        assert "hunter2" not in str(OutsideError(f"{url}{after}", url))
        assert "host" in shown(url)


@given(st.text(max_size=60))
def test_nothing_else_is_changed(text: str) -> None:
    assert shown(text) == text or "://" in text
    assert shown(shown(text)) == shown(text)


def test_a_password_in_a_remotes_url_reaches_git_as_a_header_alone() -> None:
    def header(remote: Remote) -> str:
        return next(v for v in remote.environment().values() if v.startswith("Authorization"))

    remote = Remote.of("https://ada:s%40cret@git.example.com:8443/a/b.git", "")
    assert (remote.url, remote.token) == ("https://git.example.com:8443/a/b.git", "s@cret")
    assert header(remote) == "Authorization: Basic " + base64.b64encode(b"ada:s@cret").decode()
    alone = Remote.of("https://ghp_token@github.com/a/b", "")
    assert header(alone) == "Authorization: Basic " + base64.b64encode(b"x-access-token:ghp_token").decode()
    assert Remote.of("https://x:old@github.com/a/b", "new") == Remote("https://github.com/a/b", "new")
    for url in ("git@github.com:a/b", "/srv/a.git", "https://github.com/a/b", "ssh://git@host/a"):
        assert Remote.of(url, "t") == Remote(url, "t")


@pytest.mark.parametrize("text", ["s@cret", base64.b64encode(b"ada:s@cret").decode()])
def test_what_git_says_is_cleaned_of_it(text: str) -> None:
    assert Remote.of("https://ada:s%40cret@host/a", "").clean(f"no: {text}!") == "no: ***!"
