"""The refusals that belong to request keys, whoever moves value under them."""

from kaquan.kit.outcomes import outcome

IDEMPOTENCY_KEY_REUSED = outcome(
    "idempotency_key_reused", http=422, iso="94",
    en="The Idempotency-Key was used before with another request.", zh="该幂等键已用于另一笔不同的请求。",
)  # fmt: skip
