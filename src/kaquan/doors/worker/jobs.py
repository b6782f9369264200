"""The jobs by name, with their times. All times are UTC."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from procrastinate import App as Jobs
from procrastinate import PsycopgConnector
from procrastinate.exceptions import UniqueViolation
from procrastinate.jobs import Status

from kaquan.app import App
from kaquan.audit import find_audits, follow_log, run_audits
from kaquan.audit.types import Finding
from kaquan.cards import (
    SYSTEM,
    Hand,
    Press,
    expire_gifts,
    finish_transfers,
    put_losses_into_effect,
    run_batch,
    unfinished_batches,
)
from kaquan.closing import (
    LOOK_BACK,
    charge_dormancy_fees,
    expire_lots,
    find_dormant,
    remind_of_ends,
    return_swept,
)
from kaquan.closing.ending import refund_ended, tell_of_ends
from kaquan.doors.worker.metrics import AUDIT_FINDINGS, AUDITED_AT, JOB_RESULTS
from kaquan.guesses import forget_guesses
from kaquan.imports import run_import, unfinished_imports
from kaquan.kit.db import app_conninfo
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import forget_answers, take_checkpoints
from kaquan.notices.courier import send_due
from kaquan.parties.customers import erase_retained
from kaquan.parties.staff import expire_approvals
from kaquan.payments import price_seen
from kaquan.payments.erase import erase_openings
from kaquan.payments.expire import expire_overdue
from kaquan.payments.instalments import give_instalments
from kaquan.payments.redeem import sweep
from kaquan.payments.reserve import settle_left
from kaquan.points import expire_points, follow_replacements, mature_points, remind_of_points, renew_tiers
from kaquan.sales import deliver_sales, erase_purchasers, expire_sales
from kaquan.vouchers import Mint, expire_vouchers
from kaquan.vouchers import run_batch as run_voucher_batch
from kaquan.vouchers import unfinished_batches as unfinished_voucher_batches

SCHEMA = "jobs"
"""The queue's tables lie in a PostgreSQL schema of their own; see migration 0006."""

EVERY_5_SECONDS = "* * * * * */5"
EVERY_15_SECONDS = "* * * * * */15"
EVERY_MINUTE = "* * * * *"
EVERY_10_MINUTES = "*/10 * * * *"
EVERY_HOUR = "7 * * * *"
EVERY_NIGHT = "20 19 * * *"
"""03:20 in China."""

_log = structlog.get_logger("kaquan.worker")


def connector(conninfo: str) -> PsycopgConnector:
    """The queue's own sessions: two for jobs and one that listens."""
    return PsycopgConnector(conninfo=app_conninfo(conninfo, schema=SCHEMA), min_size=1, max_size=2)


def _tell(audit: str, findings: Sequence[Finding]) -> None:
    for finding in findings:
        _log.error(
            "an audit does not hold",
            audit=audit,
            what=finding.what,
            expected=finding.expected,
            actual=finding.actual,
            **finding.ids,
        )


