"""Approve or reject a change of rules: the second pair of eyes, and the evidence of it."""

from collections.abc import Collection, Sequence
from datetime import date
from uuid import UUID

from msgspec.structs import replace

from kaquan.evidence import PolicyLeafFacts, PolicyLeafRule, policy_leaf_hash
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import slot_of
from kaquan.policy import store
from kaquan.policy.files import CRITERIA
from kaquan.policy.outcomes import CHANGE_ALREADY_DECIDED, SECOND_PERSON_REQUIRED, missing
from kaquan.policy.propose import first_problem, load_next_rules
from kaquan.policy.types import Change, Decision, Rule, Search

MAX_TRIES = 10
"""How often an approval is planned again when another change of the same rules came before it."""

_STATUS_ZH = {Decision.APPROVED: "已批准", Decision.REJECTED: "已驳回"}


async def approve_change(
    pool: Pool,
    clock: Clock,
    *,
    book_id: int,
    change_id: UUID,
    actor_id: UUID,
    today: date,
    reason: str,
    slots: Sequence[int],
    own_keys: Collection[UUID] = (),
) -> Change | Refusal:
    """The change as ``actor_id`` approved it: its rules are in force on their days, and an evidence leaf says so.

    ``own_keys`` are the other keys of whoever asks: what one person proposed with one key they do not approve with
    another.

    It is checked again against the rules as they are now. ``today`` is the day in the issuer's time zone. Refused:
    ``not_found``, ``second_person_required``, ``change_already_decided``, ``busy``, and what :func:`propose_change`
    refuses.
    """
    for _ in range(MAX_TRIES):
        found = await get_change(pool, book_id=book_id, change_id=change_id)
        if isinstance(found, Refusal):
            return found
        if found.decision is not None:
            return decided(found.decision)
        if found.proposed_by == actor_id or found.proposed_by in own_keys:
            return SECOND_PERSON_REQUIRED.refuse()
        planned = await load_next_rules(
            pool, book_id=book_id, issuer_id=found.issuer_id, add=found.add, end=found.end, today=today
        )
        if (refusal := first_problem(planned)) is not None:
            # the same approval, arrived twice at once, may have put these very rules in force meanwhile
            now = await store.load_changes(pool, book_id, Search(), change_id)
            return refusal if now[0].decision is None else decided(now[0].decision)
        approved = replace(
            found,
            decision=Decision.APPROVED,
            decided_by=actor_id,
            decided_at=clock.now(),
            reason=reason,
            version=planned.rules.version,
        )
        slot = slot_of(change_id, slots)
        leaf_hash = policy_leaf_hash(leaf_of(approved, slot))
        refused_by = await store.post_approval(pool, approved, planned.rules, slot=slot, leaf_hash=leaf_hash)
        if refused_by is None:
            return approved
        # decided by somebody else meanwhile, or another change took the version: look again
        assert refused_by in ("policy_decision_pkey", "policy_rule_set_pkey"), refused_by
    return BUSY.refuse()


async def reject_change(
    pool: Pool, clock: Clock, *, book_id: int, change_id: UUID, actor_id: UUID, reason: str
) -> Change | Refusal:
    """The change as it was rejected; who proposed it may withdraw it so. Refused: ``not_found``,
    ``change_already_decided``."""
    found = await get_change(pool, book_id=book_id, change_id=change_id)
    if isinstance(found, Refusal):
        return found
    if found.decision is not None:
        return decided(found.decision)
    rejected = replace(found, decision=Decision.REJECTED, decided_by=actor_id, decided_at=clock.now(), reason=reason)
    refused_by = await store.post_rejection(pool, rejected)
    if refused_by is None:
        return rejected
    assert refused_by == "policy_decision_pkey", refused_by
    now = await get_change(pool, book_id=book_id, change_id=change_id)
    assert isinstance(now, Change)
    assert now.decision is not None
    return decided(now.decision)


async def get_change(pool: Pool, *, book_id: int, change_id: UUID) -> Change | Refusal:
    """The change with this id. Refused: ``not_found``."""
    found = await store.load_changes(pool, book_id, Search(), change_id)
    return found[0] if found else missing("change")


def decided(decision: Decision) -> Refusal:
    """The refusal to decide once more."""
    return CHANGE_ALREADY_DECIDED.refuse(status=decision.value, status_zh=_STATUS_ZH[decision])


def leaf_of(change: Change, slot: int) -> PolicyLeafFacts:
    """What the evidence leaf of an approved change states."""
    assert change.version is not None
    assert change.decided_by is not None
    assert change.decided_at is not None
    return PolicyLeafFacts(
        slot,
        change.id,
        change.book_id,
        change.issuer_id,
        change.version,
        change.proposed_by,
        change.decided_by,
        change.proposed_at,
        change.decided_at,
        change.note,
        [_leaf_rule(rule) for rule in change.add],
        [(ending.rule_id, ending.effective_from, ending.effective_to) for ending in change.end],
    )


def _leaf_rule(rule: Rule) -> PolicyLeafRule:
    return PolicyLeafRule(
        rule.id,
        rule.jurisdiction,
        [getattr(rule.reach, name) for name in CRITERIA],
        rule.metric,
        rule.value,
        rule.action,
        rule.effective_from,
        rule.effective_to,
        rule.confidence,
        rule.source,
        rule.title_zh,
        rule.title_en,
        rule.note,
    )
