"""Rules made by hand for tests."""

from datetime import date
from typing import Any

from kaquan.policy import Action, Confidence, Metric, Question, Reach, Rule, Scheme

DAY = date(2026, 3, 1)


def rule(id_: str = "HOUSE-CAP", **fields: Any) -> Rule:
    """A house rule of CNY 800 on unregistered single-purpose cards, but for ``fields``; reach fields by their names."""
    reach = {name: fields.pop(name) for name in Reach.__struct_fields__ if name in fields}
    return Rule(
        **{
            "id": id_,
            "jurisdiction": "CN",
            "reach": Reach(**reach),
            "metric": Metric.CARD_BALANCE_CAP,
            "value": 80_000,
            "action": Action.REJECT,
            "effective_from": DAY,
            "source": "board 2026-1",
            "confidence": Confidence.HOUSE,
            "title_zh": "限额",
            "title_en": "cap",
            **fields,
        }
    )


def law(id_: str, **fields: Any) -> Rule:
    """A row of law."""
    return rule(
        id_, **{"confidence": Confidence.PRIMARY, "source": "P1", "effective_from": date(2012, 11, 1), **fields}
    )


def question(metric: Metric, jurisdiction: str = "CN", on: date = DAY, **known: Any) -> Question:
    """A question about a single-purpose card."""
    return Question(metric, jurisdiction, on, **{"scheme": Scheme.SINGLE_PURPOSE, **known})