def jobs_of(app: App, connection: PsycopgConnector) -> Jobs:
    """Every job, doing its work with ``app``."""
    jobs = Jobs(connector=connection)

    def periodic(cron: str) -> Callable[[Callable[[], Awaitable[int]]], None]:
        """Do a job at these times: at most one of its kind runs and one waits, on all workers together."""

        def register(work: Callable[[], Awaitable[int]]) -> None:
            name = work.__name__

            async def job(timestamp: int) -> None:
                if done := await work():
                    JOB_RESULTS.labels(name).inc(done)
                    _log.info("job done", job=name, result=done)

            jobs.periodic(cron=cron)(jobs.task(name=name, lock=name, queueing_lock=name)(job))

        return register

    @periodic(EVERY_15_SECONDS)
    async def expire_authorizations() -> int:
        return await expire_overdue(app.desk, app.pool, app.slots, app.clock.now())

    @periodic(EVERY_5_SECONDS)
    async def issue_batches() -> int:
        press = Press(app.keyring, app.slots, app.ids)
        issued = 0
        for book_id, batch_id in await unfinished_batches(app.pool, now=app.clock.now()):
            batch = await run_batch(app.pool, press, app.clock, book_id=book_id, batch_id=batch_id)
            if isinstance(batch, Refusal):
                _log.error("batch stopped", batch=show_id(Prefix.BATCH, batch_id), reason=batch.message())
            else:
                issued += batch.card_count
        return issued

    @periodic(EVERY_5_SECONDS)
    async def send_notices() -> int:
        settings = app.settings
        return await send_due(app.pool, app.slots, app.clock, app.keyring, allow_private=settings.webhook_private)

    # days end at midnight somewhere every hour, and in some zones between the hours
    @periodic(EVERY_10_MINUTES)
    async def expire_ended_lots() -> int:
        return await expire_lots(app.pool, app.clock, app.ids, app.slots, since=app.clock.now() - LOOK_BACK)

    @periodic(EVERY_MINUTE)
    async def return_swept_value() -> int:
        return await return_swept(app.pool, app.clock, app.ids, app.slots)

    @periodic(EVERY_NIGHT)
    async def expire_all_ended_lots() -> int:
        return await expire_lots(app.pool, app.clock, app.ids, app.slots)

    @periodic(EVERY_10_MINUTES)
    async def remind_holders() -> int:
        return await remind_of_ends(app.pool, app.clock, app.ids, app.slots)

    @periodic(EVERY_NIGHT)
    async def find_dormant_cards() -> int:
        return await find_dormant(app.pool, app.clock, app.ids, app.slots)

    @periodic(EVERY_10_MINUTES)
    async def tell_of_programme_ends() -> int:
        return await tell_of_ends(app.pool, app.clock, app.ids, app.slots)

    @periodic(EVERY_10_MINUTES)
    async def refund_ended_programmes() -> int:
        return await refund_ended(app.pool, app.clock, app.ids, app.keyring, app.refund_rules, slots=app.slots)

    @periodic(EVERY_NIGHT)
    async def charge_unused_cards() -> int:
        await app.policy.refresh()
        return await charge_dormancy_fees(app.pool, app.clock, app.ids, app.policy, app.slots)

    @periodic(EVERY_5_SECONDS)
    async def run_imports() -> int:
        press = Press(app.keyring, app.slots, app.ids)
        done = 0
        for book_id, import_id in await unfinished_imports(app.pool):
            result = await run_import(app.pool, press, app.clock, book_id=book_id, import_id=import_id)
            done += 0 if isinstance(result, Refusal) else result.line_count
        return done

    @periodic(EVERY_5_SECONDS)
    async def deliver_paid_sales() -> int:
        hand = Hand(app.clock, app.ids, SYSTEM)
        return await deliver_sales(app.pool, app.desk, hand, slots=app.slots)

    @periodic(EVERY_MINUTE)
    async def expire_unpaid_sales() -> int:
        return await expire_sales(app.pool, Hand(app.clock, app.ids, SYSTEM), slots=app.slots)

    @periodic(EVERY_5_SECONDS)
    async def put_losses_in_effect() -> int:
        return await put_losses_into_effect(app.pool, app.clock, app.ids, slots=app.slots)

    @periodic(EVERY_15_SECONDS)
    async def finish_card_transfers() -> int:
        return await finish_transfers(app.pool, app.clock, app.ids, slots=app.slots)

    @periodic(EVERY_15_SECONDS)
    async def settle_limit_reservations() -> int:
        return await settle_left(app.pool, app.clock, slots=app.slots)

    @periodic(EVERY_15_SECONDS)
    async def settle_voucher_locks() -> int:
        return await sweep(app.pool, app.clock, app.ids, slots=app.slots)

    @periodic(EVERY_5_SECONDS)
    async def price_seen_payments() -> int:
        return await price_seen(app.pool, slots=app.slots)

    @periodic(EVERY_MINUTE)
    async def give_promised_bonuses() -> int:
        return await give_instalments(app.pool, app.clock, app.ids, app.programmes.get, slots=app.slots)

    @periodic(EVERY_MINUTE)
    async def end_gifts() -> int:
        return await expire_gifts(app.pool, app.clock, app.ids, slots=app.slots)

    @periodic(EVERY_5_SECONDS)
    async def issue_vouchers() -> int:
        mint = Mint(app.keyring, app.slots, app.ids)
        issued = 0
        for book_id, batch_id in await unfinished_voucher_batches(app.pool):
            batch = await run_voucher_batch(app.pool, mint, app.clock, book_id=book_id, batch_id=batch_id)
            if isinstance(batch, Refusal):
                _log.error("batch stopped", batch=show_id(Prefix.VOUCHER_BATCH, batch_id), reason=batch.message())
            else:
                issued += batch.voucher_count
        return issued

    @periodic(EVERY_MINUTE)
    async def expire_ended_vouchers() -> int:
        return await expire_vouchers(app.pool, app.clock, app.ids, slots=app.slots)

    @periodic(EVERY_10_MINUTES)
    async def mature_earned_points() -> int:
        return await mature_points(app.pool, app.clock, app.ids, slots=app.slots)

    @periodic(EVERY_10_MINUTES)
    async def expire_ended_points() -> int:
        return await expire_points(app.pool, app.clock, app.ids, slots=app.slots)

    @periodic(EVERY_10_MINUTES)
    async def remind_of_ending_points() -> int:
        return await remind_of_points(app.pool, app.clock, app.ids, slots=app.slots)

    @periodic(EVERY_10_MINUTES)
    async def follow_replaced_cards() -> int:
        return await follow_replacements(app.pool, app.clock, app.ids, slots=app.slots)

    @periodic(EVERY_NIGHT)
    async def renew_point_tiers() -> int:
        return await renew_tiers(app.pool, app.clock, app.ids, slots=app.slots)

    @periodic(EVERY_HOUR)
    async def audit() -> int:
        # the log and its leaves are followed as they grow; as a whole they are audited by command
        names = [name for name in find_audits() if name not in ("leaves", "log")]
        report = await run_audits(app.pool, names=names)
        AUDITED_AT.set(report.as_of.timestamp())
        for result in report.audits:
            AUDIT_FINDINGS.labels(result.name).set(result.finding_count)
            _tell(result.name, result.findings)
        return sum(result.finding_count for result in report.audits)

    @periodic(EVERY_10_MINUTES)
    async def audit_evidence() -> int:
        found = await follow_log(app.pool, app.clock, app.keyring.log_signers, app.slots)
        AUDIT_FINDINGS.labels("evidence").set(found.finding_count)
        _tell("evidence", found.findings)
        return found.finding_count

    @periodic(EVERY_NIGHT)
    async def forget_old_answers() -> int:
        before = app.clock.now() - timedelta(days=app.settings.idempotency_days)
        return await forget_answers(app.pool, app.slots, before=before)

    @periodic(EVERY_NIGHT)
    async def forget_wrong_answers() -> int:
        return await forget_guesses(app.pool, now=app.clock.now())

    @periodic(EVERY_NIGHT)
    async def keep_checkpoints() -> int:
        return await take_checkpoints(app.pool, app.slots, now=app.clock.now())

    @periodic(EVERY_HOUR)
    async def mark_expired_approvals() -> int:
        return await expire_approvals(app.pool, now=app.clock.now())

    @periodic(EVERY_NIGHT)
    async def erase_retained_data() -> int:
        return await erase_retained(app.pool, app.clock, app.ids)

    @periodic(EVERY_10_MINUTES)
    async def erase_openings_due() -> int:
        return await erase_openings(app.pool, app.clock, slots=app.slots)

    @periodic(EVERY_NIGHT)
    async def erase_register() -> int:
        return await erase_purchasers(app.pool, app.clock, app.ids)

    @jobs.periodic(cron=EVERY_MINUTE)
    @jobs.task(name="revive_jobs", queueing_lock="revive_jobs")
    async def revive_jobs(timestamp: int) -> None:
        # What a killed worker was doing still holds its lock: give it to another worker, unless the next of its kind
        # waits already, which does the same.
        for job in await jobs.job_manager.get_stalled_jobs():
            try:
                await jobs.job_manager.retry_job(job)
            except UniqueViolation:
                await jobs.job_manager.finish_job(job, Status.FAILED, delete_job=True)

    return jobs
