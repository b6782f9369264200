"""Floor 5: programmes with their acceptance, card numbers, batches, the life of a card, its pockets.

It decides who may hold value and where it may be spent. It moves none but from one card to another, where a card is
replaced or a person puts two together, by the hands of two operators (``cards.adjustments``), and where its terms ask a
fee for a service. Every change of a card leaves an event in the same commit. It never logs a card number; only
:func:`reveal_number`, which leaves a trace, and :func:`print_cards`, whose caller leaves one, show any.
"""

from kaquan.cards.accept import change_acceptance
from kaquan.cards.adopt import adopt_cards, block_adopted_cards, hold_cards
from kaquan.cards.balance import PocketBalance, list_balances
from kaquan.cards.change import Permission, activate_card, block_card, programme_of, unblock_card
from kaquan.cards.change_programme import Approved, ProgrammeChange, change_programme
from kaquan.cards.charge import charge_fee
from kaquan.cards.close import end_card, has_transfer, note_extension, note_release, plan_closing, touch_pockets
from kaquan.cards.create_programme import check_face_value, create_programme
from kaquan.cards.days import end_of_day
from kaquan.cards.ends import check_going_on, check_usable
from kaquan.cards.enquire import Balance, CheckPin, Proof, enquire
from kaquan.cards.events import list_events, record_events
from kaquan.cards.fees import ACCOUNT as FEES
from kaquan.cards.find import CardFinder
from kaquan.cards.forget import erase_reasons
from kaquan.cards.gift import cancel_gift, claim_gift, expire_gifts, offer_gift
from kaquan.cards.issue import Press, issue_card, issue_cards
from kaquan.cards.issue_batch import create_batch, run_batch, unfinished_batches
from kaquan.cards.law import check_law, jurisdiction_of, scheme_of
from kaquan.cards.life import MAY_HAPPEN, UNUSABLE, advance
from kaquan.cards.look_up import (
    get_batch,
    get_card,
    get_card_by_number,
    get_cards,
    get_programme,
    list_acceptance,
    list_batches,
    list_cards,
    list_pockets,
    list_programmes,
    list_tenures,
    list_terms,
)
from kaquan.cards.loss import LossCause, card_found, put_losses_into_effect, report_loss
from kaquan.cards.pin import (
    PIN_REFUSALS,
    PinStatus,
    check_chosen_pin,
    get_pin_status,
    set_pin,
    unlock_pin,
    verify_pin,
)
from kaquan.cards.print import PrintedCard, print_cards
from kaquan.cards.programmes import Programmes
from kaquan.cards.register import CustomerCheck, register_card, unbind_card
from kaquan.cards.rekey import copy_lookups, count_lookups, drop_old_lookups
from kaquan.cards.replace import replace_card
from kaquan.cards.retain import find_retention
from kaquan.cards.reveal import reveal_number
from kaquan.cards.set_aside import end_sale, mark_sold, set_aside
from kaquan.cards.transfer import finish_transfers, last_successor, transfer_balance
from kaquan.cards.types import (
    SYSTEM,
    Acceptance,
    AcceptedMerchant,
    Activation,
    Batch,
    BlockReason,
    Card,
    CardClass,
    CardEvent,
    CardForm,
    CardStatus,
    ClaimedGift,
    Clauses,
    Ending,
    Event,
    Fee,
    FeeKind,
    Fees,
    Gift,
    GiftStatus,
    Hand,
    NewBatch,
    NewCard,
    NewProgramme,
    OfferedGift,
    OperatingMode,
    PinState,
    Pocket,
    Programme,
    ProgrammeStatus,
    ProgrammeTerms,
    Replacement,
    Restriction,
    Search,
    Tenure,
    TermsVersion,
    Transfer,
    TransferKind,
    TransferStatus,
)

__all__ = [
    "FEES",
    "MAY_HAPPEN",
    "PIN_REFUSALS",
    "SYSTEM",
    "UNUSABLE",
    "Acceptance",
    "AcceptedMerchant",
    "Activation",
    "Approved",
    "Balance",
    "Batch",
    "BlockReason",
    "Card",
    "CardClass",
    "CardEvent",
    "CardFinder",
    "CardForm",
    "CardStatus",
    "CheckPin",
    "ClaimedGift",
    "Clauses",
    "CustomerCheck",
    "Ending",
    "Event",
    "Fee",
    "FeeKind",
    "Fees",
    "Gift",
    "GiftStatus",
    "Hand",
    "LossCause",
    "NewBatch",
    "NewCard",
    "NewProgramme",
    "OfferedGift",
    "OperatingMode",
    "Permission",
    "PinState",
    "PinStatus",
    "Pocket",
    "PocketBalance",
    "Press",
    "PrintedCard",
    "Programme",
    "ProgrammeChange",
    "ProgrammeStatus",
    "ProgrammeTerms",
    "Programmes",
    "Proof",
    "Replacement",
    "Restriction",
    "Search",
    "Tenure",
    "TermsVersion",
    "Transfer",
    "TransferKind",
    "TransferStatus",
    "activate_card",
    "adopt_cards",
    "advance",
    "block_adopted_cards",
    "block_card",
    "cancel_gift",
    "card_found",
    "change_acceptance",
    "change_programme",
    "charge_fee",
    "check_chosen_pin",
    "check_face_value",
    "check_going_on",
    "check_law",
    "check_usable",
    "claim_gift",
    "copy_lookups",
    "count_lookups",
    "create_batch",
    "create_programme",
    "drop_old_lookups",
    "end_card",
    "end_of_day",
    "end_sale",
    "enquire",
    "erase_reasons",
    "expire_gifts",
    "find_retention",
    "finish_transfers",
    "get_batch",
    "get_card",
    "get_card_by_number",
    "get_cards",
    "get_pin_status",
    "get_programme",
    "has_transfer",
    "hold_cards",
    "issue_card",
    "issue_cards",
    "jurisdiction_of",
    "last_successor",
    "list_acceptance",
    "list_balances",
    "list_batches",
    "list_cards",
    "list_events",
    "list_pockets",
    "list_programmes",
    "list_tenures",
    "list_terms",
    "mark_sold",
    "note_extension",
    "note_release",
    "offer_gift",
    "plan_closing",
    "print_cards",
    "programme_of",
    "put_losses_into_effect",
    "record_events",
    "register_card",
    "replace_card",
    "report_loss",
    "reveal_number",
    "run_batch",
    "scheme_of",
    "set_aside",
    "set_pin",
    "touch_pockets",
    "transfer_balance",
    "unbind_card",
    "unblock_card",
    "unfinished_batches",
    "unlock_pin",
    "verify_pin",
]
