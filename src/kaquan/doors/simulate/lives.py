"""Stories of holders: who they are, what is theirs and opened to them, and how they are forgotten."""

import io
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from stdnum.cn import ric

from kaquan.doors.simulate.offers import RIGHT, WRONG, Member
from kaquan.doors.simulate.office import ViolationError
from kaquan.doors.simulate.stories import LostError, at_once, only
from kaquan.evidence import NoteError, Verified, read_key, verify_receipt
from kaquan.vault import read_envelope

UNKNOWN_NUMBER = "8888019999999999992"
NO_PIN_TRIES = 5
"""After so many wrong PINs of a programme that says nothing of it, a PIN is locked."""

PRINTER = X25519PrivateKey.generate()
"""Only the printer opens what is sealed to it; no seed decides how."""


def expect(what: str, found: object, expected: object) -> None:
    """Raises ViolationError if something is not as it must be."""
    if found != expected:
        raise ViolationError(f"{what} is {found}, it must be {expected}")


async def known_person(story: Member) -> tuple[str, dict[str, Any]]:
    """Somebody with a phone and a document, and what they told."""
    draw = story.chance.randrange
    number = f"110105{draw(1950, 2000)}{draw(1, 13):02}{draw(1, 29):02}{draw(1_000):03}"
    told: dict[str, Any] = {
        "name": story.chance.choice(["王敏", "李强", "Anna"]),
        "phone": f"+86139{draw(10**8):08}",
        "document": {"kind": "resident_id", "number": number + ric.calc_check_digit(number + "0")},
    }
    made = await story.tell("customer", "/v1/customers", told, once=False, unsure=("already_exists",))
    if made.code is None:
        return str(made.body["id"]), told
    (found,) = await search(story, document_number=told["document"]["number"])
    return found, told


async def search(story: Member, **what: str) -> list[str]:
    """The customers with a whole number."""
    found = await story.make("customer_search", "/v1/customers/search", what, once=False)
    return [one["id"] for one in found["data"]]


async def receipt(story: Member, path: str, body: Mapping[str, Any] | None = None, *, get: bool = False) -> Verified:
    """What a receipt proves to whoever has the log's keys; it is there when its entry is in a checkpoint."""
    office = story.office
    office.report.operations["receipt"] += 1
    told = await office.insist(story.line, office.build(path, body, key=None, get=get), once=False)
    if told.status != 200:
        raise ViolationError(f"{path}: {told.status} {told.body}")
    keys = await office.insist(story.line, office.build("/log/keys", None, key=None, get=True), once=False)
    office.report.checks["receipts"] += 1
    try:
        return verify_receipt(told.raw.body.decode(), [read_key(key) for key in keys.raw.body.decode().split()])
    except NoteError as error:
        raise ViolationError(f"{path} proves nothing: {error}: {told.raw.body!r}") from None


async def know_a_person(story: Member) -> None:
    """Somebody is found by what they told, corrected, labelled and shown; without a provider nobody is verified."""
    person, told = await known_person(story)
    address, document = f"/v1/customers/{person}", told["document"]["number"]
    for what in ({"phone": told["phone"]}, {"document_number": document}):
        expect(f"who has {what}", await search(story, **what), [person])
    new_phone = f"+86138{story.chance.randrange(10**8):08}"
    await story.make("customer_change", address, {"phone": new_phone}, once=False, method="PATCH")
    expect("who has the phone of before", await search(story, phone=told["phone"]), [])
    expect("who has the new phone", await search(story, phone=new_phone), [person])
    one, other = story.office.new_key("segment"), story.office.new_key("segment")
    async with story.soundly():
        await story.make("segments", f"{address}/segments", {"segments": [one]}, once=False, sure=True, method="PUT")
        labelling = {"customer_ids": [person], "add": [other], "remove": [one]}
        changed = await story.make("segments_of_many", "/v1/customers/segments", labelling, once=False, sure=True)
        expect("of how many the segments changed", changed, {"changed": 1})
    nobody = {"customer_ids": [person, f"cus_{'0' * 32}"], "add": [one]}
    await story.refused("segments_of_many", "/v1/customers/segments", nobody, "not_found", once=False)
    for segment, members in ((one, []), (other, [person])):
        found = await story.office.read(story.line, f"/v1/customers?segment={segment}")
        expect(f"who has {segment}", [member["id"] for member in found["data"]], members)
    await story.refused("verify", f"{address}/verify", {"level": "document"}, "identity_provider_missing", once=False)
    asked = {"fields": ["name", "phone", "document"], "reason": "ticket 17"}
    revealed = await story.make("reveal", f"{address}/reveal", asked, once=False)
    expect("what is revealed", revealed, {**told, "phone": new_phone})
    exported = await story.make("customer_export", f"{address}/export", once=False)
    expect("what is exported", exported["personal"], revealed)
    kinds = {action["kind"] for action in exported["actions"]}
    if not {"customer.created", "customer.corrected", "customer.revealed"} <= kinds:
        raise ViolationError(f"the trail of {person} has only {kinds}")
    await story.stays(
        address, level="none", segments=[other], phone_masked=f"+86138****{new_phone[-4:]}", forgotten_at=None
    )


