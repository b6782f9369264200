"""What an entry of a bundle stands for, read by the verifier that shares no code: an opening opens what is committed
to, a card is one of those of its issue, and everything else is refused, although the log signed it."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from tests.unit.test_custody_bundle import AT, NAME, SIGNER, read, refusal

from kaquan.custody.bundle import Bundle
from kaquan.evidence import (
    CardLeafFacts,
    Checkpoint,
    IssueLeafFacts,
    Opening,
    VoucherLeafFacts,
    card_bytes,
    card_private_bytes,
    hash_leaf,
    issue_bytes,
    issue_root,
    prove_record,
    record_bytes,
    sign_note,
    voucher_bytes,
    voucher_private_bytes,
)

ID, CARD = UUID(int=1), UUID(int=2)
RECORDS = [(UUID(int=10 + n), f"{n:04}") for n in range(11)]
OPENING = Opening(bytes(16), card_private_bytes(actor="key_1", reason="丢失", details={"a": 1}))
OF_CARD = card_bytes(CardLeafFacts(0, ID, CARD, 2, "blocked", "blocked", 2, AT, OPENING.commitment))
OF_ISSUE = issue_bytes(
    IssueLeafFacts(0, RECORDS[0][0], 2, "card", ID, None, ("digital", 1), AT, 11, issue_root(RECORDS))
)


def bundle(name: str, entry: bytes, *, opening: Opening | None = None, members: Sequence[bytes] = ()) -> bytes:
    """A bundle of a log of one leaf, signed whatever is in it."""
    made = Bundle(NAME)
    told = {"log": NAME, "old_size": 0, "size": 1, "object": "x"}
    lines = [made.begin(told), made.entry(name, 0, entry)]
    if opening is not None:
        lines.append(made.opening(opening))
    for member in members:
        made._whole.update(member)
        lines.append(member)
    lines.append(made.checkpoint(sign_note(Checkpoint(NAME, 1, hash_leaf(entry)).text, NAME, [SIGNER])))
    return b"".join([*lines, made.end(hidden=0, signers=[SIGNER])])


def member(place: int, record: bytes, path: Sequence[bytes]) -> bytes:
    return Bundle(NAME).member(place, record, path)


def test_an_opening_opens_what_its_entry_commits_to() -> None:
    assert read(bundle(f"evt_{ID.hex}", OF_CARD, opening=OPENING))["shown"] == 2
    private = voucher_private_bytes(actor="key_1", reason=None)
    opening = Opening(bytes(16), private)
    facts = VoucherLeafFacts(
        0, ID, CARD, 2, CARD, "claimed", "issued", "held", "card", CARD, None, 0, 500, AT, opening.commitment
    )
    assert read(bundle(f"evt_{ID.hex}", voucher_bytes(facts), opening=opening))["shown"] == 2


@pytest.mark.parametrize(
    "opening",
    [
        OPENING._replace(salt=bytes([1] * 16)),
        OPENING._replace(private=card_private_bytes(actor="key_2", reason="丢失", details={"a": 1})),
        OPENING._replace(private=card_private_bytes(actor="key_1", reason=None, details={"a": 1})),
    ],
)
def test_another_opening_is_refused(opening: Opening) -> None:
    assert "does not commit to" in refusal(bundle(f"evt_{ID.hex}", OF_CARD, opening=opening))


def test_an_opening_of_what_commits_to_nothing_is_refused() -> None:
    assert "does not commit to" in refusal(bundle(f"issue_{RECORDS[0][0].hex}", OF_ISSUE, opening=OPENING))


@pytest.mark.parametrize("place", range(len(RECORDS)))
def test_every_card_is_one_of_its_issue(place: int) -> None:
    name, record, path = f"issue_{RECORDS[0][0].hex}", record_bytes(*RECORDS[place]), prove_record(RECORDS, place)
    assert read(bundle(name, OF_ISSUE, members=[member(place, record, path)]))["shown"] == 2
    other = (place + 1) % len(RECORDS)
    for wrong in (
        member(place, record_bytes(*RECORDS[other]), path),
        member(place, record_bytes(RECORDS[place][0], "9999"), path),
        member(other, record, path),
        member(place + len(RECORDS), record, path),
        member(place, record, [*path, bytes(32)]),
        member(place, record, path[::-1]),
        member(place, record, path[:-1]),
    ):
        assert refusal(bundle(name, OF_ISSUE, members=[wrong]))


def test_an_issue_of_one_needs_no_path() -> None:
    alone = RECORDS[:1]
    facts = IssueLeafFacts(0, alone[0][0], 2, "voucher", ID, CARD, (500, None), AT, 1, issue_root(alone))
    name, record = f"issue_{alone[0][0].hex}", record_bytes(*alone[0])
    assert read(bundle(name, issue_bytes(facts), members=[member(0, record, [])]))["shown"] == 2
    assert refusal(bundle(name, issue_bytes(facts), members=[member(1, record, [])]))


def test_what_is_of_no_issue_is_refused() -> None:
    line = member(0, record_bytes(*RECORDS[0]), prove_record(RECORDS, 0))
    assert refusal(bundle(f"evt_{ID.hex}", OF_CARD, members=[line]))
