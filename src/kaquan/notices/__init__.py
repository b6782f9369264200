"""Floor 6: notices. A message is written in the commit of its cause, and delivered after it.

Whoever causes something calls :func:`write_notices` in its own transaction: the notice is there if the cause is, and
not otherwise. The courier (:mod:`kaquan.notices.courier`, run by the worker) delivers at least once, later and later,
and gives up in the end; every attempt can be seen, and anything can be sent again. It never decides what is worth a
message, and never moves value. Secrets of endpoints are kept sealed.
"""

from kaquan.notices.endpoints import (
    change_endpoint,
    create_endpoint,
    get_endpoint,
    list_endpoints,
    remove_endpoint,
    rotate_secret,
)
from kaquan.notices.events import EVENTS, Event, event
from kaquan.notices.look_up import get_notice, list_notices
from kaquan.notices.resend import replay_range, resend_notice
from kaquan.notices.types import (
    Attempt,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointStatus,
    FullNotice,
    MadeEndpoint,
    NewNotice,
    Notice,
    NoticeSearch,
)
from kaquan.notices.write import write_notices

__all__ = [
    "EVENTS",
    "Attempt",
    "Delivery",
    "DeliveryStatus",
    "Endpoint",
    "EndpointStatus",
    "Event",
    "FullNotice",
    "MadeEndpoint",
    "NewNotice",
    "Notice",
    "NoticeSearch",
    "change_endpoint",
    "create_endpoint",
    "event",
    "get_endpoint",
    "get_notice",
    "list_endpoints",
    "list_notices",
    "remove_endpoint",
    "replay_range",
    "resend_notice",
    "rotate_secret",
    "write_notices",
]
