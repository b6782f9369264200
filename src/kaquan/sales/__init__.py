"""Floor above payments: sell cards and top-ups, deliver what is paid, take unused cards back, keep the register.

It judges a purchase by one function for every door (:func:`check_sale`), tells who must be known and with what may be
paid, and brings cards to life: activation and loads of paid purchases are asked of ``cards`` and ``payments``. It never
touches money outside: what was received is written down as evidence, and what is given back is given back elsewhere.
Personal data of a purchase is sealed, shown with a trace, and erased when no rule asks to keep it any more.
"""

from kaquan.sales.buyer_lists import apply_list, check_list, end_list, get_buyer_list, list_buyer_lists, upload_list
from kaquan.sales.check import SaleCheck, check_payment, check_sale
from kaquan.sales.create import check_lines, create_sale
from kaquan.sales.deliver import deliver_item, deliver_sale, deliver_sales, load_item
from kaquan.sales.look_up import get_sale, list_sale_cards, list_sales, show_sale
from kaquan.sales.pay import pay_sale
from kaquan.sales.register import erase_purchasers, reveal_purchaser
from kaquan.sales.screen import clear_sale
from kaquan.sales.take_back import cancel_sale, expire_sales, refund_sale
from kaquan.sales.top_up import top_up
from kaquan.sales.types import (
    DEFAULT_OPEN_S,
    MAX_LINES,
    MAX_OPEN_S,
    MAX_SALE_CARDS,
    BankAccount,
    BuyerList,
    BuyerListAction,
    BuyerListStatus,
    CheckedList,
    DayFacts,
    Item,
    ItemStatus,
    Line,
    LineFacts,
    NewLine,
    NewPayment,
    NewSale,
    NewTopUp,
    Payment,
    PaymentAccounts,
    PayMethod,
    Purchaser,
    Revealed,
    Review,
    Sale,
    SaleFacts,
    SaleKind,
    SaleSearch,
    SaleShown,
    SaleStatus,
    Tender,
)

__all__ = [
    "DEFAULT_OPEN_S",
    "MAX_LINES",
    "MAX_OPEN_S",
    "MAX_SALE_CARDS",
    "BankAccount",
    "BuyerList",
    "BuyerListAction",
    "BuyerListStatus",
    "CheckedList",
    "DayFacts",
    "Item",
    "ItemStatus",
    "Line",
    "LineFacts",
    "NewLine",
    "NewPayment",
    "NewSale",
    "NewTopUp",
    "PayMethod",
    "Payment",
    "PaymentAccounts",
    "Purchaser",
    "Revealed",
    "Review",
    "Sale",
    "SaleCheck",
    "SaleFacts",
    "SaleKind",
    "SaleSearch",
    "SaleShown",
    "SaleStatus",
    "Tender",
    "apply_list",
    "cancel_sale",
    "check_lines",
    "check_list",
    "check_payment",
    "check_sale",
    "clear_sale",
    "create_sale",
    "deliver_item",
    "deliver_sale",
    "deliver_sales",
    "end_list",
    "erase_purchasers",
    "expire_sales",
    "get_buyer_list",
    "get_sale",
    "list_buyer_lists",
    "list_sale_cards",
    "list_sales",
    "load_item",
    "pay_sale",
    "refund_sale",
    "reveal_purchaser",
    "show_sale",
    "top_up",
    "upload_list",
]
