"""The command's entry: its groups, and the one place where failures become sentences."""

import sys
from importlib.metadata import version

import msgspec
import typer

from kaquan.doors.bench import bench_app
from kaquan.doors.cli.commands.api import api
from kaquan.doors.cli.commands.approval import approval_app
from kaquan.doors.cli.commands.audit import audit
from kaquan.doors.cli.commands.backup import backup_app
from kaquan.doors.cli.commands.batch import batch_app
from kaquan.doors.cli.commands.campaigns import campaign_app
from kaquan.doors.cli.commands.card import card_app
from kaquan.doors.cli.commands.db import db_app
from kaquan.doors.cli.commands.demo import demo
from kaquan.doors.cli.commands.evidence import evidence_app
from kaquan.doors.cli.commands.imports import import_app
from kaquan.doors.cli.commands.key import key_app
from kaquan.doors.cli.commands.log import log_app
from kaquan.doors.cli.commands.operator import operator_app
from kaquan.doors.cli.commands.points import points_app
from kaquan.doors.cli.commands.policy import policy_app
from kaquan.doors.cli.commands.production import production_app
from kaquan.doors.cli.commands.programme import programme_app
from kaquan.doors.cli.commands.receipt import receipt_app
from kaquan.doors.cli.commands.replay import replay
from kaquan.doors.cli.commands.sale import sale_app
from kaquan.doors.cli.commands.serve import serve
from kaquan.doors.cli.commands.vault import vault_app
from kaquan.doors.cli.commands.vouchers import vouchers_app
from kaquan.doors.cli.commands.witness import witness_app
from kaquan.doors.cli.failures import CommandError, sentence_of
from kaquan.doors.cli.output import AsJson, complain, print_json
from kaquan.doors.logs import configure_logs
from kaquan.doors.simulate import simulate_business
from kaquan.migrations import newest_revision

app = typer.Typer(
    help="kaquan 卡券: prepaid cards and vouchers. 预付卡与卡券平台",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(demo)
app.command()(audit)
app.command()(api)
app.command("simulate")(simulate_business)
app.command()(replay)
app.add_typer(card_app, name="card")
app.add_typer(sale_app, name="sale")
db_app.add_typer(backup_app)
app.add_typer(db_app, name="db")
app.add_typer(key_app, name="key")
app.add_typer(vault_app, name="vault")
app.add_typer(programme_app, name="programme")
app.add_typer(batch_app, name="batch")
app.add_typer(production_app, name="production")
app.add_typer(import_app, name="import")
app.add_typer(operator_app, name="operator")
app.add_typer(approval_app, name="approval")
app.add_typer(policy_app, name="policy")
app.add_typer(campaign_app, name="campaigns")
app.add_typer(vouchers_app, name="vouchers")
app.add_typer(points_app, name="points")
app.add_typer(log_app, name="log")
app.add_typer(evidence_app, name="evidence")
app.add_typer(receipt_app, name="receipt")
app.add_typer(witness_app, name="witness")
app.add_typer(bench_app, name="bench")


@app.command("version")
def show_version(as_json: AsJson = False) -> None:
    """The release, and the schema that it needs. 版本"""
    release = version("kaquan")
    if as_json:
        print_json({"version": release, "schema": newest_revision()})
    else:
        print(f"kaquan {release}")


def main() -> None:
    """Run the command line; ends the process with 0 only when the command did what it says.

    With ``--json`` a refusal is told as the problem document that a client of the API would get.
    """
    configure_logs(as_json=False)
    try:
        app()
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        if isinstance(error, CommandError) and error.document is not None and "--json" in sys.argv:
            sentence = msgspec.json.encode(error.document).decode()
        complain(sentence)
        sys.exit(1)
