"""Many clients at once: nothing lost, nothing twice, nothing wrong."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.forge_kit import Kit
from sandbox.rest_kit import api, seeded

CLIENTS, CALLS = 20, 25


@pytest.mark.slow
@pytest.mark.nightly
def test_500_calls_of_20_clients(kit: Kit) -> None:
    repo, ada, _, _ = seeded(kit)
    number = ada.post("issues", title="busy")["number"]
    head = ada.tip("main")

    def work(client: int) -> list[int]:
        mine = api(kit, repo, ("ada", "olga", "rita")[client % 3])
        found = []
        for call in range(CALLS):
            kind = call % 5
            if kind == 0:
                mine.status(head, f"c{client}-{call}")
            elif kind == 1:
                found.append(mine.post("issues", title=f"{client}-{call}")["number"])
            elif kind == 2:
                mine.get("issues", per_page=5)
            else:
                mine.post(f"issues/{number}/comments", body=f"{client}-{call}")
        return found

    with ThreadPoolExecutor(CLIENTS) as pool:
        numbers = [n for found in pool.map(work, range(CLIENTS)) for n in found]
    assert sorted(numbers) == list(range(number + 1, number + 1 + CLIENTS * 5))
    bodies = [c["body"] for p in range(1, 4) for c in ada.get(f"issues/{number}/comments", per_page=100, page=p)]
    assert Counter(bodies) == Counter(f"{c}-{k}" for c in range(CLIENTS) for k in range(CALLS) if k % 5 in (3, 4))
    assert ada.get(f"commits/{head}/status")["total_count"] == CLIENTS * 5
    assert ada.get("issues/1")["comments"] == len(bodies)


def test_two_merges_at_once(kit: Kit) -> None:
    """Of two pull requests that change the same line, one is merged; of one pull request, one merge succeeds."""
    _, ada, olga, _ = seeded(kit)
    pulls = []
    for name in ("one", "two"):
        ada.branch(name)
        ada.write("same.txt", name, name)
        pulls.append(ada.post("pulls", title=name, head=name, base="main")["number"])
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(who.call, "PUT", f"pulls/{n}/merge", json={}) for n in pulls for who in (ada, olga)]
        codes = sorted(j.result().status_code for j in jobs)
    assert codes == [200, 405, 405, 405]
    merged = [n for n in pulls if ada.get(f"pulls/{n}")["merged"]]
    assert len(merged) == 1
    assert ada.get(f"pulls/{merged[0]}")["merge_commit_sha"] == ada.tip("main")
