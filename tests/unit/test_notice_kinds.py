"""What is pure about notices: events, kinds, the schedule, addresses. Every kind is found by itself."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from kaquan.closing import events as _  # noqa: F401  (declares its events)
from kaquan.notices import EVENTS, event, kinds
from kaquan.notices.backoff import DELAYS_S, MAX_ATTEMPTS, next_delay
from kaquan.notices.courier import is_public
from kaquan.notices.kind import Answered, Failure, Kind, Letter, Verdict
from kaquan.notices.kinds import find_kinds

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ID = UUID("01900000-0000-7000-8000-0000000000aa")
SECRETS = ["whsec_" + "A" * 43 + "=", "whsec_" + "B" * 42 + "A="]
KINDS = list(find_kinds().values())
OUTGOING = [kind for kind in KINDS if not kind.at_once]


def letter(*secrets: str) -> Letter:
    return Letter(ID, '{"type":"card.closed"}', "https://example.com/hook?a=1", secrets or SECRETS[:1])


def test_each_file_is_one_kind() -> None:
    assert set(find_kinds()) == {path.stem for path in Path(kinds.__path__[0]).glob("*.py")} - {"__init__"}
    assert {"webhook", "console"} <= set(find_kinds())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_answer_means_something(kind: Kind) -> None:
    answers = [Answered(status) for status in range(100, 600)] + [Answered(None, failure) for failure in Failure]
    assert {kind.read(answered) for answered in answers} <= set(Verdict)


@pytest.mark.parametrize("kind", OUTGOING, ids=lambda kind: kind.name)
def test_a_kind_that_goes_out_builds_the_same_twice_and_refuses_nonsense(kind: Kind) -> None:
    built = kind.build(letter(), at=AT)
    assert built == kind.build(letter(), at=AT)
    assert built.address == letter().address
    assert built.body == letter().body.encode()
    assert not any(secret in str(built) for secret in SECRETS)
    for address in ("", "nowhere", "https://", "ftp://example.com/", "https://a@example.com/", "https://e.com/#f"):
        refused = kind.check_address(address, allow_private=True)
        assert refused is not None
        assert (refused.code, refused.field) == ("invalid_field", "address")
        assert refused.message("en")
        assert refused.message("zh")
    assert kind.read(Answered(None, Failure.TIMEOUT)) is Verdict.AGAIN


def test_what_a_webhook_takes_for_an_answer() -> None:
    read = find_kinds()["webhook"].read
    assert {status for status in range(100, 600) if read(Answered(status)) is Verdict.DELIVERED} == set(range(200, 300))
    assert [status for status in range(100, 600) if read(Answered(status)) is Verdict.NEVER] == [410]


def test_http_and_odd_ports() -> None:
    check = find_kinds()["webhook"].check_address
    assert check("https://example.com", allow_private=False) is None
    assert check("https://[2001:db8::1]:8443/a", allow_private=False) is None
    assert check("http://127.0.0.1:80/", allow_private=True) is None
    for address in ("http://example.com/", "https://example.com:0/", "https://example.com:65536/", "https://e.com/\n"):
        assert check(address, allow_private=False) is not None
    assert check("https://example.com/" + "a" * 1_000, allow_private=False) is not None


def test_a_signature_is_that_of_standard_webhooks() -> None:
    built = find_kinds()["webhook"].build(letter(*SECRETS), at=datetime.now(UTC))
    assert len(built.headers["webhook-signature"].split(" ")) == 2
    for secret in SECRETS:
        assert Verifier(secret).verify(built.body, built.headers) == {"type": "card.closed"}
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRETS[0]).verify(built.body + b" ", built.headers)
    assert built.headers["webhook-id"] == f"ntc_{ID.hex}"
    assert "secrets=..." in repr(letter())


def test_the_schedule_grows_and_ends() -> None:
    delays = [next_delay(n, notice_id=ID) for n in range(1, MAX_ATTEMPTS)]
    for delay, seconds in zip(delays, DELAYS_S, strict=True):
        assert delay is not None
        assert timedelta(seconds=seconds) <= delay <= timedelta(seconds=seconds * 1.1)
    assert next_delay(MAX_ATTEMPTS, notice_id=ID) is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:192.168.0.1", "64:ff9b::a00:1",
        "2002:a00:1::", "192.0.2.1", "2001:db8::1",
    ],
)  # fmt: skip
def test_private_addresses_are_known(address: str) -> None:
    assert not is_public(address)


def test_public_addresses_are_known() -> None:
    assert all(map(is_public, ["1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]))


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_is_said_in_both_languages(name: str) -> None:
    found = EVENTS[name]
    assert re.fullmatch(r"[a-z]+\.[a-z]+", name)
    fields = set(re.findall(r"{(\w+)}", found.en))
    assert fields == set(re.findall(r"{(\w+)}", found.zh))
    assert "{" not in found.message({}, "en") + found.message({}, "zh")
    assert any("一" <= character <= "鿿" for character in found.zh)


def test_an_event_has_one_meaning() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        event("card.closed", en="Closed.", zh="已注销。")
