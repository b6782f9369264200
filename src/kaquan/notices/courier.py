"""The courier: sends what is due, and keeps what came of it. The only file of this room that speaks to a network.

At least once: a delivery is claimed for the time of a lease, sent outside any transaction, and settled; if the courier
dies between, it is due again when the lease ends, with the same id, by which receivers know it again.

An endpoint is an address that a tenant chose, inside our network's reach. So the host is resolved here, each time, and
the connection made to the very address that was checked (a name that resolves differently the second time gains
nothing); private, local and reserved addresses are refused unless a setting allows them; redirects are not followed,
no proxy of the environment is used, and of the answer only the status is read.
"""

import asyncio
import socket
import time
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network

import httpx
import structlog

from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Prefix, show_id
from kaquan.notices import store
from kaquan.notices.backoff import next_delay
from kaquan.notices.endpoints import open_secret
from kaquan.notices.kind import Answered, Failure, Letter, Outgoing, Verdict
from kaquan.notices.kinds import find_kinds
from kaquan.notices.store import Addressed
from kaquan.notices.types import Attempt, DeliveryStatus
from kaquan.vault import Keyring

TIMEOUT_S = 15.0
"""For one attempt from the resolving of its host to the status of its answer; Standard Webhooks asks for 15 to 30."""

LEASE = timedelta(seconds=120)
"""How long a claimed delivery is nobody else's: longer than a round of attempts can take."""

EACH = 8
"""Deliveries of one endpoint in one round."""

AT_ONCE = 32
"""Attempts under way at the same time."""

_log = structlog.get_logger("kaquan.notices")


async def send_due(
    pool: Pool,
    slots: Sequence[int],
    clock: Clock,
    keyring: Keyring,
    *,
    allow_private: bool,
    timeout_s: float = TIMEOUT_S,
) -> int:
    """Send everything that is due now, in rounds; how many attempts were made. Safe when several do it."""
    attempts = 0
    limit = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(
        trust_env=False, follow_redirects=False, timeout=timeout_s, limits=httpx.Limits(max_keepalive_connections=0)
    ) as client:

        async def send(one: Addressed) -> None:
            async with limit:
                await _send(pool, clock, keyring, client, one, allow_private=allow_private, timeout_s=timeout_s)

        for slot in slots:
            now = clock.now()
            while due := await store.claim_due(pool, slot=slot, now=now, lease_until=clock.now() + LEASE, each=EACH):
                await asyncio.gather(*(send(one) for one in due))
                attempts += len(due)
    return attempts


async def _send(
    pool: Pool,
    clock: Clock,
    keyring: Keyring,
    client: httpx.AsyncClient,
    one: Addressed,
    *,
    allow_private: bool,
    timeout_s: float,
) -> None:
    claimed, kind, now = one.claimed, find_kinds()[one.claimed.kind], clock.now()
    secrets = [open_secret(keyring, one.secret_sealed, claimed.endpoint_id)]
    if one.old_secret_sealed is not None and one.old_secret_until is not None and one.old_secret_until > now:
        secrets.append(open_secret(keyring, one.old_secret_sealed, claimed.endpoint_id))
    outgoing = kind.build(Letter(claimed.notice_id, one.body, one.address, secrets), at=now)
    begun = time.perf_counter()
    answered = await _post(client, outgoing, allow_private=allow_private, timeout_s=timeout_s)
    duration_ms = round((time.perf_counter() - begun) * 1000)
    verdict = kind.read(answered)
    delay = next_delay(claimed.round_count, notice_id=claimed.notice_id)
    status = {
        Verdict.DELIVERED: DeliveryStatus.DELIVERED,
        Verdict.NEVER: DeliveryStatus.DEAD,
        Verdict.AGAIN: DeliveryStatus.DEAD if delay is None else DeliveryStatus.PENDING,
    }[verdict]
    failure: str | None = answered.failure
    if verdict is not Verdict.DELIVERED and failure is None:
        failure = "refused"
    attempt = Attempt(claimed.endpoint_id, claimed.attempt, now, duration_ms, answered.http_status, failure)
    next_at = clock.now() + delay if status is DeliveryStatus.PENDING and delay is not None else None
    await store.settle(pool, claimed, attempt, status=status, next_at=next_at)
    if status is DeliveryStatus.DEAD:
        _log.warning(
            "a notice was given up",
            notice=show_id(Prefix.NOTICE, claimed.notice_id),
            endpoint=show_id(Prefix.ENDPOINT, claimed.endpoint_id),
            attempt=claimed.attempt,
            http_status=answered.http_status,
            failure=failure,
        )


async def _post(client: httpx.AsyncClient, outgoing: Outgoing, *, allow_private: bool, timeout_s: float) -> Answered:
    """Make a POST; what came of it. Never raises for what the other side does."""
    try:
        async with asyncio.timeout(timeout_s):
            url = httpx.URL(outgoing.address)
            found = await _resolve(url, allow_private=allow_private)
            if isinstance(found, Failure):
                return Answered(None, found)
            request = client.build_request(
                "POST",
                url.copy_with(host=found),
                headers={**outgoing.headers, "host": url.netloc.decode("ascii")},
                content=outgoing.body,
                extensions={"sni_hostname": url.host},
            )
            response = await client.send(request, stream=True)
            await response.aclose()
            return Answered(response.status_code)
    except (TimeoutError, httpx.TimeoutException):
        return Answered(None, Failure.TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        return Answered(None, Failure.CONNECTION)


async def _resolve(url: httpx.URL, *, allow_private: bool) -> str | Failure:
    """The address to connect to. A name with one address that is not allowed is refused with all of them."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Failure.UNRESOLVED
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses:
        return Failure.UNRESOLVED
    if not allow_private and not all(is_public(address) for address in addresses):
        return Failure.PRIVATE_ADDRESS
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet: not private, local, multicast or reserved, nor such an IPv4
    address inside an IPv6 one.

    >>> [is_public(a) for a in ("8.8.8.8", "10.0.0.1", "127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1")]
    [True, False, False, False, False, False]
    """
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if found in _NAT64:
            return is_public(str(ip_address(int(found) & 0xFFFF_FFFF)))
    return found.is_global and not found.is_multicast


_NAT64 = ip_network("64:ff9b::/96")
