"""GitHub's REST API below the operations, and the one operation that only its GraphQL has."""

from __future__ import annotations

from gitml.forges.rest import Rest, Shape
from gitml.http import Http, HttpError, Request

_GRAPHQL = {"NOT_FOUND": 404, "FORBIDDEN": 403}


class GithubRest(Rest):
    """Calls below ``/repos/OWNER/NAME``; a path that starts with a slash is below the API itself."""

    def __init__(self, http: Http, repository: str) -> None:
        super().__init__(http, repository, f"repos/{repository}")

    def graphql(self, query: str, **variables: str) -> Shape:
        """What a query gives. GitHub answers 200 with ``errors`` where it refuses; raises HttpError for those.

        Its address is beside that of REST: https://docs.github.com/en/enterprise-server/graphql/guides/forming-calls-with-graphql
        """
        address = f"{self.http.address.removesuffix('/v3')}/graphql"
        found = self.http.send(Request("POST", address, {}, {"query": query, "variables": variables})).value
        shape = Shape(found, "POST graphql")
        for problem in shape.objects("errors") if shape.has("errors") else ():
            raise HttpError(
                f"POST graphql: {problem.text_or('message')[:500]}", status=_GRAPHQL.get(problem.text_or("type"), 0)
            )
        return shape
