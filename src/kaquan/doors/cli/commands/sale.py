"""``kaquan sale``: sell cards at the command line, and write the register of purchasers out."""

import csv
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from kaquan.doors.cli.asking import TOKEN_VARIABLE, Desk, at_the_desk, read_document
from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, note, print_json, results
from kaquan.imports import tame
from kaquan.policy import Buyer, Channel
from kaquan.sales import BuyerListAction, PayMethod, SaleKind, SaleStatus

sale_app = typer.Typer(
    help=f"Sales of cards, top-ups and their register; your key is read from {TOKEN_VARIABLE}. 售卡与充值",
    no_args_is_help=True,
)

SaleId = Annotated[str, typer.Argument(metavar="ID", help="sale_… as list shows it.")]
Key = Annotated[str | None, typer.Option(help="The Idempotency-Key; by default one is made.")]
Body = Annotated[str | None, typer.Option(help="A file with all of it as the API takes it; - reads standard input.")]
Why = Annotated[str, typer.Option(help="Why; the trail keeps it.")]
ApprovalId = Annotated[str | None, typer.Option(help="appr_… that allows it, where one is needed.")]

PROBLEMS_PRINTED = 20

REGISTER = (
    "id", "status", "created_at", "buyer", "channel", "customer_id", "agent_id", "real_name_rule", "alerts",
    "contract_version", "reference", "currency", "card_count", "face_fen", "price_fen", "paid_fen", "payments",
    "paid_at", "delivered_at", "ended_at", "end_reason", "keep_until",
)  # fmt: skip
PURCHASER = ("buyer_name", "buyer_document", "buyer_phone", "agent_name", "agent_document", "agent_phone", "accounts")


