"""``kaquan witness``: a witness of logs, for whoever watches an installation from outside; needs no database."""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, print_json, results
from kaquan.doors.http.serve import check_port
from kaquan.doors.logs import configure_logs
from kaquan.evidence import Algorithm, NoteError, Witness, create_witness, read_key
from kaquan.kit.clock import SystemClock
from kaquan.vault import LogSigner, new_key

witness_app = typer.Typer(help="A witness that cosigns logs it watches. 日志见证人", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="The witness's file: its key, and what it has seen.", dir_okay=False)]


class LogView(msgspec.Struct, frozen=True):
    origin: str
    size: int
    keys: list[str]


class WitnessFileView(msgspec.Struct, frozen=True):
    """A witness: its public key, and the logs that it follows with the size that it cosigned last."""

    key: str
    logs: list[LogView]


@witness_app.command()
def init(
    file: File,
    name: Annotated[str, typer.Option(help="What the witness is called, such as witness.example/w1.")],
    as_json: AsJson = False,
) -> None:
    """Make a witness with a new key. Its file must never be put back to an older copy. 新建见证人"""
    create_witness(file, name, new_key())
    _show(file, as_json=as_json)


@witness_app.command()
def follow(
    file: File,
    key: Annotated[str, typer.Argument(help="Public key of a log, name+id+key.")],
    as_json: AsJson = False,
) -> None:
    """Follow a log, or take another key of one that is followed; not while it is served. 关注日志"""
    try:
        log = read_key(key)
    except NoteError as error:
        raise CommandError(f"This is no key of a log: {error}. / 公钥无效。") from None
    if log.algorithm is not Algorithm.ED25519:
        raise CommandError("A witness follows logs that sign with Ed25519. / 仅支持 Ed25519 日志。")
    witness = _open(file)
    try:
        witness.follow(log)
    finally:
        witness.close()
    _show(file, as_json=as_json)


@witness_app.command()
def show(file: File, as_json: AsJson = False) -> None:
    """The public key, and what was seen of each log; not while it is served. 查看"""
    _show(file, as_json=as_json)


@witness_app.command()
def serve(
    file: File,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8421,
    as_json: AsJson = False,
) -> None:
    """Answer POST /add-checkpoint until Ctrl-C or SIGTERM. 启动见证服务"""
    from kaquan.doors.http.witness import serve_witness  # it brings the server along

    check_port(host, port)
    configure_logs(as_json=True)
    witness = _open(file)

    def started() -> None:
        if as_json:
            print_json({"address": f"http://{host}:{port}", "key": witness.key.text})
        else:
            print(f"{witness.key.text} on http://{host}:{port} · stop with Ctrl-C / 见证服务已启动", flush=True)

    try:
        asyncio.run(serve_witness(witness, host=host, port=port, started=started))
    finally:
        witness.close()


def _open(file: Path) -> Witness:
    return Witness(file, SystemClock(), lambda seed: LogSigner("witness", seed))


def _show(file: Path, *, as_json: bool) -> None:
    witness = _open(file)
    try:
        logs = [LogView(origin, known.size, known.keys) for origin, known in sorted(witness.logs.items())]
        found = WitnessFileView(witness.key.text, logs)
    finally:
        witness.close()
    if as_json:
        print_json(found)
        return
    results.print(found.key, markup=False)
    for log in found.logs:
        results.print(f"{log.origin}: {log.size:,} entries 条", markup=False)
