"""The suite that every form of production file must pass; a new one is found by itself."""

import itertools
import random

import pytest
from tests.unit.test_vault_envelope import KEYS

from kaquan.cards import PrintedCard
from kaquan.cards.numbers import draw_numbers
from kaquan.production import FileKind, find_kinds
from kaquan.production.kinds import COLUMNS, cells
from kaquan.vault import CARD_SECRET_LENGTH, PIN_LENGTH, draw_card_secret, draw_pin

KINDS = sorted(find_kinds().values(), key=lambda kind: kind.name)


def cards(count: int, *, with_pin: bool) -> list[PrintedCard]:
    return [
        PrintedCard(number, draw_card_secret(), draw_pin() if with_pin else None)
        for number in draw_numbers("888801", count)
    ]


def read(kind: FileKind, content: bytes) -> list[tuple[str, ...]]:
    """The rows of a file, by nothing but what its kind declares."""
    text = content.decode("ascii")
    assert text.endswith("\r\n")
    lines = text[len(kind.head) :].split("\r\n")[:-1]
    if kind.head:
        assert text.startswith(kind.head.decode("ascii"))
        return [tuple(line.split(",")) for line in lines]
    rows = []
    for line in lines:
        assert len(line) == sum(column.width for column in COLUMNS)
        places = [sum(column.width for column in COLUMNS[:n]) for n in range(len(COLUMNS) + 1)]
        rows.append(tuple(line[start:end].strip() for start, end in itertools.pairwise(places)))
    return [(row[0].lstrip("0"), *row[1:]) for row in rows]


def test_every_kind_is_told_apart() -> None:
    assert {kind.name for kind in KINDS} >= {"csv", "fixed_width"}
    for kind in KINDS:
        assert find_kinds()[kind.name] is kind
        assert kind.suffix.startswith(".")
        assert kind.en
        assert any("一" <= character <= "鿿" for character in kind.zh)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("with_pin", [True, False])
def test_a_file_tells_every_card_once_in_the_declared_columns(kind: FileKind, with_pin: bool) -> None:
    made = cards(250, with_pin=with_pin)
    content = kind.head
    start = 0
    for size in (1, 99, 150):
        content += kind.lines(start + 1, made[start : start + size])
        start += size
    rows = read(kind, content)
    assert rows == [cells(n, card) for n, card in enumerate(made, start=1)]
    for row in rows:
        assert [len(cell) <= column.width for cell, column in zip(row, COLUMNS, strict=True)] == [True] * len(COLUMNS)
    assert kind.lines(1, []) == b""


def test_the_columns_hold_what_is_drawn() -> None:
    widths = {column.name: column.width for column in COLUMNS}
    assert (widths["secret"], widths["pin"], widths["number"]) == (CARD_SECRET_LENGTH, PIN_LENGTH, 19)
    assert len({draw_card_secret() for _ in range(1_000)}) == 1_000
    assert not set("".join(draw_card_secret() for _ in range(200))) & set("ILOU")
    pins = {draw_pin() for _ in range(2_000)}
    assert len(pins) > 1_900
    assert all(len(pin) == PIN_LENGTH and pin.isdigit() and len(set(pin)) > 1 for pin in pins)
    source = random.Random(7)
    assert draw_pin(source.randbytes) == draw_pin(random.Random(7).randbytes)
    assert set(KEYS) == {"x25519", "rsa"}
