"""What commands print: results on standard output, everything else on standard error."""

import sys
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

results = Console(soft_wrap=True, highlight=False)
notes = Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(value: Any) -> None:
    """``value`` as one JSON document on a line of its own."""
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


def show_fen(fen: int) -> str:
    """An amount for people: thousands apart, hundredths after a point.

    >>> show_fen(123456789), show_fen(-5)
    ('1,234,567.89', '-0.05')
    """
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100:,}.{abs(fen) % 100:02}"


def note(sentence: str) -> None:
    """Tell the operator something that is not the result."""
    notes.print(sentence, style="dim", markup=False)


def complain(sentence: str) -> None:
    """Tell the operator why a command did not do what it says."""
    print(sentence, file=sys.stderr)
