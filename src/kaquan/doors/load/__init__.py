"""A client that keeps many HTTP connections busy at little cost: for the demo, the benches, the crash tests.

It shares the machine with the server that it loads, so what it spends is missing in the figures: it sends
bytes as they are, parses answers in C and keeps nothing but times. It is no general HTTP client: no TLS, no
redirects, no compression.

A :class:`Feed` says what each lane (one connection) sends next and hears each answer; within a lane a request
leaves only when the one before it was answered, so what must stay in order shares a lane.
"""

from kaquan.doors.load.client import Feed, LoadError, run_load
from kaquan.doors.load.request import Address, Caller, read_address
from kaquan.doors.load.result import NO_ANSWER, Latency, LoadResult, latency_of
from kaquan.doors.load.series import AnswerError, call_all

__all__ = [
    "NO_ANSWER",
    "Address",
    "AnswerError",
    "Caller",
    "Feed",
    "Latency",
    "LoadError",
    "LoadResult",
    "call_all",
    "latency_of",
    "read_address",
    "run_load",
]
