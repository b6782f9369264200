"""The command ``kaquan``: serve, try, check and look after an installation.

A command says what it did on standard output (one JSON document with ``--json``) and everything else on standard
error. It ends with 0 only when it did what it says; what an operator can mend is one sentence, never a traceback.
"""

from kaquan.doors.cli.entry import main

__all__ = ["main"]
