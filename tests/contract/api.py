"""A client of the HTTP API over a real database, in the same process."""

from typing import Any, cast

import httpx
from tests.served import litestar_of

from kaquan.app import App
from kaquan.doors.http.money import MoneyFront
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Book, IssuedKey, Mode, Scope, create_tenant, issue_key

MAX_BODY_BYTES = 4_096


class Api:
    """The served application, its books and a client for each key that is asked for.

    What moves value needs the desk of the application to be started.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.litestar = litestar_of(app)
        self._clients: list[httpx.AsyncClient] = []

    async def books(self) -> dict[Mode, Book]:
        """The books of a new tenant."""
        name = f"tenant {self.app.ids.new()}"
        created = await create_tenant(self.app.pool, self.app.clock, self.app.ids, name=name)
        assert not isinstance(created, Refusal)
        return created[1]

    async def key(self, book: Book, *scopes: Scope) -> IssuedKey:
        """A new key of a book, with every scope unless some are named."""
        issued = await issue_key(
            self.app.pool, self.app.clock, self.app.ids, book=book, name="test", scopes=scopes or list(Scope)
        )
        assert isinstance(issued, IssuedKey)
        return issued

    def client(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        """A client that sends this token."""
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        transport = httpx.ASGITransport(cast(Any, MoneyFront(self.app, cast(Any, self.litestar))))
        client = httpx.AsyncClient(transport=transport, base_url="http://kaquan.test", headers=headers)
        self._clients.append(client)
        return client

    async def client_of(self, book: Book, *scopes: Scope) -> httpx.AsyncClient:
        """A client with a new key of ``book``."""
        return self.client((await self.key(book, *scopes)).token)

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


def problem(response: httpx.Response, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    """Assert that ``response`` is this problem document, whole; returns it."""
    assert response.headers["content-type"] == "application/problem+json"
    body = cast(dict[str, Any], response.json())
    assert (response.status_code, body["code"], body["field"]) == (status, code, field), body
    told = {"type", "title", "status", "code", "detail", "detail_zh", "field", "retryable"}
    assert set(body) - {"rule", "source"} == told
    assert body["type"] == f"urn:kaquan:outcome:{code}"
    assert body["status"] == status
    assert body["title"]
    assert "{" not in body["detail"]
    assert any("一" <= character <= "鿿" for character in body["detail_zh"])
    if field is not None and code == "invalid_field":
        assert field in body["detail"]
        assert field in body["detail_zh"]
    return body
