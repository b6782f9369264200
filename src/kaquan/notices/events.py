"""What notices tell of: each event is declared once, by the room that causes it, with its sentence for people."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True):
    """A kind of thing that happens. ``en`` and ``zh`` may name data of the notice in braces."""

    name: str
    en: str
    zh: str

    def message(self, data: Mapping[str, Any], language: str = "en") -> str:
        """The sentence of one notice; data that it does not hold reads as a dash."""
        text = self.zh if language == "zh" else self.en
        return text.format_map(defaultdict(lambda: "-", data))


EVENTS: dict[str, Event] = {}
"""Every event of the product by its name."""


def event(name: str, *, en: str, zh: str) -> Event:
    """Declare an event; its name is an English noun and a past participle or adjective: ``card.closed``. Raises
    ValueError if the name is taken: it has one meaning for ever."""
    if name in EVENTS:
        raise ValueError(f"event {name!r} is declared twice")
    EVENTS[name] = made = Event(name, en, zh)
    return made
