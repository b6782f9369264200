"""Ask the API at the command line, in this very process: the same rooms, rights, four eyes and refusals as over HTTP.

Who asks proves who they are by their own key, which is read from :data:`TOKEN_VARIABLE` and is no argument, which
others could see.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import httpx
import msgspec

from kaquan.app import App
from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import note
from kaquan.doors.cli.prepare import ready_database, settings_of_command
from kaquan.kit.ids import SystemIds

TOKEN_VARIABLE = "KAQUAN_OPERATOR_TOKEN"  # noqa: S105  (the name of a variable)

PAGE = 200

Result = TypeVar("Result")


class Desk:
    """The API of this installation, asked with one person's key."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None, **query: Any) -> Any:
        """The answer. CommandError tells why it was refused, and has the problem document.

        What changes something is sent under ``key``, one of its own if none is given, which is told when it may be
        needed; asked again under it, it is done once.
        """
        headers = {}
        content = None if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        if method != "GET":
            key = key or SystemIds().new().hex
            headers = {"content-type": "application/json", "idempotency-key": key}
        given = {name: value for name, value in query.items() if value is not None}
        answer = await self._client.request(method, path, content=content, headers=headers, params=given)
        told = msgspec.json.decode(answer.content) if answer.content else None
        if answer.status_code < 400:
            return told
        if answer.status_code >= 500 and key is not None:
            note(f"Ask again with / 请重试: --key {key}")
        raise CommandError(_sentence(told, answer.status_code), told)

    async def pages(self, path: str, **query: Any) -> AsyncIterator[Any]:
        """Everything of a list, however long."""
        cursor = None
        while True:
            page = await self.ask("GET", path, limit=PAGE, cursor=cursor, **query)
            for one in page["data"]:
                yield one
            cursor = page["next_cursor"]
            if cursor is None:
                return


def _sentence(told: Any, status: int) -> str:
    if not isinstance(told, Mapping):
        return f"The answer was {status}. / 返回状态 {status}。"
    return f"{told['detail']} / {told['detail_zh']}"


def at_the_desk(work: Callable[[Desk], Awaitable[Result]]) -> Result:
    """Do ``work`` as whoever's key is in :data:`TOKEN_VARIABLE`."""
    token = os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise CommandError(f"{TOKEN_VARIABLE}: must hold a key: kaquan operator key / 请提供密钥。")
    settings = settings_of_command()

    async def serve(conninfo: str) -> Result:
        # loaded for those commands alone that ask
        from kaquan.doors.http.application import create_litestar
        from kaquan.doors.http.money import MoneyFront, describe_money

        app = await App.open(settings, conninfo)
        try:
            front = MoneyFront(app, create_litestar(app, *describe_money()))
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(cast(Any, front)),
                base_url="http://kaquan",
                headers={"authorization": f"Bearer {token}"},
            ) as client:
                return await work(Desk(client))
        finally:
            await app.close()

    with ready_database(settings) as conninfo:
        return asyncio.run(serve(conninfo))


def read_document(source: str) -> Any:
    """JSON from a file, or from standard input for ``-``."""
    try:
        with open(0 if source == "-" else source, "rb") as stream:
            return msgspec.json.decode(stream.read())
    except msgspec.DecodeError as error:
        raise CommandError(f"{source}: is no JSON document ({error}). / 不是合法的 JSON 文档。") from error
