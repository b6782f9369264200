"""The SM profile on a real database: the same leaves in the same order, hashed with SM3 and signed with SM2."""

from datetime import timedelta

import pytest
from tests.store.test_evidence_log import FIRST, SECOND, Log, log, made
from tests.unit.test_evidence_receipt import single_file

from kaquan.audit import run_audits
from kaquan.evidence import (
    SM,
    Algorithm,
    Checkpoint,
    LogError,
    LogKey,
    NoteError,
    Tile,
    follow_keys,
    get_checkpoint,
    get_key_receipts,
    get_keys,
    get_tile,
    open_checkpoint,
    prove_leaf,
    sm_log,
)
from kaquan.evidence.note import sign_note
from kaquan.evidence.sm import hash_sm_children, hash_sm_leaf
from kaquan.evidence.tiles import root_of, tiles_between
from kaquan.evidence.tree import includes, perfect_root, root_of_range
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.vault import LogSigner, Sm2Signer

__all__ = ["log", "made"]

SM_FIRST, SM_SECOND = Sm2Signer("s1", b"3" * 32), Sm2Signer("s2", b"4" * 32)


async def drain(log: Log, *signers: LogSigner, sm: tuple[Sm2Signer, ...] = (SM_FIRST,)) -> None:
    """Steps of one sequencer until nothing waits."""
    sequencer = log.sequencer()
    while (step := await sequencer.step(signers or (FIRST,), sm)).leaves or step.more:
        pass


async def holds(log: Log, *signers: Sm2Signer) -> Checkpoint:
    """The SM checkpoint, which is the SM3 tree over all leaf hashes in their order."""
    note = await get_checkpoint(log.pool, SM)
    assert isinstance(note, str)
    origin = (await log.holds()).origin + "/sm3"
    keys = [LogKey(origin, signer.public, Algorithm.SM2) for signer in signers or (SM_FIRST,)]
    signed = open_checkpoint(note, keys)
    leaves = [hash_sm_leaf(leaf) for leaf in await log.leaves()]
    root = root_of_range(
        0,
        len(leaves),
        lambda node: perfect_root(
            leaves[node.number << node.height : (node.number + 1) << node.height], hash_sm_children
        ),
        hash_sm_children,
    )
    assert signed == (origin, len(leaves), root)
    tiles = {}
    for tile in tiles_between(0, signed.size):
        found = await get_tile(log.pool, tile, SM)
        assert isinstance(found, bytes)
        tiles[tile.level, tile.number] = found
    assert root_of(signed.size, lambda level, number: tiles[level, number], hash_sm_children) == root
    return signed


async def test_it_follows_the_log(log: Log) -> None:
    ids = await log.write(300)
    await drain(log)
    assert (await holds(log)).size == 302  # both keys are entries
    await log.write(3, slot=7)
    await drain(log)
    signed = await holds(log)
    assert signed.size == 305
    leaf = await prove_leaf(log.pool, slot=0, id_=ids[17], profile=SM)
    assert leaf is not None
    assert leaf.inclusion is not None
    proof = leaf.inclusion.proof
    index = leaf.inclusion.log_index
    assert includes(signed.root, signed.size, index, hash_sm_leaf(leaf.hash), proof, hash_sm_children)
    assert leaf.inclusion.checkpoint == await get_checkpoint(log.pool, SM)


async def test_it_is_begun_late_and_catches_up(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sm_log, "BATCH", 100)
    await log.write(570)
    await log.drain()
    refused = await get_checkpoint(log.pool, SM)
    assert isinstance(refused, Refusal)
    assert refused.outcome is NOT_FOUND
    assert isinstance(await get_tile(log.pool, Tile(0, 0, 1), SM), Refusal)
    sequencer = log.sequencer()
    for _ in range(12):
        log.clock.move(timedelta(seconds=2))
        await sequencer.step((FIRST,), (SM_FIRST,))
    assert (await holds(log)).size == 572


async def test_it_stays_behind_by_a_second_at_the_most_while_the_log_grows(log: Log) -> None:
    sequencer = log.sequencer()
    await log.write(2)
    while (step := await sequencer.step((FIRST,), (SM_FIRST,))).leaves or step.more:
        pass
    size = (await holds(log)).size
    await log.write(1)
    await sequencer.step((FIRST,), (SM_FIRST,))
    note = await get_checkpoint(log.pool, SM)
    assert isinstance(note, str)
    assert note.split("\n")[1] == str(size)
    log.clock.move(timedelta(seconds=1))
    await log.write(1)
    await sequencer.step((FIRST,), (SM_FIRST,))
    assert (await holds(log)).size == size + 2


async def test_its_keys_change_and_are_announced(log: Log) -> None:
    await log.write(2)
    await drain(log)
    await log.write(2)
    await drain(log, FIRST, SECOND, sm=(SM_FIRST, SM_SECOND))
    await log.write(2)
    await drain(log, SECOND, sm=(SM_SECOND,))
    origin = (await log.rows("SELECT origin FROM evidence_log"))[0][0]
    await log.rows("SELECT 1")
    keys = await get_keys(log.pool)
    assert [(key.name, key.public) for key in keys] == [
        (origin, FIRST.public),
        (f"{origin}/sm3", SM_FIRST.public),
        (origin, SECOND.public),
        (f"{origin}/sm3", SM_SECOND.public),
    ]
    announced = await get_key_receipts(log.pool)
    assert list(announced) == [key.public for key in keys[1:]]
    assert follow_keys(keys[:1], list(announced.values())) == keys
    trust = single_file.Trust([single_file.read_key(keys[0].text)], set(), 0)
    followed = single_file.follow(trust, "".join(announced.values())).keys
    assert [key.id for key in followed] == [key.id for key in keys]
    # who knows nobody learns nobody
    with pytest.raises(NoteError):
        follow_keys([LogKey(origin, b"x" * 32)], list(announced.values()))


