"""Have an identity provider check who a customer is."""

import asyncio
from uuid import UUID

import structlog
from stdnum import luhn

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import BUSY, INVALID_FIELD, Refusal
from kaquan.parties.customers import store
from kaquan.parties.customers.attempts import Guard, checks_left, plan_claim
from kaquan.parties.customers.numbers import read_phone
from kaquan.parties.customers.sealing import open_row
from kaquan.parties.customers.types import (
    Attempt,
    LevelChange,
    LevelReason,
    Personal,
    Proof,
    SealedCustomer,
    Verification,
)
from kaquan.parties.identity import (
    NEEDS,
    AttemptRules,
    CheckResult,
    Evidence,
    Finding,
    IdentityLevel,
    IdentityProvider,
)
from kaquan.parties.outcomes import (
    CUSTOMER_CHANGED,
    CUSTOMER_FORGOTTEN,
    IDENTITY_EVIDENCE_MISSING,
    IDENTITY_PROVIDER_MISSING,
    missing,
)
from kaquan.parties.trail import SYSTEM, Actor, new_action
from kaquan.parties.types import Mode
from kaquan.vault import Keyring

CLAIM_TRIES = 50
"""Each try that fails is another check that was let through, of which the rules allow few."""

_log = structlog.get_logger(__name__)


async def verify_customer(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    mode: Mode,
    id_: UUID,
    level: IdentityLevel,
    proof: Proof,
    provider: IdentityProvider,
    rules: AttemptRules,
    timeout_ms: int,
    by: Actor = SYSTEM,
) -> Verification | Refusal:
    """Check a customer at ``level`` with what their record holds and ``proof``, which is kept nowhere.

    A match raises the customer to the level; it never lowers one. A provider that does not answer within
    ``timeout_ms`` or says that it cannot tell is a result as well: ``error``.
    Refused: ``not_found``, ``customer_forgotten``, ``identity_provider_missing``, ``identity_evidence_missing``,
    ``invalid_field`` (bank_card_number, bank_phone), ``identity_locked``, ``identity_check_running``, ``busy``,
    ``customer_changed`` (while the provider was asked).
    """
    row = await store.load_customer(pool, book_id=book_id, id_=id_)
    if row is None:
        return missing("customer")
    if row.forgotten_at is not None:
        return CUSTOMER_FORGOTTEN.refuse()
    if level not in provider.levels or mode not in provider.modes:
        return IDENTITY_PROVIDER_MISSING.refuse("level", level=level, mode=mode)
    evidence = plan_evidence(level, open_row(row, keyring), proof)
    if isinstance(evidence, Refusal):
        return evidence
    attempt = Attempt(book_id, id_, ids.new(), level, provider.name, clock.now())
    subjects = [id_]
    if evidence.bank_card_number is not None:
        number = evidence.bank_card_number
        subjects.append(keyring.subject(f"bank card/{book_id}/{number}"))
    guards = await _claim(pool, clock, attempt=attempt, subjects=sorted(subjects), rules=rules)
    if isinstance(guards, Refusal):
        return guards
    finding = await send_check(provider, level, evidence, timeout_ms=timeout_ms)
    return await _settle(pool, clock, ids, row=row, attempt=attempt, finding=finding, guards=guards, rules=rules, by=by)


def plan_evidence(level: IdentityLevel, personal: Personal, proof: Proof) -> Evidence | Refusal:
    """What a provider is shown for a check at ``level``: no more than the level needs.

    Refused: ``identity_evidence_missing``, ``invalid_field`` (bank_card_number, bank_phone).
    """
    phone = personal.phone
    if proof.bank_phone is not None and "bank_card_number" in NEEDS[level]:
        read = read_phone(proof.bank_phone, "bank_phone")
        if isinstance(read, Refusal):
            return read
        phone = read
    if proof.bank_card_number is not None and not luhn.is_valid(proof.bank_card_number):
        return INVALID_FIELD.refuse(
            "bank_card_number", allowed="must end in its check digit (Luhn)", allowed_zh="校验位（Luhn）应正确"
        )
    document = personal.document
    shown = {
        "phone": phone,
        "document_kind": None if document is None else document.kind,
        "document_number": None if document is None else document.number,
        "bank_card_number": proof.bank_card_number,
        "face_token": proof.face_token,
    }
    for field in NEEDS[level]:
        if shown[field] is None:
            return _lacks(level, "document" if field.startswith("document") else field)
    if personal.name is None:
        return _lacks(level, "name")
    return Evidence(personal.name, **{field: shown[field] for field in NEEDS[level]})  # type: ignore[arg-type]


def _lacks(level: IdentityLevel, field: str) -> Refusal:
    return IDENTITY_EVIDENCE_MISSING.refuse(field, level=level)


async def send_check(
    provider: IdentityProvider, level: IdentityLevel, evidence: Evidence, *, timeout_ms: int
) -> Finding:
    """What the provider found, within the time it is given; nothing that it does is worse than an error."""
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            return await provider.check(level, evidence)
    except TimeoutError:
        return Finding(CheckResult.ERROR, "timeout")
    except OSError as error:
        _log.warning("identity provider does not answer", provider=provider.name, error=type(error).__name__)
        return Finding(CheckResult.ERROR, "unreachable")


async def _claim(
    pool: Pool, clock: Clock, *, attempt: Attempt, subjects: list[UUID], rules: AttemptRules
) -> list[Guard] | Refusal:
    """The guards of every subject with this check counted in, written; or why there may be none."""
    for _ in range(CLAIM_TRIES):
        now = clock.now()
        claimed: list[Guard] = []
        for guard in await store.load_guards(pool, book_id=attempt.book_id, subjects=subjects, now=now):
            planned = plan_claim(guard, rules, now)
            if isinstance(planned, Refusal):
                return planned
            claimed.append(planned)
        if await store.post_claim(pool, attempt, claimed):
            return claimed
    return BUSY.refuse()


async def _settle(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    row: SealedCustomer,
    attempt: Attempt,
    finding: Finding,
    guards: list[Guard],
    rules: AttemptRules,
    by: Actor,
) -> Verification | Refusal:
    """Write down how the check ended, and the level if it is a better one."""
    now = clock.now()
    ended = Attempt(
        attempt.book_id,
        attempt.customer_id,
        attempt.id,
        attempt.level,
        attempt.provider,
        attempt.started_at,
        finding.result,
        finding.code,
        now,
    )
    raised = finding.result is CheckResult.MATCHED and attempt.level.rank > row.level.rank
    history = None
    if raised:
        history = LevelChange(
            row.book_id, row.id, ids.new(), attempt.level, LevelReason.VERIFIED, attempt.provider, now
        )
    action = new_action(
        clock,
        ids,
        book_id=row.book_id,
        by=by,
        kind="customer.verified",
        prefix=Prefix.CUSTOMER,
        subject_id=row.id,
        before={"level": row.level},
        after={
            "level": attempt.level if raised else row.level,
            "checked": attempt.level,
            "provider": attempt.provider,
            "result": finding.result,
            "code": finding.code,
        },
    )
    settled, still_true = await store.settle(
        pool,
        ended,
        subjects=[guard.subject for guard in guards],
        version=row.version,
        history=history,
        action=action,
        needs_same_version=finding.result is CheckResult.MATCHED,
    )
    if not still_true:
        return CUSTOMER_CHANGED.refuse()
    level = attempt.level if raised else row.level
    return Verification(ended, level, min(checks_left(guard, rules) for guard in settled))