@sale_app.command()
def create(
    programme: Annotated[str | None, typer.Option(help="prog_… of the cards.")] = None,
    face_fen: Annotated[int | None, typer.Option(help="What is to be on each card.")] = None,
    price_fen: Annotated[int | None, typer.Option(help="What is paid for each; the rest of the face is given.")] = None,
    card: Annotated[list[str] | None, typer.Option(help="card_… to be sold; once for each.")] = None,
    batch: Annotated[str | None, typer.Option(help="bat_… to take cards from.")] = None,
    count: Annotated[int | None, typer.Option(help="How many, if none are named.")] = None,
    customer: Annotated[str | None, typer.Option(help="cus_… who buys.")] = None,
    agent: Annotated[str | None, typer.Option(help="cus_… who buys for them.")] = None,
    buyer: Annotated[Buyer, typer.Option(help="What the buyer is.")] = Buyer.PERSON,
    channel: Annotated[Channel, typer.Option(help="Where.")] = Channel.COUNTER,
    contract: Annotated[str | None, typer.Option(help="The version of the contract that was accepted.")] = None,
    reference: Annotated[str | None, typer.Option(help="Your name for it.")] = None,
    body: Body = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make a sale of one line, or of what --body says: its cards are set aside. 开售卡单"""
    asked = _given(
        body,
        lambda: {
            **_terms(buyer, channel, customer, agent, contract, reference),
            "lines": [
                _known(
                    {
                        "programme_id": _needed(programme, "--programme"),
                        "face_fen": _needed(face_fen, "--face-fen"),
                        "price_fen": face_fen if price_fen is None else price_fen,
                        "card_ids": card or None,
                        "batch_id": batch,
                        "card_count": count if count is not None or card else 1,
                    }
                )
            ],
        },
    )
    _post("/v1/sales", asked, key, as_json=as_json)


@sale_app.command()
def pay(
    sale_id: SaleId,
    amount_fen: Annotated[int | None, typer.Option(help="What was received.")] = None,
    method: Annotated[PayMethod | None, typer.Option(help="With what.")] = None,
    reference: Annotated[str | None, typer.Option(help="Of the receipt or the bank.")] = None,
    body: Body = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Record money that was received; a bank transfer names its accounts in --body. 登记收款"""
    asked = _given(
        body,
        lambda: _known(
            {
                "amount_fen": _needed(amount_fen, "--amount-fen"),
                "method": _needed(method, "--method"),
                "reference": reference,
            }
        ),
    )
    _post(f"/v1/sales/{sale_id}/payments", asked, key, as_json=as_json)


@sale_app.command()
def deliver(sale_id: SaleId, key: Key = None, as_json: AsJson = False) -> None:
    """Activate and load the cards of a paid sale now, also those that could not be before. 交付"""
    _post(f"/v1/sales/{sale_id}/deliver", {"retry": True}, key, as_json=as_json)


@sale_app.command()
def cancel(sale_id: SaleId, reason: Why, key: Key = None, as_json: AsJson = False) -> None:
    """Give up a sale that is not paid; its cards may be sold again. 取消"""
    _post(f"/v1/sales/{sale_id}/cancel", {"reason": reason}, key, as_json=as_json)


@sale_app.command()
def refund(sale_id: SaleId, reason: Why, approval: ApprovalId = None, key: Key = None, as_json: AsJson = False) -> None:
    """Take a paid sale back whole: its cards are closed and empty. 退售"""
    _post(f"/v1/sales/{sale_id}/refund", _known({"reason": reason, "approval_id": approval}), key, as_json=as_json)


@sale_app.command("top-up")
def top_up(
    card: Annotated[str | None, typer.Option(help="card_… to be loaded.")] = None,
    face_fen: Annotated[int | None, typer.Option(help="What comes onto it.")] = None,
    amount_fen: Annotated[int | None, typer.Option(help="What was paid; the rest of the face is given.")] = None,
    method: Annotated[PayMethod | None, typer.Option(help="With what.")] = None,
    customer: Annotated[str | None, typer.Option(help="cus_… who buys.")] = None,
    agent: Annotated[str | None, typer.Option(help="cus_… who buys for them.")] = None,
    buyer: Annotated[Buyer, typer.Option(help="What the buyer is.")] = Buyer.PERSON,
    channel: Annotated[Channel, typer.Option(help="Where.")] = Channel.COUNTER,
    contract: Annotated[str | None, typer.Option(help="The version of the contract that was accepted.")] = None,
    reference: Annotated[str | None, typer.Option(help="Your name for it.")] = None,
    body: Body = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Load a card that somebody has against a payment. 充值"""
    asked = _given(
        body,
        lambda: {
            **_terms(buyer, channel, customer, agent, contract, reference),
            "card_id": _needed(card, "--card"),
            "face_fen": _needed(face_fen, "--face-fen"),
            "payment": {
                "amount_fen": face_fen if amount_fen is None else amount_fen,
                "method": _needed(method, "--method"),
            },
        },
    )
    _post("/v1/top-ups", asked, key, as_json=as_json)


@sale_app.command()
def show(sale_id: SaleId, as_json: AsJson = False) -> None:
    """A sale with its payments and the state of its cards. 查看"""
    _tell(at_the_desk(lambda desk: desk.ask("GET", f"/v1/sales/{sale_id}")), as_json=as_json)


@sale_app.command("list")
def show_list(
    status: Annotated[SaleStatus | None, typer.Option(help="Only those that are so now.")] = None,
    customer: Annotated[str | None, typer.Option(help="Only of this buyer.")] = None,
    card: Annotated[str | None, typer.Option(help="Only with this card.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Sales, the newest first. 售卡单列表"""
    page = at_the_desk(
        lambda desk: desk.ask("GET", "/v1/sales", status=status, customer_id=customer, card_id=card, limit=limit)
    )
    if as_json:
        print_json(page["data"])
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("id", "status", "cards", "face", "price", "paid", "created"):
        table.add_column(column, no_wrap=column == "id")
    for one in page["data"]:
        amounts = [f"{one[name]:,}" for name in ("card_count", "face_fen", "price_fen", "paid_fen")]
        table.add_row(one["id"], one["status"], *amounts, one["created_at"][:16])
    results.print(table)


@sale_app.command()
def register(
    out: Annotated[Path, typer.Option(help="The CSV file to be written.")],
    kind: Annotated[SaleKind, typer.Option(help="Sales or top-ups.")] = SaleKind.SALE,
    since: Annotated[
        str | None, typer.Option(help="Only what was made after this time, such as 2026-01-01T00:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only what was made before this time.")] = None,
    reveal: Annotated[
        str | None, typer.Option(help="Why names, documents and accounts are wanted too; each leaves a trace.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the register of purchasers into a file. 导出购卡人登记簿"""
    path = "/v1/sales" if kind is SaleKind.SALE else "/v1/top-ups"

    async def read(desk: Desk) -> list[list[str]]:
        lines = []
        async for one in desk.pages(path, created_after=since, created_before=until):
            told = await desk.ask("GET", f"{path}/{one['id']}")
            told["payments"] = "; ".join(f"{paid['method']} {paid['amount_fen']}" for paid in told["payments"])
            line = [_cell(told[name]) for name in REGISTER]
            if reveal is not None:
                line += await _purchaser(desk, f"{path}/{one['id']}/purchaser", reveal)
            lines.append(line)
        return lines

    lines = at_the_desk(read)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([*REGISTER, *(PURCHASER if reveal is not None else ())])
    writer.writerows([tame(cell) for cell in line] for line in lines)
    out.touch(mode=0o600, exist_ok=True)  # it may say who bought
    out.write_bytes(stream.getvalue().encode("utf-8-sig"))
    if as_json:
        print_json({"file": str(out), "purchases": len(lines)})
    else:
        print(f"{out}: {len(lines)}")


@sale_app.command("upload-list")
def upload_list(
    file: Annotated[Path, typer.Argument(help="CSV or .xlsx with the columns name and document.")],
    name: Annotated[str, typer.Option(help="What the list is called; it takes the place of the one before.")],
    source: Annotated[str, typer.Option(help="Where it comes from.")],
    listed_on: Annotated[str, typer.Option(help="Its day, such as 2026-01-31.")],
    action: Annotated[BuyerListAction, typer.Option(help="What becomes of a purchase.")] = BuyerListAction.REFUSE,
    as_json: AsJson = False,
) -> None:
    """Check a list of people whom nothing is sold to, and keep it; two put it into force. 上传名单"""
    content = file.read_bytes()
    told = at_the_desk(
        lambda desk: desk.ask(
            "POST", "/v1/buyer-lists", content, name=name, source=source, listed_on=listed_on, action=action
        )
    )
    for problem in told.get("problems", ())[:PROBLEMS_PRINTED]:
        note(f"{file}:{problem['line']}: {problem['column']} {problem['en']} / {problem['zh']}")
    if told["buyer_list"] is None:
        raise CommandError(f"{told['bad_line_count']} lines are bad; nothing is kept. / 存在错误行，未保存。", told)
    if as_json:
        print_json(told)
    else:
        print(f"{told['buyer_list']['id']} · {told['line_count']}")


async def _purchaser(desk: Desk, path: str, reason: str) -> list[str]:
    """Who bought, in clear; empty where nobody had to say, or it was erased."""
    try:
        told = await desk.ask("POST", path, {"reason": reason})
    except CommandError as error:
        if error.document is None or error.document["code"] != "not_found":
            raise
        return [""] * len(PURCHASER)
    cells = []
    for who in (told["buyer"], told["agent"]):
        document = (who or {}).get("document")
        cells += [
            (who or {}).get("name") or "",
            "" if document is None else f"{document['kind']} {document['number']}",
            (who or {}).get("phone") or "",
        ]
    sides = [side for account in told["accounts"] for side in (account["payer"], account["payee"]) if side]
    cells.append("; ".join(f"{side['account_name']} {side['account_number']} {side['bank_name']}" for side in sides))
    return cells


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return " ".join(value) if isinstance(value, list) else str(value)


def _terms(
    buyer: Buyer, channel: Channel, customer: str | None, agent: str | None, contract: str | None, reference: str | None
) -> dict[str, Any]:
    return _known(
        {
            "buyer": buyer,
            "channel": channel,
            "customer_id": customer,
            "agent_id": agent,
            "contract_version": contract,
            "reference": reference,
        }
    )


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _needed(value: Any, option: str) -> Any:
    if value is None:
        raise CommandError(f"{option}: is needed, or --body. / 必填，或使用 --body。")
    return value


def _given(body: str | None, options: Callable[[], dict[str, Any]]) -> Any:
    return options() if body is None else read_document(body)


def _post(path: str, body: Any, key: str | None, *, as_json: bool) -> None:
    def ask(desk: Desk) -> Awaitable[Any]:
        return desk.ask("POST", path, body, key=key)

    _tell(at_the_desk(ask), as_json=as_json)


def _tell(sale: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(sale)
        return
    paid, price = f"{sale['paid_fen']:,}", f"{sale['price_fen']:,}"
    print(f"{sale['id']} · {sale['status']} · {sale['card_count']} cards · {paid} / {price} fen")
    for alert in sale["alerts"]:
        note(f"advisory rule / 提示性规则: {alert}")
