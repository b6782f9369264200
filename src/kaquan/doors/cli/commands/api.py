"""``kaquan api``: any address of the API at the command line, for what has no command of its own."""

from enum import StrEnum
from typing import Annotated

import typer

from kaquan.doors.cli.asking import Desk, at_the_desk, read_document
from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import print_json


class Method(StrEnum):
    """What to do at an address."""

    GET = "get"
    POST = "post"
    PUT = "put"
    PATCH = "patch"
    DELETE = "delete"


def api(
    method: Annotated[Method, typer.Argument(help="As docs/reference/api.md has it.")],
    path: Annotated[str, typer.Argument(help="Such as /v1/cards/card_…/register, with its query if it has one.")],
    body: Annotated[str | None, typer.Option(help="A file with the JSON body; - reads standard input.")] = None,
    key: Annotated[str | None, typer.Option(help="The Idempotency-Key; by default one is made.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A refusal too is one JSON document.")] = False,
) -> None:
    """Ask any address of the API, with what your key may do. 调用任意接口

    Your key is read from KAQUAN_OPERATOR_TOKEN. The answer is printed as it is: JSON.
    """
    if not path.startswith("/v1/"):
        raise CommandError(f"{path}: must begin with /v1/. / 应以 /v1/ 开头。")
    document = None if body is None else read_document(body)

    async def ask(desk: Desk) -> object:
        return await desk.ask(method.value.upper(), path, document, key=key)

    print_json(at_the_desk(ask))
