"""The commands of ``kaquan bench``."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kaquan.doors.bench import store
from kaquan.doors.bench.cards import measure_cards
from kaquan.doors.bench.engine import best_update, measure_engine
from kaquan.doors.bench.evidence import measure_log, measure_purchases
from kaquan.doors.bench.figures import Figure, Goal, Results, print_results, write_results
from kaquan.doors.bench.growth import measure_growth
from kaquan.doors.bench.http import measure_http
from kaquan.doors.bench.ledger import SHAPES, measure_ledger, open_pockets
from kaquan.doors.bench.machine import describe_machine
from kaquan.doors.bench.offers import measure_offers
from kaquan.doors.bench.promotions import measure_promotions
from kaquan.doors.bench.receipts import measure_receipts
from kaquan.doors.bench.stand import BenchError, Stand, empty_database, running_server
from kaquan.doors.bench.vouchers import measure_vouchers
from kaquan.doors.load import AnswerError, LoadError
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import open_pool
from kaquan.kit.embedded import EmbeddedPostgresError
from kaquan.kit.ids import SystemIds
from kaquan.settings import Settings, SettingsError, read_settings
from kaquan.vault import Keyring

Measured = tuple[list[Figure], list[Goal]]
Measure = Callable[[Stand], Measured]

bench_app = typer.Typer(help="Measure this machine. 性能测试", no_args_is_help=True)

Seconds = Annotated[float, typer.Option(min=1.0, help="How long each figure is measured.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results as JSON and nothing else.")]
ResultsFolder = Annotated[Path, typer.Option("--results", help="Where the results are kept.")]

DEFAULT_SECONDS = 10.0
RESULTS = Path("bench/results")

_notes = Console(stderr=True)


@bench_app.command()
def http(seconds: Seconds = DEFAULT_SECONDS, as_json: AsJson = False, results: ResultsFolder = RESULTS) -> None:
    """Purchases over HTTP: 100,000 cards and 2,800 merchants, one hot merchant, 1,000 cards."""
    settings = _settings()
    _bench("http", [_http(settings, seconds)], settings, as_json=as_json, results=results)


@bench_app.command()
def ledger(seconds: Seconds = DEFAULT_SECONDS, as_json: AsJson = False, results: ResultsFolder = RESULTS) -> None:
    """The ledger alone, beside the engine's one-row update."""
    _bench("ledger", [_ledger(seconds)], _settings(), as_json=as_json, results=results)


@bench_app.command()
def engine(seconds: Seconds = DEFAULT_SECONDS, as_json: AsJson = False, results: ResultsFolder = RESULTS) -> None:
    """The engine's limit: one-row updates, and pgbench's TPC-B."""
    _bench(
        "engine",
        [lambda stand: (measure_engine(stand, seconds=seconds), [])],
        _settings(),
        as_json=as_json,
        results=results,
    )


@bench_app.command()
def growth(seconds: Seconds = DEFAULT_SECONDS, as_json: AsJson = False, results: ResultsFolder = RESULTS) -> None:
    """The ledger after 100,000 transactions and after 5,000,000: takes some minutes."""
    _bench("growth", [_growth(seconds)], _settings(), as_json=as_json, results=results)


@bench_app.command()
def cards(as_json: AsJson = False, results: ResultsFolder = RESULTS) -> None:
    """Issue a million cards."""
    _bench("cards", [_cards], _settings(), as_json=as_json, results=results)


@bench_app.command("vouchers")
def vouchers_command(as_json: AsJson = False, results: ResultsFolder = RESULTS) -> None:
    """Issue a million vouchers with codes."""
    _bench("vouchers", [_vouchers], _settings(), as_json=as_json, results=results)


@bench_app.command()
def evidence(
    seconds: Seconds = DEFAULT_SECONDS,
    sustained: Annotated[
        float, typer.Option(min=1.0, help="How long leaves are made at 8,000/s while the log is watched.")
    ] = 300.0,
    as_json: AsJson = False,
    results: ResultsFolder = RESULTS,
) -> None:
    """Purchases with and without the sequencer, how soon a leaf is signed, and the audit of all."""
    settings = _settings()
    measures = [_with_and_without_log(settings, seconds), _log(sustained)]
    _bench("evidence", measures, settings, as_json=as_json, results=results)


@bench_app.command()
def receipts(seconds: Seconds = DEFAULT_SECONDS, as_json: AsJson = False, results: ResultsFolder = RESULTS) -> None:
    """Receipts, made and verified."""
    _bench("receipts", [_receipts(seconds)], _settings(), as_json=as_json, results=results)


@bench_app.command()
def promotions(as_json: AsJson = False, results: ResultsFolder = RESULTS) -> None:
    """Price baskets with 200 live campaigns, 40 of them on here and now."""
    _bench("promotions", [lambda _: measure_promotions()], _settings(), as_json=as_json, results=results)


@bench_app.command()
def offers(seconds: Seconds = DEFAULT_SECONDS, as_json: AsJson = False, results: ResultsFolder = RESULTS) -> None:
    """Purchases with 200 live campaigns, baskets and vouchers beside those without, and a budget that is used up."""
    settings = _settings()
    _bench("offers", [_offers(settings, seconds)], settings, as_json=as_json, results=results)


@bench_app.command("all")
def everything(seconds: Seconds = DEFAULT_SECONDS, as_json: AsJson = False, results: ResultsFolder = RESULTS) -> None:
    """All but growth and evidence, one after the other on one server."""
    settings = _settings()
    _bench(
        "all",
        [_ledger(seconds), _http(settings, seconds), _cards],
        settings,
        as_json=as_json,
        results=results,
    )


