"""The leaf format of an approved change of rules, version 1.

Canonical bytes are a JSON array in UTF-8 without spaces, of a fixed order, holding only integers, ASCII strings, null
and arrays, as those of a transaction (``leaf.py``):

    ["kaquan-policy/1", slot, id, book, issuer, version, proposed_by, approved_by, proposed_us, approved_us, note,
     [[rule_id, jurisdiction, [scheme, …], [issuer_class, …], [card_class, …], [buyer, …], [channel, …], [industry, …],
       [condition, …], metric, value, action, effective_from, effective_to, confidence, texts], …],
     [[rule_id, effective_from, effective_to], …]]

Ids are 32 lower-case hex digits (``issuer`` null for the law of the book), times microseconds since
1970-01-01T00:00:00Z, days 2026-01-31 (``effective_to`` null without an end). ``version`` is that of the rule set which
the change made: the leaves of a book and issuer, in that order, are the whole history of their rules. First come the
rules added, then those ended, in the order in which they were proposed. ``value`` is null where it is a text.

People's words are in the tree as SHA-256 in hex: ``note`` of the note in UTF-8, ``texts`` of the JSON array
[value or null, source, title_zh, title_en, note] in UTF-8 without spaces or escapes that are not needed.

The leaf hash is RFC 9162 section 2.1.1: SHA-256(0x00 ‖ canonical bytes).
"""

from collections.abc import Sequence
from datetime import date, datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.evidence.leaf import microseconds
from kaquan.evidence.tree import hash_leaf

POLICY_FORMAT = "kaquan-policy/1"

_encode = msgspec.json.Encoder().encode


class PolicyLeafRule(NamedTuple):
    """A rule as the leaf of its change states it; ``criteria`` in the order of the canonical bytes."""

    rule_id: str
    jurisdiction: str
    criteria: Sequence[Sequence[str]]
    metric: str
    value: int | str
    action: str
    effective_from: date
    effective_to: date | None
    confidence: str
    source: str
    title_zh: str
    title_en: str
    note: str


class PolicyLeafFacts(NamedTuple):
    """An approved change as its leaf states it. ``ended`` has rule ids with their first and their last day."""

    slot: int
    change_id: UUID
    book_id: int
    issuer_id: UUID | None
    version: int
    proposed_by: UUID
    approved_by: UUID
    proposed_at: datetime
    approved_at: datetime
    note: str
    added: Sequence[PolicyLeafRule]
    ended: Sequence[tuple[str, date, date]]


def policy_bytes(facts: PolicyLeafFacts) -> bytes:
    """The bytes that are hashed for ``facts``; see the module for their layout."""
    return _encode(
        (
            POLICY_FORMAT,
            facts.slot,
            facts.change_id.hex,
            facts.book_id,
            facts.issuer_id.hex if facts.issuer_id else None,
            facts.version,
            facts.proposed_by.hex,
            facts.approved_by.hex,
            microseconds(facts.proposed_at),
            microseconds(facts.approved_at),
            sha256(facts.note.encode()).hexdigest(),
            [_rule(rule) for rule in facts.added],
            facts.ended,
        )
    )


def _rule(rule: PolicyLeafRule) -> tuple[object, ...]:
    number, text = (rule.value, None) if isinstance(rule.value, int) else (None, rule.value)
    words = _encode([text, rule.source, rule.title_zh, rule.title_en, rule.note])
    return (
        rule.rule_id,
        rule.jurisdiction,
        *rule.criteria,
        rule.metric,
        number,
        rule.action,
        rule.effective_from,
        rule.effective_to,
        rule.confidence,
        sha256(words).hexdigest(),
    )


def policy_leaf_hash(facts: PolicyLeafFacts) -> bytes:
    """The 32-byte leaf hash of ``facts`` (RFC 9162 section 2.1.1)."""
    return hash_leaf(policy_bytes(facts))