async def test_a_change_of_keys_without_overlap_announces_nothing(log: Log) -> None:
    await log.write(2)
    await log.drain()
    before = await log.rows("SELECT count(*) FROM evidence_key")
    with pytest.raises(LogError, match="not signed by a key of this ring"):
        await log.sequencer().step((SECOND,))
    assert await log.rows("SELECT count(*) FROM evidence_key") == before
    assert await get_key_receipts(log.pool) == {}


async def test_what_is_damaged_is_not_continued(log: Log) -> None:
    await log.write(300)
    await drain(log)
    note = (await log.rows("SELECT note FROM evidence_sm_log"))[0][0]
    text = note.rpartition("\n\n")[0] + "\n"
    forged = sign_note(text, text.partition("\n")[0], [SM_SECOND], Algorithm.SM2)
    for damage, what in (
        ("tile SET hashes = overlay(hashes PLACING sha256('x') FROM 33) WHERE (level, number) = (0, 1)", "whose root"),
        ("tile SET hashes = substr(hashes, 1, 32) WHERE (level, number) = (0, 1)", "not the one whose root was signed"),
        (f"log SET note = '{forged}'", "not signed by a key of this ring"),
        ("log SET size = size - 1", "not what its checkpoint says"),
    ):
        tiles = await log.rows("SELECT level, number, hashes FROM evidence_sm_tile")
        head = await log.rows("SELECT size, note FROM evidence_sm_log")
        await log.rows(f"UPDATE evidence_sm_{damage}")
        await log.write(1)
        size = (await log.rows("SELECT size FROM evidence_log"))[0][0]
        with pytest.raises(LogError, match=what):
            await log.sequencer().step((FIRST,), (SM_FIRST,))
        assert await log.rows("SELECT size FROM evidence_log") == [(size,)]
        async with await log.connect() as connection:
            for row in tiles:
                await connection.execute(
                    "UPDATE evidence_sm_tile SET hashes = %s WHERE level = %s AND number = %s", (row[2], row[0], row[1])
                )
            await connection.execute("UPDATE evidence_sm_log SET size = %s, note = %s", head[0])
        await drain(log)
        await holds(log)


async def test_the_database_lets_it_only_grow(log: Log) -> None:
    await log.write(300)
    await drain(log)
    before = await log.rows("SELECT * FROM evidence_sm_tile ORDER BY level, number")
    for statement in (
        "UPDATE evidence_sm_tile SET hashes = hashes",
        "DELETE FROM evidence_sm_log",
        "INSERT INTO evidence_sm_tile VALUES (5, 5, sha256('x'))",
    ):
        async with log.pool.connection() as connection:
            with pytest.raises(Exception, match="permission denied"):
                await connection.execute(statement.encode())
    async with log.pool.connection() as connection:
        call = (
            "SELECT evidence_sm_append_v1(%s, %s, ARRAY[0]::smallint[], ARRAY[0]::bigint[], ARRAY[sha256('x')], 'o',"
            " sha256('x'), 'note', now())"
        )
        row = await (await connection.execute(call, (5, 6))).fetchone()
        assert row == (False,)
    assert await log.rows("SELECT * FROM evidence_sm_tile ORDER BY level, number") == before


async def test_the_audit_builds_it_again(log: Log) -> None:
    await log.write(300)
    await drain(log)
    found = (await run_audits(log.pool, names=["log_sm"])).audits[0]
    assert (found.finding_count, found.checked) == (0, 302)
    for damage, what in (
        (
            "UPDATE evidence_sm_tile SET hashes = sha256('x') || hashes WHERE (level, number) = (0, 1)",
            "tile of level 0",
        ),
        ("DELETE FROM evidence_sm_tile WHERE level = 1", "tile of level 1"),
        ("INSERT INTO evidence_sm_tile VALUES (2, 0, sha256('x'))", "tile of level 2"),
        ("INSERT INTO evidence_sm_tile VALUES (0, 2, sha256('x'))", "tile of level 0"),
        ("UPDATE evidence_sm_log SET root = sha256('x')", "root of the SM profile"),
        ("UPDATE evidence_sm_log SET size = 301", "SM checkpoint"),
        ("UPDATE evidence_sm_log SET size = 900", "leaves under the SM checkpoint"),
        ("UPDATE evidence_sm_log SET note = replace(note, E'\\n— ', E'\\n— x')", "SM checkpoint"),
        ("DELETE FROM evidence_sm_log", "tile of level 0"),
    ):
        tiles = await log.rows("SELECT * FROM evidence_sm_tile")
        heads = await log.rows("SELECT * FROM evidence_sm_log")
        await log.rows(damage)
        findings = (await run_audits(log.pool, names=["log_sm"])).audits[0].findings
        assert what in [finding.what for finding in findings], damage
        async with await log.connect() as connection:
            await connection.execute("TRUNCATE evidence_sm_tile, evidence_sm_log")
            for tile in tiles:
                await connection.execute("INSERT INTO evidence_sm_tile VALUES (%s, %s, %s)", tile)
            for head in heads:
                await connection.execute("INSERT INTO evidence_sm_log VALUES (%s, %s, %s, %s, %s, %s)", head)
    assert (await run_audits(log.pool, names=["log_sm"])).audits[0].finding_count == 0