def _ledger(seconds: float) -> Measure:
    async def alone(stand: Stand) -> list[Figure]:
        ids, clock = SystemIds(), SystemClock()
        async with open_pool(stand.conninfo) as pool, pool.connection() as connection:
            pockets = await open_pockets(connection, ids=ids, clock=clock)
            return await measure_ledger(connection, pockets, seconds=seconds, ids=ids, clock=clock)

    def measure(stand: Stand) -> Measured:
        limits = measure_engine(stand, seconds=seconds)
        store.settle(stand.conninfo)
        figures = uvloop.run(alone(stand))
        rates = {figure.name: figure.rate_per_s for figure in (*limits, *figures)}
        two, one, single = (rates[f"ledger_{shape}"] for shape in SHAPES)
        update = best_update(limits)
        goals = [
            Goal("ledger, two entries, batches of 256", 40_000, two, "transactions/s"),
            Goal("ledger / one-row UPDATE", 0.6, one / update, "ratio"),
            Goal("ledger, batches of one / one-row UPDATE", None, single / update, "ratio"),
        ]
        if tpc_b := [rate for name, rate in rates.items() if name.startswith("tpc_b")]:
            goals.append(Goal("ledger / pgbench TPC-B", None, one / max(tpc_b), "ratio"))
        return [*limits, *figures], goals

    return measure


def _http(settings: Settings, seconds: float) -> Measure:
    def measure(stand: Stand) -> Measured:
        with _new_keyring(stand) as (keyring, path):
            return uvloop.run(
                measure_http(
                    stand,
                    keyring,
                    path,
                    seconds=seconds,
                    workers=settings.processes,
                    ids=SystemIds(),
                    clock=SystemClock(),
                )
            )

    return measure


def _with_and_without_log(settings: Settings, seconds: float) -> Measure:
    def measure(stand: Stand) -> Measured:
        with _new_keyring(stand) as (keyring, path):
            return uvloop.run(
                measure_purchases(
                    stand,
                    keyring,
                    path,
                    seconds=seconds,
                    workers=settings.processes,
                    ids=SystemIds(),
                    clock=SystemClock(),
                )
            )

    return measure


def _offers(settings: Settings, seconds: float) -> Measure:
    def measure(stand: Stand) -> Measured:
        with _new_keyring(stand) as (keyring, path):
            return uvloop.run(
                measure_offers(
                    stand,
                    keyring,
                    path,
                    seconds=seconds,
                    workers=settings.processes,
                    ids=SystemIds(),
                    clock=SystemClock(),
                )
            )

    return measure


def _log(seconds: float) -> Measure:
    def measure(stand: Stand) -> Measured:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with _new_keyring(stand) as (_, path), Progress(*columns, console=_notes) as bar:
            return uvloop.run(measure_log(stand, path, seconds=seconds, ids=SystemIds(), clock=SystemClock(), bar=bar))

    return measure


def _cards(stand: Stand) -> Measured:
    with _new_keyring(stand) as (keyring, _):
        return uvloop.run(measure_cards(stand, keyring, ids=SystemIds(), clock=SystemClock()))


def _vouchers(stand: Stand) -> Measured:
    with _new_keyring(stand) as (keyring, _):
        return uvloop.run(measure_vouchers(stand, keyring, ids=SystemIds(), clock=SystemClock()))


def _growth(seconds: float) -> Measure:
    def measure(stand: Stand) -> Measured:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=_notes) as bar:
            return measure_growth(stand, seconds=seconds, ids=SystemIds(), clock=SystemClock(), bar=bar)

    return measure


def _receipts(seconds: float) -> Measure:
    async def alone(stand: Stand, keyring: Keyring) -> list[Figure]:
        async with open_pool(stand.conninfo) as pool:
            return await measure_receipts(pool, keyring, seconds=seconds, ids=SystemIds(), clock=SystemClock())

    def measure(stand: Stand) -> Measured:
        with _new_keyring(stand) as (keyring, _):
            figures = uvloop.run(alone(stand, keyring))
        goals = [
            Goal(f"{figure.name}, p50", 5.0, figure.latency.p50_ms, "ms", at_most=True)
            for figure in figures
            if figure.latency is not None
        ]
        return figures, goals

    return measure


@contextmanager
def _new_keyring(stand: Stand) -> Iterator[tuple[Keyring, Path]]:
    with tempfile.TemporaryDirectory(dir=stand.folder) as folder:
        path = Path(folder) / "keyring.json"
        yield Keyring.create(path), path


def _settings() -> Settings:
    try:
        return read_settings()
    except SettingsError as error:
        raise _failed(error) from error


def _bench(name: str, measures: list[Measure], settings: Settings, *, as_json: bool, results: Path) -> None:
    """Run each measure in a database of its own, keep what came out, and print it."""
    figures: list[Figure] = []
    goals: list[Goal] = []
    try:
        with running_server(settings) as server:
            machine = describe_machine(
                measured_at=SystemClock().now(),
                postgresql=store.describe_server(server.conninfo),
                folder=server.folder,
            )
            for number, measure in enumerate(measures, start=1):
                _notes.print(f"[dim]{name}: {number} of {len(measures)} …[/]")
                with empty_database(server) as stand:
                    more_figures, more_goals = measure(stand)
                figures += more_figures
                goals += more_goals
    except (BenchError, store.BenchDatabaseError, EmbeddedPostgresError, LoadError, AnswerError) as error:
        raise _failed(error) from error
    kept = Results(name, machine, figures, goals)
    path = write_results(kept, results)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(kept) + b"\n")
        return
    console = Console()
    print_results(console, kept)
    console.print(f"[dim]{path}[/]")


def _failed(error: Exception) -> typer.Exit:
    _notes.print(str(error), style="red", markup=False)
    return typer.Exit(1)
