"""The transparency log over HTTP: public, cacheable, and enough to build the tree from."""

import httpx
import pytest
from tests.contract.api import Api, problem

from kaquan.evidence import Sequencer, Tile, open_checkpoint, read_key
from kaquan.evidence.tiles import root_of, tiles_between
from kaquan.evidence.tree import HASH_BYTES


async def sequence(api: Api) -> None:
    sequencer = Sequencer(api.app.pool, api.app.clock, api.app.ids, api.app.slots)
    while (step := await sequencer.step(api.app.keyring.log_signers)).leaves or step.more:
        pass


async def test_the_log_needs_no_key_and_is_whole(api: Api) -> None:
    await sequence(api)
    anybody = api.client()
    response = await anybody.get("/log/checkpoint")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["cache-control"] == "public, max-age=1"
    keys = [read_key(line) for line in (await anybody.get("/log/keys")).text.splitlines()]
    checkpoint = open_checkpoint(response.text, keys)
    assert checkpoint.size > 0
    tiles: dict[tuple[int, int], bytes] = {}
    for tile in tiles_between(0, checkpoint.size):
        response = await anybody.get(f"/log/tile/{tile.path}")
        assert response.status_code == 200, tile
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert len(response.content) == tile.width * HASH_BYTES
        tiles[tile.level, tile.number] = response.content
    assert root_of(checkpoint.size, lambda level, number: tiles[level, number]) == checkpoint.root
    first = await anybody.get(f"/log/tile/{Tile(0, 0, 1).path}")
    assert first.content == tiles[0, 0][:HASH_BYTES]


@pytest.mark.parametrize(
    "place", ["0/x999/x999/999", "0/000.p/256", "0/0", "64/000", "00/000", "0/000.p/0", "x/000", "0/%2e%2e/000", "0/"]
)
async def test_what_is_no_tile_is_not_there(api: Api, place: str) -> None:
    await sequence(api)
    response: httpx.Response = await api.client().get(f"/log/tile/{place}")
    problem(response, 404, "not_found")


async def test_the_log_is_only_read(api: Api) -> None:
    for path in ("/log/checkpoint", "/log/keys"):
        response = await api.client().post(path)
        problem(response, 405, "method_not_allowed")
        assert response.headers["allow"] == "GET"
