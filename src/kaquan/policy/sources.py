"""Where the rows of law come from: the keys of ``rules/sources.csv``, with articles."""

import csv
import re
from functools import cache
from importlib import resources
from typing import NamedTuple

_PART = re.compile(r"([A-Z]+[0-9]*)(?: art ([0-9]+(?:\([0-9]+\))?))?")


class Source(NamedTuple):
    """A text that rules were read in. ``article`` is empty when the row names none."""

    key: str
    title: str
    where: str
    article: str = ""


@cache
def known_sources() -> dict[str, Source]:
    """Every source by its key."""
    text = resources.files("kaquan.policy").joinpath("rules/sources.csv").read_text("utf-8")
    return {row["key"]: Source(row["key"], row["title"], row["where"]) for row in csv.DictReader(text.splitlines())}


def read_source(text: str) -> list[Source] | None:
    """The sources that ``L1 art 14; P3`` names; None if a part of it is not a known key."""
    found: list[Source] = []
    for part in text.split("; "):
        read = _PART.fullmatch(part)
        if read is None or read[1] not in known_sources():
            return None
        found.append(known_sources()[read[1]]._replace(article=read[2] or ""))
    return found


def describe_source(text: str) -> str:
    """Titles with articles of what ``text`` names; a text that names no keys (a house's) as it is."""
    sources = read_source(text)
    if sources is None:
        return text
    return "；".join(source.title + (f" 第{source.article}条" if source.article else "") for source in sources)
