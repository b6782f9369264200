"""How a card number looks wherever it is shown without the permission to reveal it."""

_SHOWN = 4


def mask_number(number: str) -> str:
    """The number with everything but its last four digits hidden; its length is hidden too.

    >>> mask_number("8888000000000001234")
    '**** **** **** 1234'
    """
    return f"**** **** **** {number[-_SHOWN:]}"
