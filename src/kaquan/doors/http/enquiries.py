"""``/v1/card-enquiries``"""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import Controller, post
from litestar.response import Response
from msgspec import Meta

from kaquan import cards
from kaquan.cards import Balance, Proof
from kaquan.cards.outcomes import CARD_NOT_CONFIRMED
from kaquan.doors.http.answers import answer
from kaquan.doors.http.callers import caller_of_client, client_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.problems import problem_response
from kaquan.doors.http.reading import read_body
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.guesses import TOO_MANY_WRONG_ANSWERS, caller_of
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.parties import Scope

Number = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{8,19}$(?!\n)",
        description="a card number: 8 to 19 digits",
        extra={"zh": "卡号：8 到 19 位数字"},
    ),
]
Secret = Annotated[
    str,
    Meta(
        pattern=r"^[0-9A-Za-z -]{1,32}$(?!\n)",
        description="a card secret as it is printed; spaces and dashes do not count",
        extra={"zh": "印在卡上的卡密，空格与短横线忽略"},
    ),
]
Pin = Annotated[
    str, Meta(pattern=r"^[0-9]{4,12}$(?!\n)", description="4 to 12 digits", extra={"zh": " 4 到 12 位数字"})
]


class CardEnquiry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The number of a card, and either its secret or its PIN."""

    number: Number
    secret: Secret | None = None
    pin: Pin | None = None


class BalanceView(msgspec.Struct, frozen=True):
    """``available_fen`` is what can be spent now; ``usable_until`` the last day of its programme, where that ends."""

    number_masked: str
    currency: str
    available_fen: int
    expires_at: datetime | None
    usable_until: date | None


def show_balance(balance: Balance) -> BalanceView:
    return BalanceView(
        balance.number_masked, balance.currency, balance.available_fen, balance.expires_at, balance.usable_until
    )


class EnquiryController(Controller):
    path = "/v1/card-enquiries"
    tags = ("cards",)

    @post(
        **operation(
            Scope.CARDS_ENQUIRE,
            body=CardEnquiry,
            answer=BalanceView,
            refusals=[CARD_NOT_CONFIRMED, TOO_MANY_WRONG_ANSWERS],
        )
    )
    async def enquire_card(self, request: ApiRequest) -> Response[bytes]:
        """Tell a holder the balance of a card; wrong answers are counted for each Kaquan-Client and each number."""
        asked = await read_body(request, CardEnquiry)
        if (asked.secret is None) == (asked.pin is None):
            return problem_response(
                INVALID_FIELD.refuse(
                    "secret",
                    allowed="give either secret or pin, one of them",
                    allowed_zh="secret 与 pin 须且只能提供一个",
                )
            )
        app = app_of(request)
        callers = (
            caller_of_client(request.user, client_of(request)),
            # by a keyed hash, so that a number is counted whether there is such a card or not
            caller_of("number", request.user.book_id, app.keyring.subject(asked.number)),
        )
        if (waits := app.guesses.must_wait(*callers)) is not None:
            return problem_response(waits)
        found = await cards.enquire(
            app.pool,
            app.keyring,
            app.clock,
            book_id=request.user.book_id,
            slots=app.slots,
            number=asked.number,
            proof=Proof(asked.secret, asked.pin),
            check_pin=app.check_pin,
        )
        if isinstance(found, Refusal):
            return problem_response(await app.guesses.note_failure(*callers) or found)
        return answer(found, show_balance)