async def forget_a_person(story: Member) -> None:
    """Somebody is forgotten: nobody finds or opens what was personal any more, and every proof stays valid."""
    person, told = await known_person(story)
    card = await story.card(3_000, customer=person)
    reference = story.office.new_key("order")
    paid = await story.make("purchase", "/v1/purchases", {**story.spend(card, 700), "reference": reference})
    story.take(paid)
    address, of_this = f"/v1/customers/{person}", {"transaction_id": paid["id"]}
    before = await receipt(story, f"{address}/receipts", of_this)
    expect("what a holder's receipt opens", (before.opened, before.reference), (True, reference))
    stranger = await story.customer()
    await story.refused("receipt", f"/v1/customers/{stranger}/receipts", of_this, "not_found", once=False)
    forgotten = await at_once(story, *[("forget", f"{address}/forget", {})] * 2, once=False)
    only(forgotten, 2)
    bare: dict[str, Any] = {
        "name_masked": None,
        "phone_masked": None,
        "document_masked": None,
        "level": "none",
        "segments": [],
    }
    await story.stays(address, forgotten_at=forgotten[0].body["forgotten_at"], retained_until=None, **bare)
    for what in ({"phone": told["phone"]}, {"document_number": told["document"]["number"]}):
        expect(f"who has {what}", await search(story, **what), [])
    await story.refused("customer_change", address, {"name": "王敏"}, "customer_forgotten", once=False, method="PATCH")
    asked = {"fields": ["name", "phone", "document"], "reason": "ticket 17"}
    revealed = await story.make("reveal", f"{address}/reveal", asked, once=False)
    expect("what is known of who is forgotten", revealed, {"name": None, "phone": None, "document": None})
    for path, body in ((f"{address}/receipts", of_this), (f"/v1/transactions/{paid['id']}/receipt/reveal", None)):
        after = await receipt(story, path, body)
        expect("what a receipt opens then", (after.opened, after.reference, after.entry), (False, None, before.entry))
    await story.pay(card, 300)
    await story.holds(card, 2_000)


async def read_receipts(story: Member) -> None:
    """Whatever moved value is proven by a receipt, and opened by a second one with a trace."""
    card = await story.card(2_000)
    reference = story.office.new_key("order")
    paid = await story.make("purchase", "/v1/purchases", {**story.spend(card, 600), "reference": reference})
    story.take(paid)
    back = await story.make("refund", "/v1/refunds", {"payment_id": paid["id"], "amount_fen": 100})
    story.held[card] += 100
    for done, kind, amount_fen in ((paid, "purchase", 600), (back, "refund", 100)):
        path = f"/v1/transactions/{done['id']}/receipt"
        closed, opened = await receipt(story, path, get=True), await receipt(story, f"{path}/reveal")
        found = (closed.entry[2], closed.entry[4], sum(entry[6] for entry in closed.entry[10]))
        expect("what a receipt proves", found, (done["id"].removeprefix("txn_"), kind, amount_fen))
        expect("what a second receipt proves", opened.entry, closed.entry)
        expect("what a receipt opens", (closed.opened, opened.opened), (False, True))
        if kind == "purchase":
            expect("the reference", opened.reference, reference)
    await story.holds(card, 1_500)


async def bind_and_unbind(story: Member) -> None:
    """A card is somebody's, nobody's, and somebody else's; of two who want it at once one gets it."""
    card, one, other = await story.card(1_000), await story.customer(), await story.customer()
    address = f"/v1/cards/{card}"
    async with story.soundly():
        await story.make("register", f"{address}/register", {"customer_id": one}, once=False, sure=True)
        await story.refused(
            "register", f"{address}/register", {"customer_id": other}, "card_registered", once=False, sure=True
        )
        free = await story.make("unbind", f"{address}/unbind", {"reason": "sold on"}, once=False, sure=True)
        expect(card, (free["card_class"], free["customer_id"]), ("unregistered", None))
    wanted = [("register", f"{address}/register", {"customer_id": customer}) for customer in (one, other)]
    told = await at_once(story, *wanted, once=False)
    only(told, 1, "card_registered")
    (owner,) = (one.body["customer_id"] for one in told if one.code is None)
    await story.stays(address, customer_id=owner, status="active")
    await story.pay(card, 300)
    await story.holds(card, 700)


