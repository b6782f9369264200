"""The people and organisations who hold cards: what is known of them, how well, and how it is forgotten.

Names, phones and document numbers are sealed at rest, found by keyed HMACs and masked in every answer; who reveals or
exports them leaves a line in the trail. It never decides what a level is good for: rooms above do.
"""

from kaquan.parties.customers.attempts import Guard, plan_claim
from kaquan.parties.customers.correct import correct_customer, level_after
from kaquan.parties.customers.create import create_customer
from kaquan.parties.customers.export import export_customer
from kaquan.parties.customers.find import (
    find_customers,
    get_birthday,
    get_customer,
    get_customers,
    known_customers,
    list_attempts,
    list_customers,
    list_levels,
)
from kaquan.parties.customers.forget import (
    erase_retained,
    forget_customer,
    list_openings_due,
    note_openings_erased,
)
from kaquan.parties.customers.hold import Known, hold_customer
from kaquan.parties.customers.label import MAX_LABELLED, MAX_SEGMENTS, label_customers, list_segments, set_segments
from kaquan.parties.customers.numbers import normalize_name, read_document, read_phone
from kaquan.parties.customers.reveal import reveal_customer
from kaquan.parties.customers.sealing import month_day_of
from kaquan.parties.customers.types import (
    Attempt,
    Customer,
    CustomerChange,
    CustomerExport,
    CustomerSearch,
    Document,
    LevelChange,
    NewCustomer,
    Personal,
    PersonalField,
    Proof,
    Retention,
    Segment,
    Verification,
)
from kaquan.parties.customers.verify import verify_customer

__all__ = [
    "MAX_LABELLED",
    "MAX_SEGMENTS",
    "Attempt",
    "Customer",
    "CustomerChange",
    "CustomerExport",
    "CustomerSearch",
    "Document",
    "Guard",
    "Known",
    "LevelChange",
    "NewCustomer",
    "Personal",
    "PersonalField",
    "Proof",
    "Retention",
    "Segment",
    "Verification",
    "correct_customer",
    "create_customer",
    "erase_retained",
    "export_customer",
    "find_customers",
    "forget_customer",
    "get_birthday",
    "get_customer",
    "get_customers",
    "hold_customer",
    "known_customers",
    "label_customers",
    "level_after",
    "list_attempts",
    "list_customers",
    "list_levels",
    "list_openings_due",
    "list_segments",
    "month_day_of",
    "normalize_name",
    "note_openings_erased",
    "plan_claim",
    "read_document",
    "read_phone",
    "reveal_customer",
    "set_segments",
    "verify_customer",
]
