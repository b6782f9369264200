"""Floor 5: programmes with their acceptance, card numbers, batches, the life of a card, its pockets.

It decides who may hold value and where it may be spent, and never moves any. It never logs a card number, and
only :func:`reveal_number`, which leaves a trace, and :func:`print_cards`, whose caller leaves one, show any.
"""

from kaquan.cards.accept import change_acceptance
from kaquan.cards.adopt import adopt_cards, block_adopted_cards, hold_cards
from kaquan.cards.change import activate_card, block_card, unblock_card
from kaquan.cards.create_programme import create_programme
from kaquan.cards.enquire import Balance, CheckPin, Proof, enquire, no_pin_chosen
from kaquan.cards.find import CardFinder
from kaquan.cards.issue import Press, issue_card
from kaquan.cards.issue_batch import create_batch, run_batch, unfinished_batches
from kaquan.cards.look_up import (
    get_batch,
    get_card,
    get_card_by_number,
    get_programme,
    list_acceptance,
    list_batches,
    list_cards,
    list_pockets,
    list_programmes,
)
from kaquan.cards.print import PrintedCard, print_cards
from kaquan.cards.programmes import Programmes
from kaquan.cards.rekey import copy_lookups, count_lookups, drop_old_lookups
from kaquan.cards.reveal import reveal_number
from kaquan.cards.types import (
    Acceptance,
    AcceptedMerchant,
    Batch,
    BlockReason,
    Card,
    CardForm,
    CardStatus,
    NewBatch,
    NewCard,
    NewProgramme,
    Pocket,
    Programme,
    Search,
)

__all__ = [
    "Acceptance",
    "AcceptedMerchant",
    "Balance",
    "Batch",
    "BlockReason",
    "Card",
    "CardFinder",
    "CardForm",
    "CardStatus",
    "CheckPin",
    "NewBatch",
    "NewCard",
    "NewProgramme",
    "Pocket",
    "Press",
    "PrintedCard",
    "Programme",
    "Programmes",
    "Proof",
    "Search",
    "activate_card",
    "adopt_cards",
    "block_adopted_cards",
    "block_card",
    "change_acceptance",
    "copy_lookups",
    "count_lookups",
    "create_batch",
    "create_programme",
    "drop_old_lookups",
    "enquire",
    "get_batch",
    "get_card",
    "get_card_by_number",
    "get_programme",
    "hold_cards",
    "issue_card",
    "list_acceptance",
    "list_batches",
    "list_cards",
    "list_pockets",
    "list_programmes",
    "no_pin_chosen",
    "print_cards",
    "reveal_number",
    "run_batch",
    "unblock_card",
    "unfinished_batches",
]
