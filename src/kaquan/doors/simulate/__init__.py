"""A business under everything that goes wrong at once, and an auditor who believes only what clients were told.

Two installations, each with server processes and a worker, share one database. Between them and their clients the
network loses answers, sends requests twice, delays them behind later ones and breaks connections off; tills have wrong
clocks; processes and the database are killed; clocks of servers jump, commits are slow, the disk takes no more, and the
processes are replaced one by one. The clients ask over HTTP alone, and what they were told is all that the
auditor knows: it must be there, once. One seed decides what is asked and what goes wrong when; when the operating
system then runs whom is its own affair.

It runs on a database of its own, never on that of an installation.
"""

from kaquan.doors.simulate.command import simulate_business
from kaquan.doors.simulate.ground import Blow, Ground, Served
from kaquan.doors.simulate.report import Report
from kaquan.doors.simulate.run import Plan, simulate
from kaquan.doors.simulate.wire import Answered, Line, Wire, is_final, wire_to

__all__ = [
    "Answered",
    "Blow",
    "Ground",
    "Line",
    "Plan",
    "Report",
    "Served",
    "Wire",
    "is_final",
    "simulate",
    "simulate_business",
    "wire_to",
]
