"""The simulator's auditor sees what is wrong, and its network and its clocks do what they say."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import pytest

from kaquan.doors.simulate.report import AuditSeen, Report, read_report, to_markdown, write_report
from kaquan.doors.simulate.tills import Asked, change_of, find_wrong_key
from kaquan.doors.simulate.wire import FAULTS, Answered, FaultyLine, Wire, is_final, is_kept
from kaquan.kit.clock import ShiftedClock
from kaquan.kit.ids import Prefix, SystemIds, show_id

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
FIRST, SECOND = UUID(int=1), UUID(int=2)


def asked(kind: str, status: int | None = 201, *, final: bool = True, **body: Any) -> Asked:
    made = Asked(kind, "card_1", "key-1", b"", final=final)
    if status is not None:
        told = {"id": show_id(Prefix.TRANSACTION, FIRST), "bonus_fen": 0, "captured_fen": 0, **body}
        made.answer = Answered(status, msgspec.json.encode(told))
    return made


# The auditor


@pytest.mark.parametrize(
    ("request_", "change_fen"),
    [
        (asked("load", amount_fen=100, bonus_fen=7), 107),
        (asked("purchase", amount_fen=100), -100),
        (asked("authorization", amount_fen=100), -100),
        (asked("refund", amount_fen=100), 100),
        (asked("capture", 200, amount_fen=100, captured_fen=60), 40),
        (asked("capture", 200, final=False, amount_fen=100, captured_fen=60), 0),
        (asked("void", 200, amount_fen=100), 100),
        (asked("purchase", 402, amount_fen=100), 0),
        (asked("purchase", None), 0),
    ],
)
def test_what_an_answer_comes_to(request_: Asked, change_fen: int) -> None:
    assert change_of(request_) == change_fen


@pytest.mark.parametrize(
    ("request_", "made", "wrong"),
    [
        (asked("purchase"), {"key-1": [FIRST]}, None),
        (asked("purchase", 402), {}, None),
        (asked("capture", 200), {"key-1": [SECOND]}, None),
        (asked("purchase", None), {}, None),
        (asked("purchase", None), {"key-1": [FIRST]}, None),
        (asked("purchase"), {}, "has moved ()"),
        (asked("purchase", 402), {"key-1": [FIRST]}, "was answered"),
        (asked("purchase"), {"key-1": [SECOND]}, "was told"),
        (asked("purchase"), {"key-1": [FIRST, SECOND]}, "more than once"),
        (asked("purchase", None), {"other": [FIRST, SECOND]}, "more than once"),
    ],
)
def test_keys_that_do_not_fit_what_is_there(request_: Asked, made: dict[str, list[UUID]], wrong: str | None) -> None:
    found = find_wrong_key([request_], made)
    assert found is None if wrong is None else wrong in (found or "")


# The network


@pytest.mark.parametrize(
    ("answer", "final", "kept"),
    [
        (None, False, False),
        (Answered(201, b"{}"), True, True),
        (Answered(402, b'{"code":"insufficient_funds","retryable":false}'), True, True),
        (Answered(400, b'{"code":"invalid_field","retryable":false}'), True, False),
        (Answered(503, b'{"code":"unavailable","retryable":true}'), False, False),
        (Answered(409, b'{"code":"busy","retryable":true}'), False, False),
    ],
)
def test_what_is_worth_asking_again(answer: Answered | None, final: bool, kept: bool) -> None:
    assert (is_final(answer), is_kept(answer)) == (final, kept)


class Till:
    """A server that counts what arrives and answers each request with its number."""

    def __init__(self) -> None:
        self.arrived: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(1_000):
            self.arrived.append(request)
            body = str(len(self.arrived)).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()


async def test_every_fault_happens_and_does_what_it_says() -> None:
    till, faults, wrong = Till(), list[str](), list[str]()
    server = await asyncio.start_server(till.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = Wire(port)
    line = FaultyLine(port, wire, Random(1), on_fault=faults.append, on_violation=wrong.append)
    heard: dict[str, list[Answered | None]] = {}
    for number in range(120):
        before, line.doubtful = len(faults), False
        answer = await line.send(b"GET / HTTP/1.1\r\n\r\n", once=number % 2 == 0)
        fault = faults[-1] if len(faults) > before else "none"
        heard.setdefault(fault, []).append(answer)
        assert line.doubtful is (fault not in ("none", "delay"))
        assert number % 2 == 0 or fault != "late", "without a key it would be another request"
    await line.arrive()
    await wire.close()
    server.close()
    assert set(heard) == set(FAULTS)
    for fault, answers in heard.items():
        assert all((answer is None) is (fault in ("lost_answer", "late", "reset")) for answer in answers), fault
    whole = [request for request in till.arrived if request.endswith(b"\r\n\r\n")]
    least = 120 + len(heard["duplicate"]) - len(heard["reset"])
    assert least <= len(whole) <= least + len(heard["reset"])
    # two answers to one request with a key are a violation, without one they are two requests
    assert 0 < len(wrong) < len(heard["duplicate"])


# Clocks


def test_a_clock_is_wrong_by_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "offset"
    clock = ShiftedClock(path)

    def off_by() -> timedelta:
        return clock.now() - datetime.now(UTC)

    assert abs(off_by()) < timedelta(seconds=5)
    path.write_text("-3600.5")
    assert abs(off_by() + timedelta(seconds=3600.5)) < timedelta(seconds=5)
    ids = SystemIds(clock)
    made_ms = ids.new().int >> 80
    assert abs(made_ms / 1_000 - clock.now().timestamp()) < 5
    path.unlink()
    assert abs(off_by()) < timedelta(seconds=5)
    assert (ids.new().int >> 80) > made_ms
    path.write_text("7200")
    assert off_by() > timedelta(hours=1)
    later = ids.new()
    path.unlink()
    assert ids.new() > later, "a clock that steps back does not bring earlier ids"


# The report


def test_a_report_is_read_back_and_shown(tmp_path: Path) -> None:
    report = Report(seed=7, reproduce="kaquan simulate --seed 7", started_at=NOW, written_at=NOW, finished=True)
    report.operations["purchase"] += 3
    report.faults["killed_server"] += 2
    report.recovery_s = {"killed_server": [0.5, 1.5, 1.0]}
    report.audits = [AuditSeen("zero_sum", True, 12), AuditSeen("log", False, 3)]
    write_report(report, tmp_path)
    assert read_report(tmp_path / "report.json") == report
    text = to_markdown(report)
    assert (tmp_path / "report.md").read_text() == text
    for line in (
        "**0 violations**",
        "| processes killed (-9) | 2 |",
        "| answers again after killed server, median / longest | 1.0 / 1.5 s |",
        "| purchase | 3 |",
        "| zero_sum | holds | 12 |",
        "| log | **does not hold** | 3 |",
    ):
        assert line in text
    assert "kaquan simulate --seed 7" not in text
    report.violations.append("a card has too much")
    text = to_markdown(report)
    assert "- a card has too much" in text
    assert "$ kaquan simulate --seed 7" in text
