"""A witness over HTTP (C2SP tlog-witness): one address, ``POST /add-checkpoint``. No database, no API keys.

Whoever can reach it may ask; what it does is decided by the signature on the checkpoint.
"""

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from kaquan.evidence import MAX_REQUEST_BYTES, Witness

PATH = "/add-checkpoint"

_GRACE_S = 5

Message = MutableMapping[str, Any]


class WitnessFront:
    """The ASGI application of a witness."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] != PATH:
            await _answer(send, 404, "only /add-checkpoint is here\n")
        elif scope["method"] != "POST":
            await _answer(send, 405, "POST a checkpoint\n", ("allow", "POST"))
        else:
            body = await _read(receive)
            if body is None:
                await _answer(send, 413, f"a request has {MAX_REQUEST_BYTES} bytes at the most\n")
            else:
                found = await self._witness.add_checkpoint(body)
                await _answer(send, found.status, found.text, media_type=found.media_type)


async def serve_witness(witness: Witness, *, host: str, port: int, started: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``started`` is called when requests are taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)  # from here on nobody is turned away
    config = uvicorn.Config(
        WitnessFront(witness),
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    started()
    await uvicorn.Server(config).serve(sockets=[listener])


async def _read(receive: Callable[[], Awaitable[Message]]) -> bytes | None:
    """The body, None if it is too long."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_REQUEST_BYTES:
            return None
    return body


async def _answer(
    send: Callable[[Message], Awaitable[None]],
    status: int,
    text: str,
    *headers: tuple[str, str],
    media_type: str = "text/plain; charset=utf-8",
) -> None:
    raw = text.encode()
    sent = [("content-type", media_type), ("content-length", str(len(raw))), *headers]
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in sent],
        }
    )
    await send({"type": "http.response.body", "body": raw})
