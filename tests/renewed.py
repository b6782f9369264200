"""Files that are made from the code and checked in, so that a reader sees them and a change of them is reviewed."""

import os
from difflib import unified_diff
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RENEW = "KAQUAN_RENEW"


def check_renewed(path: Path, text: str, *, test: str) -> None:
    """Fail if the file at ``path`` is not ``text``; with KAQUAN_RENEW=1 write it instead."""
    if os.environ.get(RENEW):
        path.write_text(text, "utf-8")
    found = path.read_text("utf-8") if path.exists() else ""
    if found != text:
        changes = "\n".join(unified_diff(found.splitlines(), text.splitlines(), "there", "made", lineterm="", n=0))
        name = path.relative_to(ROOT)
        pytest.fail(
            f"{name} is not what the code makes now; renew it: {RENEW}=1 pytest {test}\n{changes}", pytrace=False
        )
