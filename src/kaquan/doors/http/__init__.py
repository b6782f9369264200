"""The HTTP API ``/v1``: keys and scopes, typed requests, refusals as problem documents, the OpenAPI document.

No rule of a room lives here, and no answer is in Litestar's own error format.
"""

from kaquan.doors.http.application import create_litestar

__all__ = ["create_litestar"]
