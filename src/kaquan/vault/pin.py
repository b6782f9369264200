"""PINs: a slow hash (Argon2id, RFC 9106) over a keyed one, at the least cost that OWASP asks for.

Hashing takes some 50 ms and 19 MiB, so it is done in threads of its own, few of them: the event loop stays free, and a
flood of guesses waits here and not on payments.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from kaquan.vault.keyring import Keyring

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_NOBODYS = f"$argon2id$v=19$m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}${'A' * 22}${'A' * 43}"
"""Stands for a PIN that there is not: none matches it, and finding that out takes as long as with any other."""
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pin")


async def hash_pin(keyring: Keyring, pin: str, context: bytes) -> str:
    """What is kept of a PIN; ``context`` is the card id's bytes."""
    secret = keyring.peppered(pin, context)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _HASHER.hash, secret)


async def pin_matches(keyring: Keyring, kept: str | None, pin: str, context: bytes) -> bool:
    """Whether ``pin`` is the one behind what was kept; with None it is not, which takes as long to tell."""
    secret = keyring.peppered(pin, context)
    try:
        await asyncio.get_running_loop().run_in_executor(_THREADS, _HASHER.verify, kept or _NOBODYS, secret)
    except VerifyMismatchError:
        return False
    return True
