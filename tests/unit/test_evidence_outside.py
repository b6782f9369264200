"""Proof from outside, by kaquan and by the single file: cosignatures, keys that follow keys, SM, QR codes."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.unit.test_evidence_receipt import (
    AT,
    ENTRY,
    KEY,
    NAME,
    OPENING,
    OTHER,
    OTHER_KEY,
    REFUSED,
    SIGNER,
    receipt,
    single_file,
)

from kaquan.evidence import (
    SM,
    Algorithm,
    Checkpoint,
    Inclusion,
    KeyLeafFacts,
    LogKey,
    NoteError,
    Opening,
    follow_keys,
    hash_leaf,
    key_bytes,
    open_checkpoint,
    pack_receipt,
    read_key,
    read_policy,
    read_receipt,
    sign_note,
    split_announcements,
    unpack_receipt,
    verify_receipt,
    write_receipt,
)
from kaquan.evidence.note import cosign
from kaquan.evidence.sm import hash_sm_children, hash_sm_leaf
from kaquan.evidence.tree import inclusion_ranges, perfect_root, prove, root_of_range
from kaquan.vault import LogSigner, Sm2Signer

SEEN = [LogSigner("w", bytes([number]) * 32) for number in (11, 12, 13)]
WITNESSES = [
    LogKey(f"witness.example/{number}", signer.public, Algorithm.COSIGNATURE) for number, signer in enumerate(SEEN, 1)
]
SM_SIGNER = Sm2Signer("s1", b"1" * 32)
SM_KEY = LogKey(f"{NAME}/sm3", SM_SIGNER.public, Algorithm.SM2)
AT_S = 1_772_357_400

Check = Callable[..., list[Any]]


def cosigned(text: str, *by: int) -> str:
    """A note or receipt with the cosignatures of these witnesses."""
    signed = text.rpartition("\n\n")[0].rpartition("\n\n")[2] + "\n"
    return text + "".join(cosign(signed, WITNESSES[n - 1], SEEN[n - 1], at_s=AT_S + n) for n in by)


def sm_receipt(index: int, size: int, *, opening: Opening | None = None) -> str:
    leaves = [hash_sm_leaf(bytes([number]) * 32) for number in range(size)]
    leaves[index] = hash_sm_leaf(hash_leaf(ENTRY))

    def read(node: Any) -> bytes:
        return perfect_root(leaves[node.number << node.height : (node.number + 1) << node.height], hash_sm_children)

    root = root_of_range(0, size, read, hash_sm_children)
    note = sign_note(Checkpoint(SM_KEY.name, size, root).text, SM_KEY.name, [SM_SIGNER], Algorithm.SM2)
    proof = prove(inclusion_ranges(index, size), read, hash_sm_children)
    return write_receipt(ENTRY, opening, Inclusion(index, tuple(proof), note, SM))


def policy_of(witnesses: Sequence[LogKey], quorum: int) -> str:
    lines = [f"witness w{number} {key.text}" for number, key in enumerate(witnesses)]
    names = " ".join(f"w{number}" for number in range(len(witnesses)))
    return "\n".join([*lines, *([f"group g {quorum} {names}", "quorum g"] if quorum else ["quorum none"])])


def by_kaquan(
    raw: bytes, keys: Sequence[LogKey], witnesses: Sequence[LogKey] = (), quorum: int = 0, newer: str = ""
) -> list[Any]:
    policy = read_policy(policy_of(witnesses, quorum))
    trusted = follow_keys([read_key(key.text) for key in keys], split_announcements(newer), policy)
    return verify_receipt(raw.decode(), trusted, policy).entry


def by_single_file(
    raw: bytes, keys: Sequence[LogKey], witnesses: Sequence[LogKey] = (), quorum: int = 0, newer: str = ""
) -> list[Any]:
    named = [witness.text for witness in witnesses]
    found = single_file.verify(raw, *[key.text for key in keys], witnesses=named, quorum=quorum, announcements=newer)
    entry: list[Any] = found["entry"]
    return entry


both = pytest.mark.parametrize("check", [by_kaquan, by_single_file], ids=["kaquan", "single file"])


@both
def test_enough_cosignatures(check: Check) -> None:
    text = receipt(2, 5)
    for by, quorum, holds in (((), 0, True), ((1,), 1, True), ((1, 3), 2, True), ((2,), 2, False), ((), 1, False)):
        raw = cosigned(text, *by).encode()
        if holds:
            assert check(raw, [KEY], WITNESSES, quorum)[0] == "kaquan-leaf/1"
        else:
            with pytest.raises(REFUSED, match="fewer witnesses"):
                check(raw, [KEY], WITNESSES, quorum)
    # unknown witnesses count for nothing, and do no harm
    assert check(cosigned(text, 1, 2).encode(), [KEY])
    with pytest.raises(REFUSED, match="fewer witnesses"):
        check(cosigned(text, 1, 2).encode(), [KEY], WITNESSES[2:], 1)


@both
def test_a_cosignature_stands_for_no_log_nor_for_another_checkpoint(check: Check) -> None:
    with pytest.raises(REFUSED):
        check(cosigned(receipt(2, 5), 1).encode(), WITNESSES[:1])
    line = cosigned(receipt(2, 5), 1).splitlines(keepends=True)[-1]
    with pytest.raises(REFUSED, match="not of"):
        check((receipt(2, 6) + line).encode(), [KEY], WITNESSES, 0)
    with pytest.raises(REFUSED, match="twice"):
        check((receipt(2, 5) + line + line).encode(), [KEY], WITNESSES, 1)
    # the log's own key, as if it were a witness's
    forged = cosign(receipt(2, 5).rpartition("\n\n")[0].rpartition("\n\n")[2] + "\n", WITNESSES[0], SIGNER, at_s=AT_S)
    with pytest.raises(REFUSED, match="not of"):
        check((receipt(2, 5) + forged).encode(), [KEY], WITNESSES, 1)


FIVE = [
    (receipt(0, 1), 0),
    (cosigned(receipt(2, 3, opening=OPENING), 1, 2, 3), 3),
    (receipt(70, 100), 0),
    (cosigned(receipt(5, 8), 2), 1),
    (cosigned(receipt(700, 1_000, opening=OPENING), 1, 3), 2),
]


@both
@pytest.mark.parametrize(("which", "form"), [*((which, "text") for which in range(5)), (0, "compact"), (3, "compact")])
def test_every_changed_byte_of_five_receipts_is_refused(check: Check, which: int, form: str) -> None:
    text, quorum = FIVE[which]
    raw = (text if form == "text" else pack_receipt(text)).encode()
    witnesses = WITNESSES if quorum else ()
    assert check(raw, [KEY], witnesses, quorum)
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1 << place % 8
        with pytest.raises(REFUSED):
            check(bytes(changed), [KEY], witnesses, quorum)
    for shorter in (raw[:-1], raw[1:], raw[: len(raw) // 2], raw + b"\n", raw + raw, b"\n" + raw):
        with pytest.raises(REFUSED):
            check(shorter, [KEY], witnesses, quorum)


def test_every_changed_byte_of_a_cosigned_checkpoint_is_refused() -> None:
    policy = read_policy(policy_of(WITNESSES, 3))
    note = cosigned("\n\n" + sign_note(Checkpoint(NAME, 70_000, b"r" * 32).text, NAME, [SIGNER]), 1, 2, 3)[2:]
    assert open_checkpoint(note, [KEY], policy).size == 70_000
    raw = note.encode()
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1 << place % 8
        with pytest.raises((NoteError, UnicodeDecodeError)):
            open_checkpoint(changed.decode(), [KEY], policy)


@both
def test_the_sm_profile(check: Check) -> None:
    text = sm_receipt(6, 7, opening=OPENING)
    assert text.startswith("kaquan/sm-proof@v1\n")
    assert check(text.encode(), [SM_KEY])[0] == "kaquan-leaf/1"
    assert check(pack_receipt(text).encode(), [KEY, SM_KEY])
    # neither profile stands for the other
    for foreign, key in ((text, KEY), (receipt(6, 7), SM_KEY), (text, SM_KEY._replace(name=NAME))):
        with pytest.raises(REFUSED):
            check(foreign.encode(), [key])
    swapped = text.replace("kaquan/sm-proof@v1", "c2sp.org/tlog-proof@v1")
    with pytest.raises(REFUSED):
        check(swapped.encode(), [KEY, SM_KEY])
    raw = text.encode()
    for place in range(0, len(raw), 41):  # each costs tens of milliseconds
        changed = bytearray(raw)
        changed[place] ^= 1 << place % 8
        with pytest.raises(REFUSED):
            check(bytes(changed), [SM_KEY])


def announced(facts: KeyLeafFacts, *signers: LogSigner, size: int = 9) -> str:
    return receipt(4, size, entry=key_bytes(facts), signers=signers)


SECOND = KeyLeafFacts(UUID(int=2), NAME, OTHER.public, SIGNER.public, AT)
SM_FIRST = KeyLeafFacts(UUID(int=3), NAME, SM_SIGNER.public, None, AT + timedelta(days=1))


@both
def test_keys_are_followed_from_one_to_the_next(check: Check) -> None:
    third = LogSigner("g3", b"3" * 32)
    chain = announced(SECOND, SIGNER, OTHER) + announced(
        KeyLeafFacts(UUID(int=4), NAME, third.public, OTHER.public, AT), OTHER, third, size=20
    )
    raw = receipt(2, 5, signers=(third,)).encode()
    assert check(raw, [KEY], newer=chain)
    assert check(raw, [OTHER_KEY], newer=chain[chain.index("c2sp", 9) :])
    assert check(sm_receipt(0, 2).encode(), [KEY], newer=announced(SM_FIRST, SIGNER))
    with pytest.raises(REFUSED):
        check(raw, [KEY])
    with pytest.raises(REFUSED):
        check(raw, [KEY], newer=announced(SECOND, SIGNER))  # the chain ends too early


@both
@pytest.mark.parametrize(
    "newer",
    [
        announced(SECOND, OTHER),  # by itself
        announced(SECOND._replace(replaces=b"x" * 32), SIGNER),  # it follows a key that nobody knows
        announced(SECOND._replace(origin="cards.example/other"), SIGNER),
        receipt(2, 5),  # of a transaction
        announced(SECOND, SIGNER).replace("index 4", "index 5"),
    ],
)
def test_what_announces_no_key(check: Check, newer: str) -> None:
    with pytest.raises(REFUSED):
        check(receipt(2, 5, signers=(SIGNER, OTHER)).encode(), [KEY], newer=newer)


def test_the_compact_form_is_the_same_receipt() -> None:
    for text, _ in FIVE:
        compact = pack_receipt(text)
        assert unpack_receipt(compact) == text
        assert set(compact) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")
        assert read_receipt(compact).text == text
    for damaged in ("", "KQ1:", "KQ1:A", "KQ2:AAAA", pack_receipt(FIVE[0][0]).lower(), pack_receipt(FIVE[0][0]) + "="):
        with pytest.raises(NoteError):
            unpack_receipt(damaged)


def test_a_receipt_of_a_log_of_a_hundred_million() -> None:
    """27 hashes; with an opening and two log keys it is below 4 KB, with three witnesses too; and fits a QR code."""
    assert len(inclusion_ranges(99_999_999 // 3, 100_000_000)) == 27
    for by in ((), (1, 2, 3)):
        text = cosigned(receipt(700, 1_000, opening=OPENING, signers=(SIGNER, OTHER)), *by)
        head, _, note = text.partition("\n\n")
        grown = "\n".join([head, *[head.rpartition("\n")[2]] * (27 - 10)]) + "\n\n" + note
        assert len(grown.encode()) < 4_096
        assert len(pack_receipt(grown)) < 4_296  # alphanumeric capacity of version 40-L, ISO/IEC 18004


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "quorum"),
        ("quorum none\nquorum none", "quorum"),
        ("quorum nobody", "line 1"),
        ("nonsense\nquorum none", "line 1"),
        (f"witness a {KEY.text}\nquorum a", "line 1"),
        (f"log {WITNESSES[0].text}\nquorum none", "line 1"),
        (f"witness a {WITNESSES[0].text}\nwitness a {WITNESSES[1].text}\nquorum a", "line 2"),
        (f"witness a {WITNESSES[0].text}\nwitness b {WITNESSES[0].text}\nquorum a", "line 2"),
        (f"witness none {WITNESSES[0].text}\nquorum none", "line 1"),
        (f"witness a {WITNESSES[0].text}\ngroup g 2 a\nquorum g", "line 2"),
        (f"witness a {WITNESSES[0].text}\ngroup g 0 a\nquorum g", "line 2"),
        (f"witness a {WITNESSES[0].text}\ngroup g any\nquorum g", "line 2"),
        (f"witness a {WITNESSES[0].text}\ngroup g any b\nquorum g", "line 2"),
        (f"witness a {WITNESSES[0].text}\ngroup g any a\ngroup h any a\nquorum h", "line 3"),
        (f"witness a {WITNESSES[0].text}\ngroup g any a a\nquorum g", "line 2"),
    ],
)
def test_what_is_no_policy(text: str, what: str) -> None:
    with pytest.raises(NoteError, match=what):
        read_policy(text)


def test_groups_of_groups() -> None:
    """The example of C2SP tlog-policy, with three witnesses."""
    one, two, three = (witness.text for witness in WITNESSES)
    policy = read_policy(
        f"# trusted\nlog {KEY.text} https://cards.example/log\n\n witness X1 {one}\t\nwitness X2 {two} https://w.example\n"
        f"witness Y1 {three}\ngroup X any X1 X2\ngroup X-and-Y all X Y1\nquorum X-and-Y\n"
    )
    assert policy.logs == (KEY,)
    assert policy.witnesses["X2"].url == "https://w.example"
    for by, holds in (((0, 2), True), ((1, 2), True), ((0, 1), False), ((2,), False), ((0, 1, 2), True)):
        assert policy.is_met_by([WITNESSES[number] for number in by]) is holds


def test_keys_of_all_sorts_are_read_again() -> None:
    for key in (KEY, WITNESSES[0], SM_KEY):
        assert read_key(key.text) == key
        assert single_file.read_key(key.text).id == key.id
        for damaged in (key.text[:-1], f"{key.name}+x{key.text[len(key.name) + 2 :]}", key.text + "A"):
            with pytest.raises(REFUSED):
                read_key(damaged)
            with pytest.raises(REFUSED):
                single_file.read_key(damaged)
