"""The branch of pictures, pushed to a real sandbox by many at once."""

import threading
from pathlib import Path

import pytest

from cijobs.publishing import png
from gitml.errors import IntegrityError, OutsideError
from gitml.git.assets import BRANCH, MAX_PICTURE, Remote, address_of, picture_files, push_pictures
from sandbox.forge_kit import Kit, git
from sandbox.rest_kit import seeded


def remote(kit: Kit, repo: str, login: str = "ada") -> Remote:
    return Remote(f"{kit.url}/{repo}.git", kit.token.get(login, login))


def pictures(*shades: int) -> dict[str, bytes]:
    return {address_of("roc.png", png(s)): png(s) for s in shades}


def listed(kit: Kit, repo: str, tmp_path: Path) -> list[str]:
    bare = tmp_path / "look.git"
    git(tmp_path, "clone", "-q", "--bare", "-b", BRANCH, f"{kit.url}/{repo}.git", str(bare))
    return git(bare, "ls-tree", "-r", "--name-only", BRANCH).split()


def test_pictures_are_there_once(kit: Kit, tmp_path: Path) -> None:
    _, ada, _, _ = seeded(kit)
    first = push_pictures(remote(kit, ada.repo), pictures(1, 2))
    assert push_pictures(remote(kit, ada.repo), pictures(2, 1)) == first
    second = push_pictures(remote(kit, ada.repo), pictures(3))
    assert ada.tip(BRANCH) == second
    assert sorted(listed(kit, ada.repo, tmp_path)) == sorted(pictures(1, 2, 3))
    commits = ada.get("commits", sha=BRANCH)
    assert [len(c["parents"]) for c in commits] == [1, 0]
    assert ada.call("GET", f"commits/{first}/pulls").json() == []


def test_same_picture_under_two_names(kit: Kit, tmp_path: Path) -> None:
    _, ada, _, _ = seeded(kit)
    both = {address_of(name, png(1)): png(1) for name in ("a.png", "b.png")}
    push_pictures(remote(kit, ada.repo), dict([next(iter(both.items()))]))
    push_pictures(remote(kit, ada.repo), both)
    assert sorted(listed(kit, ada.repo, tmp_path)) == sorted(both)


@pytest.mark.nightly
def test_many_writers_lose_nothing(kit: Kit, tmp_path: Path) -> None:
    _, ada, _, _ = seeded(kit)
    wrong: list[BaseException] = []

    def go(shade: int) -> None:
        try:
            push_pictures(remote(kit, ada.repo), pictures(shade))
        except BaseException as exc:
            wrong.append(exc)

    threads = [threading.Thread(target=go, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sorted(listed(kit, ada.repo, tmp_path)) == sorted(pictures(*range(6)))


def test_what_others_have_on_the_branch_stays(kit: Kit, tmp_path: Path) -> None:
    _, ada, _, _ = seeded(kit)
    push_pictures(remote(kit, ada.repo), pictures(1))
    ada.write("odd/ü name.txt", "theirs", BRANCH)
    ada.write("README.md", "theirs", BRANCH)
    push_pictures(remote(kit, ada.repo), pictures(2))
    assert ada.get("contents/odd", ref=BRANCH)[0]["name"] == "ü name.txt"
    assert ada.get("contents/README.md", ref=BRANCH)["size"] == 6


def test_a_private_repository_and_tokens(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit, private=True)
    push_pictures(remote(kit, ada.repo), pictures(1))
    for token in ("eve", "ghp_wrongwrongwrong"):
        with pytest.raises(OutsideError) as caught:
            push_pictures(remote(kit, ada.repo, token), pictures(2))
        secret = kit.token.get(token, token)
        assert secret not in caught.value.message + caught.value.hint
    assert "ghp" not in repr(remote(kit, ada.repo))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", b"<svg/>"),
        ("a.png", png() + b"0" * MAX_PICTURE),
        ("../a.png", png()),
        (".a.png", png()),
        ("a b", png()),
    ],
)
def test_what_is_no_picture(name: str, content: bytes) -> None:
    with pytest.raises(IntegrityError):
        address_of(name, content)


def test_files_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.png").write_bytes(png())
    (tmp_path / "in" / "ok.png").write_bytes(png())
    assert picture_files(tmp_path / "in", ["ok.png", "none.png"]) == {"ok.png": png()}
    for name in ("../out.png", "link/out.png"):
        (tmp_path / "in" / "link").unlink(missing_ok=True)
        (tmp_path / "in" / "link").symlink_to(tmp_path)
        with pytest.raises(IntegrityError):
            picture_files(tmp_path / "in", [name])
