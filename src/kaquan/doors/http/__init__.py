"""The HTTP API ``/v1``: keys and scopes, typed requests, refusals as problem documents, the OpenAPI document.

No rule of a room lives here, and no answer is in Litestar's own error format. Nothing is loaded here, so that whoever
starts server processes, as every command may, does not load Litestar for it.
"""
