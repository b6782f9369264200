"""Leaves that are of no transaction, against what they state: events of cards and vouchers, issues, and starts.

What is here judges rows as the whole audits stream them and as a turn of :mod:`kaquan.audit.follow` looks them up.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from kaquan.audit.types import Row
from kaquan.evidence import (
    IssueLeafFacts,
    StartLeafFacts,
    VoucherLeafFacts,
    card_private_bytes,
    issue_leaf_hash,
    issue_root,
    start_leaf_hash,
    voucher_leaf_hash,
    voucher_private_bytes,
)

_read_terms = msgspec.json.Decoder(list[str | int | None]).decode

CARD_EVENT = """
e.slot, e.id, e.card_id, e.book_id,
convert_to(
  '["kaquan-card/1",' || e.slot || ',"' || encode(uuid_send(e.id), 'hex')
  || '","' || encode(uuid_send(e.card_id), 'hex') || '",' || e.book_id || ',"' || e.kind
  || '",' || coalesce('"' || e.status || '"', 'null') || ',' || coalesce(e.version::text, 'null')
  || ',' || (extract(epoch FROM e.at) * 1000000)::bigint || ',"', 'UTF8'),
e.actor, e.reason, e.details::text, l.salt, l.commitment, l.leaf_hash"""
VOUCHER_EVENT = """
e.slot, e.id, e.voucher_id, e.book_id, e.template_id, e.kind, e.from_status, e.to_status, e.holder_kind, e.holder_id,
e.transaction_id, e.amount_fen, e.face_fen, e.at, e.actor, e.reason, l.salt, l.commitment, l.leaf_hash"""
ISSUE = "e.slot, e.id, e.book_id, e.kind, e.of_id, e.batch_id, e.terms, e.at, e.ids, e.last4, l.leaf_hash"
START = "e.slot, e.id, e.what, e.size, e.hash, e.at, l.leaf_hash"
"""The columns of each sort as its judge wants them, of ``e`` and its leaf ``l``."""


NAMED = """
SELECT {columns} FROM unnest(%(slots)s::smallint[], %(ids)s::uuid[]) AS asked (slot, id)
JOIN {table} AS e ON e.slot = asked.slot AND e.id = asked.id
LEFT JOIN evidence_leaf AS l ON l.slot = e.slot AND l.transaction_id = e.id
"""
"""Those that are called by a slot and an id."""


def judge_card_events(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """Events of cards whose leaf is missing, or not the hash of the event as it is.

    PostgreSQL writes the canonical bytes before the commitment, at a fraction of what it costs to write them here.
    """
    wrong: list[Row] = []
    for slot, id_, card_id, book_id, before, actor, reason, details, salt, commitment, leaf in rows:
        if salt is not None:
            commitment = sha256(salt + _card_private(actor, reason, details)).digest()
        expected = sha256(b'\x00%b%b"]' % (before, (commitment or b"").hex().encode())).digest()
        if expected != leaf:
            wrong += _compare(expected, leaf, slot=slot, book_id=book_id, card_id=card_id, event_id=id_)
    return wrong


@lru_cache(maxsize=1_000)
def _card_private(actor: str, reason: str | None, details: str) -> bytes:
    """The private bytes of an event; a job writes many with the same."""
    return card_private_bytes(actor=actor, reason=reason, details=msgspec.json.decode(details))


def judge_voucher_events(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """The same of events of vouchers."""
    wrong: list[Row] = []
    for *told, actor, reason, salt, commitment, leaf in rows:
        if salt is not None:
            commitment = sha256(salt + voucher_private_bytes(actor=actor, reason=reason)).digest()
        facts = VoucherLeafFacts(*told)._replace(commitment=commitment)
        ids = {"slot": facts.slot, "book_id": facts.book_id, "voucher_id": facts.voucher_id, "event_id": facts.id}
        wrong += _compare(voucher_leaf_hash(facts), leaf, **ids)
    return wrong


def judge_issues(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """Issues whose leaf is missing, or not the hash of the issue and of the records in it as they are."""
    wrong: list[Row] = []
    for slot, id_, book_id, kind, of_id, batch_id, terms, at, ids, last4, leaf in rows:
        root = issue_root(zip(ids, last4, strict=False))
        facts = IssueLeafFacts(slot, id_, book_id, kind, of_id, batch_id, _read_terms(terms), at, len(ids), root)
        wrong += _compare(issue_leaf_hash(facts), leaf, slot=slot, book_id=book_id, issue_id=id_)
    return wrong


def judge_starts(rows: Sequence[tuple[Any, ...]]) -> list[Row]:
    """The same of starts."""
    wrong: list[Row] = []
    for *told, leaf in rows:
        facts = StartLeafFacts(*told)
        wrong += _compare(start_leaf_hash(facts), leaf, slot=facts.slot, start_id=facts.id)
    return wrong


def _compare(expected: bytes, actual: bytes | None, **ids: Any) -> list[Row]:
    if actual is None:
        return [{**ids, "what": "leaf", "expected": "one of its id", "actual": None}]
    if bytes(actual) != expected:
        return [{**ids, "what": "leaf_hash", "expected": expected, "actual": actual}]
    return []


SORTS = (
    (NAMED.format(table="cards_event", columns=CARD_EVENT), judge_card_events),
    (NAMED.format(table="vouchers_event", columns=VOUCHER_EVENT), judge_voucher_events),
    (NAMED.format(table="evidence_issue", columns=ISSUE), judge_issues),
    (NAMED.format(table="evidence_start", columns=START), judge_starts),
)
"""How each sort is looked up, and judged."""
