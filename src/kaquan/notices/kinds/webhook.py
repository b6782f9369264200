"""Webhooks after Standard Webhooks: a signed POST; 2xx is taken, 410 is gone, everything else is tried again."""

import re
from datetime import datetime

from standardwebhooks import Webhook as Signer

from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.notices.kind import Answered, Letter, Outgoing, Verdict

MAX_ADDRESS = 1_000

_ADDRESS = re.compile(r"(https?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[!-\"$-~]*)?")
"""No user, no fragment, no control character, no space; names outside ASCII in their punycode."""


class Webhook:
    """POSTs the notice to an address of the tenant's."""

    name = "webhook"
    at_once = False

    def check_address(self, address: str, *, allow_private: bool) -> Refusal | None:
        """Refused: ``invalid_field``. Whether its host is a private one is seen when it is resolved, each time."""
        found = _ADDRESS.fullmatch(address) if len(address) <= MAX_ADDRESS else None
        port = int(found[3][1:]) if found is not None and found[3] else 443
        if found is None or not 0 < port < 65_536 or (found[1] == "http" and not allow_private):
            scheme = "http or https" if allow_private else "https"
            return INVALID_FIELD.refuse(
                "address",
                allowed=f"must be an {scheme} address of at most {MAX_ADDRESS} characters, without user and fragment",
                allowed_zh=f"应为 {scheme} 地址，最多 {MAX_ADDRESS} 个字符，不含用户名与片段",
            )
        return None

    def build(self, letter: Letter, *, at: datetime) -> Outgoing:
        """Headers of Standard Webhooks; during the overlap of a rotation one signature for each secret."""
        id_ = show_id(Prefix.NOTICE, letter.notice_id)
        signatures = [Signer(secret).sign(id_, at, letter.body) for secret in letter.secrets]
        return Outgoing(
            letter.address,
            {
                "content-type": "application/json",
                "user-agent": "kaquan",
                "webhook-id": id_,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": " ".join(signatures),
            },
            letter.body.encode(),
        )

    def read(self, answered: Answered) -> Verdict:
        if answered.http_status is None:
            return Verdict.AGAIN
        if 200 <= answered.http_status < 300:
            return Verdict.DELIVERED
        return Verdict.NEVER if answered.http_status == 410 else Verdict.AGAIN


KIND = Webhook()
