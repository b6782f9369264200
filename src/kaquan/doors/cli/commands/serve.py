"""``kaquan serve``: the HTTP server with its jobs, in the foreground."""

from typing import Annotated

import msgspec
import typer

from kaquan.doors.cli.output import AsJson, note, print_json
from kaquan.doors.cli.prepare import prepare_to_serve, ready_database, settings_of_command
from kaquan.doors.cli.serving import address_of, serving
from kaquan.doors.http.serve import check_port

Host = Annotated[str | None, typer.Option(help="Address to listen on; KAQUAN_HOST.")]
Port = Annotated[int | None, typer.Option(min=1, max=65_535, help="Port to listen on; KAQUAN_PORT.")]
Workers = Annotated[int | None, typer.Option(min=1, max=64, help="Server processes; KAQUAN_WORKERS.")]


def serve(
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Leave the jobs to another installation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Serve the API until Ctrl-C or SIGTERM; what was accepted is answered first. 启动服务"""
    settings = settings_of_command()
    settings = msgspec.structs.replace(
        settings,
        host=host or settings.host,
        port=port or settings.port,
        workers=workers or settings.workers,
    )
    check_port(settings.host, settings.port)
    with ready_database(settings) as conninfo:
        prepare_to_serve(settings, conninfo)
        with serving(settings, conninfo, jobs=not no_worker, until_signal=True) as processes:
            if as_json:
                print_json({"address": address_of(settings), "pids": processes.pids})
            else:
                print(f"kaquan serves on {address_of(settings)} · stop with Ctrl-C / 服务已启动", flush=True)
            processes.watch()
        note("Stopped. / 已停止。")
