"""Ask witnesses to cosign the log: the only file of this room that speaks to a network.

A round takes the newest checkpoint to every witness of the policy at once, each with the proof from what it saw last,
and publishes the checkpoint with the cosignatures when they are enough. Nothing waits for it but what is published: a
witness that is down or slow costs only its own cosignature. Several workers may do so: what they publish only grows.
"""

import asyncio
from enum import StrEnum
from typing import NamedTuple

import httpx

from kaquan.evidence import store
from kaquan.evidence.note import LogKey, NoteError, open_note
from kaquan.evidence.read import prove_growth
from kaquan.evidence.store import Head, WitnessState
from kaquan.evidence.tree import EMPTY_ROOT
from kaquan.evidence.witness import AddCheckpoint
from kaquan.evidence.witness_policy import Witness, WitnessPolicy
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool

TIMEOUT_S = 5.0
"""For one witness in one round."""

GRACE_S = 0.5
"""How long a round waits for the others when there are cosignatures enough."""

MAX_ANSWER_BYTES = 16_384

_TRIES = 3


class Trouble(StrEnum):
    """Why a witness did not cosign."""

    UNREACHABLE = "unreachable"
    SLOW = "slow"
    UNKNOWN_LOG = "unknown_log"
    WRONG_KEY = "wrong_key"
    """It does not take our signature, or answered with one that is not its own."""
    REFUSED = "refused"
    FORKED = "forked"
    """It saw leaves that this log does not have: somebody was shown another log, or this one was rewound."""


class Round(NamedTuple):
    """What a round came to: the size of the log that was shown, whether it is published with enough cosignatures, and
    which witnesses did not cosign, by the names of the policy."""

    size: int
    published: bool
    troubles: dict[str, Trouble]


class _Reply(NamedTuple):
    size: int
    line: str | None
    trouble: Trouble | None


class Cosigning:
    """Asks the witnesses of a policy, over connections that it keeps. Ended by :meth:`close`."""

    def __init__(self, pool: Pool, clock: Clock, policy: WitnessPolicy, *, timeout_s: float = TIMEOUT_S) -> None:
        self._pool, self._clock, self._policy, self._timeout_s = pool, clock, policy, timeout_s
        self._client = httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=timeout_s)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def round(self) -> Round:
        """Show the newest checkpoint to all witnesses, and publish it if enough of them cosign."""
        async with self._pool.connection() as connection:
            head = await store.read_log(connection)
            states = await store.read_witnesses(connection)
            if head is not None:
                nothing = Head(head.origin, 0, EMPTY_ROOT, "", self._clock.now())
                await store.publish_cosigned(connection, nothing)  # from now on only what is cosigned is published
        if head is None or not head.size:
            return Round(0, published=False, troubles={})
        replies = await self._ask_all(head, states)
        lines = [reply.line for reply in replies.values() if reply.line is not None]
        signed_by = [self._policy.witnesses[name].key for name, reply in replies.items() if reply.line is not None]
        is_enough = self._policy.is_met_by(signed_by)
        now = self._clock.now()
        async with self._pool.connection() as connection:
            for name, reply in replies.items():
                key = self._policy.witnesses[name].key.text
                before = states.get(key)
                since = now if before is None or before.failed_since is None else before.failed_since
                at = now if reply.line is not None else (None if before is None else before.cosigned_at)
                trouble = None if reply.trouble is None else str(reply.trouble)
                state = WitnessState(key, reply.size, at, now, trouble, None if trouble is None else since)
                await store.write_witness(connection, state)
            if is_enough:
                published = head._replace(note=head.note + "".join(lines), signed_at=now)
                await store.publish_cosigned(connection, published)
        troubles = {name: reply.trouble for name, reply in replies.items() if reply.trouble is not None}
        return Round(head.size, is_enough, troubles)

    async def _ask_all(self, head: Head, states: dict[str, WitnessState]) -> dict[str, _Reply]:
        """The reply of each witness by its name, in the order of the policy."""
        known = {
            name: states[witness.key.text].size if witness.key.text in states else 0
            for name, witness in self._policy.witnesses.items()
        }
        tasks = {
            asyncio.create_task(self._ask(witness, head, known[name])): name
            for name, witness in self._policy.witnesses.items()
        }
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._timeout_s
        replies: dict[str, _Reply] = {}
        waiting = set(tasks)
        while waiting and loop.time() < ends_at:
            done, waiting = await asyncio.wait(
                waiting, timeout=ends_at - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            replies |= {tasks[task]: task.result() for task in done}
            cosigned = [self._policy.witnesses[name].key for name, reply in replies.items() if reply.line is not None]
            if self._policy.is_met_by(cosigned):
                ends_at = min(ends_at, loop.time() + GRACE_S)
        for task in waiting:
            task.cancel()
            replies[tasks[task]] = _Reply(known[tasks[task]], None, Trouble.SLOW)
        await asyncio.gather(*waiting, return_exceptions=True)
        return {name: replies[name] for name in self._policy.witnesses}

    async def _ask(self, witness: Witness, head: Head, known: int) -> _Reply:
        """Show the checkpoint to one witness, from what it says that it saw. Never raises for what it answers."""
        for _ in range(_TRIES):
            if known > head.size:
                return _Reply(known, None, Trouble.FORKED)
            proof = await prove_growth(self._pool, old_size=known, new_size=head.size)
            request = AddCheckpoint(known, proof, head.note)
            try:
                status, text = await self._post(f"{(witness.url or '').rstrip('/')}/add-checkpoint", request.text)
            except httpx.HTTPError:
                return _Reply(known, None, Trouble.UNREACHABLE)
            match status:
                case 200:
                    line = _line_of(witness.key, head, text)
                    return _Reply(known if line is None else head.size, line, None if line else Trouble.WRONG_KEY)
                case 409:
                    size = text.removesuffix("\n")
                    if not size.isdecimal() or not size.isascii() or len(size) > 19:
                        return _Reply(known, None, Trouble.REFUSED)
                    if int(size) == known:  # it has this size with another root
                        return _Reply(known, None, Trouble.FORKED)
                    known = int(size)
                case 403:
                    return _Reply(known, None, Trouble.WRONG_KEY)
                case 404:
                    return _Reply(known, None, Trouble.UNKNOWN_LOG)
                case 422:
                    return _Reply(known, None, Trouble.FORKED)
                case _:
                    return _Reply(known, None, Trouble.REFUSED)
        return _Reply(known, None, Trouble.REFUSED)

    async def _post(self, url: str, text: str) -> tuple[int, str]:
        async with self._client.stream("POST", url, content=text.encode()) as response:
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise httpx.DecodingError("an answer that is too long")
        return response.status_code, body.decode("utf-8", "replace")


async def stop_cosigning(pool: Pool) -> None:
    """Publish checkpoints as they are signed: where no witness is asked any more."""
    async with pool.connection() as connection:
        await store.unpublish_cosigned(connection)


def _line_of(key: LogKey, head: Head, answer: str) -> str | None:
    """The cosignature of this witness over the checkpoint, out of what it answered."""
    text = head.note.rpartition("\n\n")[0] + "\n"
    for line in answer.splitlines(keepends=True):
        try:
            open_note(text + "\n" + line, [key])
        except NoteError:
            continue
        return line
    return None