async def print_and_enquire(story: Member) -> None:
    """Cards are made for a printer, who gets their file once; their holders ask for the balance, and guess in vain."""
    batch, rows = await printed_cards(story, 2)
    number, secret, first_pin = rows[0]
    (card,) = [one["id"] for one in (await found_by(story, number))]
    only(await at_once(story, *[("activate", f"/v1/cards/{card}/activate", {})] * 2, once=False), 2)
    await story.load(card, 700)

    async def told(**proof: str) -> None:
        found = await story.make("enquiry", "/v1/card-enquiries", {"number": number, **proof}, once=False)
        expect(f"the balance of {card}", found["available_fen"], 700)

    async def not_told(number: str = number, **proof: str) -> None:
        body = {"number": number, **proof}
        await story.refused("enquiry", "/v1/card-enquiries", body, "card_not_confirmed", once=False)

    await told(secret=secret)
    await told(pin=first_pin)
    other_number, other_secret, _ = rows[1]
    await not_told(secret=other_secret)
    await not_told(number=UNKNOWN_NUMBER, secret=secret)
    await not_told(number=other_number, secret=other_secret)  # it is not active
    chosen = {"pin": RIGHT}
    set_ = await story.tell(
        "pin", f"/v1/cards/{card}/pin", chosen, once=False, may=("pin_too_easy",), unsure=("pin_wrong",)
    )
    if set_.code == "pin_too_easy":
        raise LostError("a card whose number ends as its PIN does")
    await told(pin=RIGHT)
    for _ in range(NO_PIN_TRIES):
        await not_told(pin=WRONG)
    await not_told(pin=RIGHT)  # it is locked by guesses at this door too
    await told(secret=secret)
    await story.make("pin_unlock", f"/v1/cards/{card}/pin/unlock", {"reason": "identity shown"}, once=False)
    await told(pin=RIGHT)
    await story.holds(card, 700)
    await story.stays(f"/v1/batches/{batch}", issued_count=2)


async def printed_cards(story: Member, count: int) -> tuple[str, list[tuple[str, str, str]]]:
    """A batch of physical cards, and number, secret and first PIN of each as its printer reads them."""
    body = {
        "programme_id": story.office.town.direct, "name": story.office.new_key("batch"), "form": "physical",
        "card_count": count,
    }  # fmt: skip
    batch = (await story.made("batch", "/v1/batches", body, name="name"))["id"]
    address = f"/v1/batches/{batch}"
    await story.until(address, lambda found: bool(found["finished_at"] is not None))
    pem = PRINTER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    wanted = {"public_key": pem, "with_pin": True}
    told = await story.tell(
        "production_file", f"{address}/production-file", wanted, once=False, unsure=("already_exported",)
    )
    await story.refused("production_file", f"{address}/production-file", wanted, "already_exported", once=False)
    exported = (await story.office.read(story.line, f"{address}/production-files"))["data"]
    expect("how often a file was given out", [(one["turn"], one["card_count"]) for one in exported], [(1, count)])
    payload = {"kind": "csv", "reader_fingerprint": exported[0]["reader_fingerprint"], "with_pin": True}
    approval = await story.approval("batch_export", batch, payload)
    again = await story.tell(
        "production_file", f"{address}/production-file", {**wanted, "approval_id": approval}, once=False, by="li",
        unsure=("approval_not_approved",),
    )  # fmt: skip
    files = [open_file(one.raw.body) for one in (told, again) if one.code is None]
    if not files:
        raise LostError("both files")
    if len(files) == 2:
        expect("the second file", files[1], files[0])
    await story.refused("production_file", f"{address}/production-file", wanted, "already_exported", once=False)
    return str(batch), files[0]


def open_file(sealed: bytes) -> list[tuple[str, str, str]]:
    """What a printer reads in a production file."""
    pem = PRINTER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    text = b"".join(read_envelope(io.BytesIO(sealed), pem)).decode()
    rows = [line.split(",")[1:] for line in text.split("\r\n")[1:-1]]
    return [(number, secret, pin) for number, secret, pin in rows]


