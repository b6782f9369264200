"""The bytes of requests, addresses, and percentiles."""

import pytest

from kaquan.doors.load import Address, Caller, latency_of, read_address


def test_addresses() -> None:
    assert read_address("http://127.0.0.1:8420") == Address(host="127.0.0.1", port=8420)
    assert read_address("http://shop.example").authority == "shop.example"
    assert read_address("http://[::1]:8420").authority == "[::1]:8420"
    assert read_address("unix:/run/kaquan.sock").socket_path == "/run/kaquan.sock"
    for wrong in ("https://shop.example", "shop.example:80", "unix:relative", ""):
        with pytest.raises(ValueError, match="is no address"):
            read_address(wrong)


def test_requests_are_whole() -> None:
    caller = Caller(Address(host="h", port=8420), token="kq_test_x")
    assert caller.post("/v1/loads", b'{"a":1}', key="k1") == (
        b"POST /v1/loads HTTP/1.1\r\nHost: h:8420\r\nAuthorization: Bearer kq_test_x\r\n"
        b"Content-Type: application/json\r\nIdempotency-Key: k1\r\nContent-Length: 7\r\n\r\n"
        b'{"a":1}'
    )
    assert b"Idempotency-Key" not in caller.post("/v1/cards")
    assert caller.get("/v1/cards?limit=2").startswith(b"GET /v1/cards?limit=2 HTTP/1.1\r\n")
    assert caller.get("/").endswith(b"\r\n\r\n")


def test_percentiles_are_times_that_were_measured() -> None:
    latency = latency_of([ms * 1_000_000 for ms in range(1000, 0, -1)])
    assert (latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.p999_ms) == (500, 950, 990, 999)
    assert latency.max_ms == 1000
    assert latency_of([]).max_ms == 0
    one = latency_of([7_000_000])
    assert one.p50_ms == one.max_ms == 7
