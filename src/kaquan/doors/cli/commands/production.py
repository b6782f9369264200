"""``kaquan production``: at the card printer's."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import AsJson, print_json
from kaquan.vault import EnvelopeError, read_envelope, read_envelope_header

production_app = typer.Typer(help="Production files, at the card printer's. 制卡文件", no_args_is_help=True)


@production_app.callback()
def _group() -> None:
    """Production files, at the card printer's. 制卡文件"""


@production_app.command("open")
def open_file(
    file: Annotated[Path, typer.Argument(help="A production file.")],
    out: Annotated[Path, typer.Argument(help="A new file for its content, in clear.")],
    key: Annotated[Path, typer.Option("--key", help="The private key (PEM).")],
    as_json: AsJson = False,
) -> None:
    """Open a production file with the printer's private key; needs no database. 解密

    The passphrase of the key, if it has one, is read from KAQUAN_PRODUCTION_PASSPHRASE.
    """
    if out.exists():
        raise CommandError(f"{out} is there already and is not overwritten. / 文件已存在。")
    draft = out.with_name(f"{out.name}.{secrets.token_hex(4)}.part")
    size_bytes = 0
    try:
        with file.open("rb") as sealed:
            notes = read_envelope_header(sealed)
            sealed.seek(0)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                for chunk in read_envelope(sealed, key.read_bytes(), os.environ.get("KAQUAN_PRODUCTION_PASSPHRASE")):
                    stream.write(chunk)
                    size_bytes += len(chunk)
                os.fsync(stream.fileno())
        os.link(draft, out)
    except EnvelopeError as error:
        raise CommandError(f"{file} does not open: {error}. / 无法解密。") from None
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    if as_json:
        print_json({"file": str(out.resolve()), "bytes": size_bytes, **notes})
    else:
        print(f"{out} · {size_bytes:,} bytes · {notes.get('card_count')} cards / 已解密")
