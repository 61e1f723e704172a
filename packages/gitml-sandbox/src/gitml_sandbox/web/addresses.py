"""The page on which people say which e-mail addresses are theirs."""

from __future__ import annotations

from starlette.responses import Response

from gitml_sandbox.forge import emails
from gitml_sandbox.forge.refusals import RefusalError
from gitml_sandbox.forge.users import User
from gitml_sandbox.web.serve import Page, Visit

PATH = "/settings/emails"


def addresses(visit: Visit) -> Response:
    return visit.show("emails.html", addresses=emails.listing(visit.tx, _me(visit).id))


def change(visit: Visit) -> str:
    """Add the address that was typed, or remove the one whose button was pressed."""
    add, remove = visit.form.get("add", "").strip(), visit.form.get("remove", "")
    with visit.sandbox.store.write() as tx:
        if add:
            emails.add(tx, _me(visit).id, [add])
        if remove:
            emails.remove(tx, _me(visit).id, [remove])
    return PATH


def _me(visit: Visit) -> User:
    if visit.user is None:
        raise RefusalError(401, "Log in first.")
    return visit.user


PAGES = (Page(PATH, addresses, change, login=True),)
