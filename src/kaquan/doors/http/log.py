"""``/log/``: the transparency log as C2SP tlog-tiles has it. Public: who reads it learns hashes and their number."""

from typing import Annotated

from litestar import Controller, get
from litestar.response import Response
from msgspec import Meta

from kaquan.doors.http.operation import operation
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.evidence import SHA256, SM, Profile, get_checkpoint, get_key_receipts, get_keys, get_tile, read_path
from kaquan.kit.outcomes import NOT_FOUND, Refusal

TEXT = "text/plain"

_FRESH = {"cache-control": "public, max-age=1", "access-control-allow-origin": "*"}
_FOR_EVER = {"cache-control": "public, max-age=31536000, immutable", "access-control-allow-origin": "*"}

Level = Annotated[
    str,
    Meta(pattern=r"^(0|[1-9][0-9]?)$(?!\n)", description="the level of a tile, 0 to 63", extra={"zh": "层级，0 到 63"}),
]
Place = Annotated[
    str,
    Meta(
        pattern=r"^(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?$(?!\n)",
        description="the number of a tile in threes of digits, such as x001/234, with .p/17 for its first 17 hashes",
        extra={"zh": "三位一组的编号，例如 x001/234；.p/17 表示前 17 个哈希"},
    ),
]


class LogController(Controller):
    path = "/log"
    tags = ("log",)

    @get("/checkpoint", **operation(None, answer=str, refusals=[NOT_FOUND]))
    async def get_log_checkpoint(self, request: ApiRequest) -> Response[bytes]:
        """Get the newest checkpoint, a signed note (C2SP tlog-checkpoint), with the cosignatures of its witnesses."""
        return await _answer_checkpoint(request, SHA256)

    @get("/sm/checkpoint", **operation(None, answer=str, refusals=[NOT_FOUND]))
    async def get_log_sm_checkpoint(self, request: ApiRequest) -> Response[bytes]:
        """Get the newest checkpoint of the SM profile (SM3 and SM2), where there is one."""
        return await _answer_checkpoint(request, SM)

    @get("/keys", **operation(None, answer=str))
    async def list_log_keys(self, request: ApiRequest) -> Response[bytes]:
        """List the public keys of the log, the oldest first, one a line as name+id+key: get them from elsewhere too."""
        keys = await get_keys(app_of(request).pool)
        return Response("".join(f"{key.text}\n" for key in keys).encode(), media_type=TEXT, headers=_FRESH)

    @get("/keys/announcements", **operation(None, answer=str))
    async def list_log_key_announcements(self, request: ApiRequest) -> Response[bytes]:
        """List how each key was announced by the one before it, the oldest first: receipts of the entries of keys."""
        receipts = await get_key_receipts(app_of(request).pool)
        return Response("".join(receipts.values()).encode(), media_type=TEXT, headers=_FRESH)

    @get("/sm/tile/{level:str}/{place:path}", **operation(None, path={"level": Level, "place": Place}, answer=bytes))
    async def get_log_sm_tile(self, request: ApiRequest) -> Response[bytes]:
        """Get a tile of the tree of the SM profile."""
        return await _answer_tile(request, SM)

    @get("/tile/{level:str}/{place:path}", **operation(None, path={"level": Level, "place": Place}, answer=bytes))
    async def get_log_tile(self, request: ApiRequest) -> Response[bytes]:
        """Get a tile of the tree, hashes of 32 bytes one behind the other (C2SP tlog-tiles)."""
        return await _answer_tile(request, SHA256)


async def _answer_checkpoint(request: ApiRequest, profile: Profile) -> Response[bytes]:
    found = await get_checkpoint(app_of(request).pool, profile)
    if isinstance(found, Refusal):
        return problem_response(found)
    return Response(found.encode(), media_type=TEXT, headers=_FRESH)


async def _answer_tile(request: ApiRequest, profile: Profile) -> Response[bytes]:
    level, place = (str(request.path_params[name]) for name in ("level", "place"))
    tile = read_path(level, place.removeprefix("/"))
    found = NOT_FOUND.refuse(what="tile") if tile is None else await get_tile(app_of(request).pool, tile, profile)
    if isinstance(found, Refusal):
        return problem_response(found)
    return Response(found, media_type="application/octet-stream", headers=_FOR_EVER)