async def found_by(story: Member, number: str) -> list[dict[str, Any]]:
    """The card with this number."""
    found = await story.make("card_search", "/v1/cards/search", {"number": number}, once=False)
    return list(found["data"])


async def keep_a_pin(story: Member) -> None:
    """A PIN is changed by whoever knows it, finds a lost card again, and is taken away."""
    new = "640873"
    async with story.soundly():  # a PIN that is set twice is a wrong one
        card = await story.secret_card()
        address = f"/v1/cards/{card}"
        body = {"pin": new, "current_pin": WRONG}
        await story.refused("pin", f"{address}/pin", body, "pin_wrong", once=False, sure=True)
        await story.make("pin", f"{address}/pin", {**body, "current_pin": RIGHT}, once=False, sure=True)
        proof = {"cause": "stolen", "proof": "receipt 1"}
        await story.make("report_loss", f"{address}/report-loss", proof, once=False, sure=True)
        await story.refused("found", f"{address}/found", {"pin": RIGHT}, "pin_wrong", once=False, sure=True)
        await story.make("found", f"{address}/found", {"pin": new}, once=False, sure=True)
        forgetting = {"reason": "identity shown", "forget": True}
        await story.make("pin_unlock", f"{address}/pin/unlock", forgetting, once=False, sure=True)
    await story.stays(f"{address}/pin", is_set=False, is_locked=False)
    await story.refused("purchase_with_pin", "/v1/purchases", {**story.spend(card, 900), "pin": new}, "pin_not_set")
    await story.holds(card, story.held[card])


async def claim_a_gift_at_once(story: Member) -> None:
    """Of two who claim a gift at once one gets it, with all that was on the card."""
    card = await story.card(3_000, customer=await story.customer())
    body = {"expires_in_s": 86_400, "message": "生日快乐"}
    offered = await story.make("gift", f"/v1/cards/{card}/gifts", body, once=False, sure=True)
    claims = [
        ("gift_claim", "/v1/gifts/claim", {"token": offered["token"], "customer_id": await story.customer(),
         "new_number": story.chance.random() < 0.5})
        for _ in range(3)
    ]  # fmt: skip
    told = await at_once(story, *claims, once=False)
    only(told, 1, "gift_not_open")
    ((claim, claimed),) = [
        (asked, one.body) for (_, _, asked), one in zip(claims, told, strict=True) if one.code is None
    ]
    mine = claimed["card"]["id"]
    expect("whose the card is", claimed["card"]["customer_id"], claim["customer_id"])
    if claim["new_number"]:
        await story.until(
            f"/v1/cards/{mine}/accounts",
            lambda found: sum(pocket["available_fen"] for pocket in found["data"]) == 3_000,
        )
        await story.holds(card, 0)
    else:
        expect("the card of a gift", mine, card)
    again = await story.make("gift_claim", "/v1/gifts/claim", claim, once=False)
    expect("what who asks again gets", again["card"]["id"], mine)
    story.held[mine] = 3_000
    await story.pay(mine, 100)
    await story.holds(mine, 2_900)
    await story.stays(f"/v1/cards/{mine}", customer_id=claim["customer_id"], status="active")
    gift = offered["gift"]["id"]
    await story.refused("gift_cancel", f"/v1/gifts/{gift}/cancel", {}, "gift_not_open", once=False)


async def extend_a_card(story: Member) -> None:
    """What is on a card may end later; of who extends it to the same day at once one does."""
    card = await story.card(4_000)
    await story.pay(card, 1_500)
    address = f"/v1/cards/{card}"
    until = story.office.clock.now().date() + timedelta(days=story.chance.randint(1_300, 2_000))
    told = await at_once(story, *[("extend", f"{address}/extend", {"expires_on": until})] * 3)
    only(told, 1, "nothing_to_extend")
    (done,) = (one.body for one in told if one.code is None)
    expect(f"the extension of {card}", (done["lot_count"], done["returned_fen"]), (1, 0))
    lots = (await story.office.read(story.line, f"{address}/lots"))["data"]
    expect(f"the lots of {card}", [(lot["expires_at"], lot["available_fen"]) for lot in lots],
           [(done["expires_at"], 2_500)])  # fmt: skip
    earlier = until - timedelta(days=5)
    await story.refused("extend", f"{address}/extend", {"expires_on": earlier}, "nothing_to_extend")
    await story.stays(f"{address}/lots", data=lots)
    await story.holds(card, 2_500)
