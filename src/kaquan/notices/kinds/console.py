"""Messages in the console: there when they are written, read through ``/v1/notices``."""

from datetime import datetime

from kaquan.kit.outcomes import INVALID_FIELD, Refusal
from kaquan.notices.kind import Answered, Letter, Outgoing, Verdict


class Console:
    """Nothing goes out."""

    name = "console"
    at_once = True

    def check_address(self, address: str, *, allow_private: bool) -> Refusal | None:
        """No endpoint is of this kind. Refused: ``invalid_field``."""
        return INVALID_FIELD.refuse("kind", allowed="must be a kind that goes out", allowed_zh="应为可对外发送的类型")

    def build(self, letter: Letter, *, at: datetime) -> Outgoing:
        """Never called: raises ValueError."""
        raise ValueError("a console message goes nowhere")

    def read(self, answered: Answered) -> Verdict:
        return Verdict.DELIVERED


KIND = Console()
