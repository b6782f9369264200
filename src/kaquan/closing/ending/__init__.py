"""What follows from the announced end of a programme (flow 10): holders are told and reminded, publications noted,
refunds listed, and the rest is refunded where it is known to whom.

The decision itself, and what it stops, is ``cards``'s. What is left and refunded to nobody stays on the cards, owed.
"""

from kaquan.closing.ending.payees import MAX_PAYEES, give_payees, refund_ended
from kaquan.closing.ending.publish import list_publications, list_told, note_publication
from kaquan.closing.ending.refund_file import RefundFile, write_refunds
from kaquan.closing.ending.refunds import each_refund, get_liability, list_refunds
from kaquan.closing.ending.tell import tell_of_ends
from kaquan.closing.ending.types import (
    DeliveryState,
    GivenPayee,
    Liability,
    NewPublication,
    Occasion,
    Publication,
    RefundLine,
    RefundSearch,
    RefundState,
    Told,
    ToldSearch,
    Which,
)

__all__ = [
    "MAX_PAYEES",
    "DeliveryState",
    "GivenPayee",
    "Liability",
    "NewPublication",
    "Occasion",
    "Publication",
    "RefundFile",
    "RefundLine",
    "RefundSearch",
    "RefundState",
    "Told",
    "ToldSearch",
    "Which",
    "each_refund",
    "get_liability",
    "give_payees",
    "list_publications",
    "list_refunds",
    "list_told",
    "note_publication",
    "refund_ended",
    "tell_of_ends",
    "write_refunds",
]
