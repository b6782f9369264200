"""The OpenAPI 3.1 document, made from what the handlers declare and from their types."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.routes import BaseRoute, HTTPRoute

from kaquan import __doc__ as product
from kaquan.doors.http.operation import Operation, operation_of
from kaquan.doors.http.outcomes import (
    BODY_TOO_LARGE,
    FORBIDDEN,
    IDEMPOTENCY_KEY_MISSING,
    MALFORMED_JSON,
    UNAUTHENTICATED,
)
from kaquan.doors.http.problems import PROBLEM_TYPE, Problem, problem_of
from kaquan.kit.outcomes import (
    BUSY,
    INTERNAL_ERROR,
    INVALID_FIELD,
    NOT_FOUND,
    OUTCOMES,
    UNAVAILABLE,
    Outcome,
    Refusal,
)
from kaquan.ledger.outcomes import IDEMPOTENCY_KEY_REUSED
from kaquan.parties import Scope

REF_TEMPLATE = "#/components/schemas/{name}"

KEY_PARAMETER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "What the client calls this request; a retry with it gets the first answer.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}

PathItems = dict[str, dict[str, Any]]

_MEDIA_TYPES: Mapping[Any, str] = {str: "text/plain", bytes: "application/octet-stream"}

_BINARY = {"type": "string", "format": "binary"}

_PARAMETER_TYPE = re.compile(r":\w+}")


def build_document(
    routes: Iterable[BaseRoute], *, version: str, extra_paths: PathItems, extra_schemas: Mapping[str, Any]
) -> dict[str, Any]:
    """The document of every route, together with path items and schemas of routes that are served elsewhere.

    Raises ValueError if a handler declares no operation, or an extra schema has the name of another one.
    """
    described = list(_handlers(routes))
    queries = [operation.query for _, _, _, operation in described if operation.query is not None]
    types = [Problem, *queries]
    for _, _, _, operation in described:
        types += [type_ for type_ in (operation.answer, operation.body) if type_ is not None]
        types += operation.path.values()
    schemas, components = msgspec.json.schema_components(types, ref_template=REF_TEMPLATE)
    schema_of = dict(zip(types, schemas, strict=True))
    query_components = {_name_of(schema_of[query]) for query in queries}
    paths: PathItems = defaultdict(dict)
    for path, method, handler, operation in described:
        paths[path][method] = _describe(handler, operation, schema_of, components)
    for path, item in extra_paths.items():
        paths[path].update(item)
    kept = {name: schema for name, schema in components.items() if name not in query_components}
    for name, schema in extra_schemas.items():
        if kept.setdefault(name, schema) != schema:
            raise ValueError(f"two different schemas are called {name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kaquan",
            "version": version,
            "description": product,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(kept.items())),
            "examples": {code: _example(outcome) for code, outcome in sorted(OUTCOMES.items())},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, kq_live_… or kq_test_…: one book, some of the scopes "
                    + ", ".join(Scope),
                }
            },
        },
    }


def describe_refusals(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """The ``responses`` of an operation for its refusals: one per status, every code with an example."""
    by_status: dict[int, list[Outcome]] = defaultdict(list)
    for outcome in sorted(set(outcomes), key=lambda outcome: (outcome.http_status, outcome.code)):
        by_status[outcome.http_status].append(outcome)
    return {
        str(status): {
            "description": "; ".join(f"{outcome.code}: {_filled(outcome).en}" for outcome in listed),
            "content": {
                PROBLEM_TYPE: {
                    "schema": {
                        "allOf": [
                            {"$ref": REF_TEMPLATE.format(name="Problem")},
                            {"properties": {"code": {"enum": [outcome.code for outcome in listed]}}},
                        ]
                    },
                    "examples": {outcome.code: {"$ref": f"#/components/examples/{outcome.code}"} for outcome in listed},
                }
            },
        }
        for status, listed in by_status.items()
    }


def common_refusals(operation: Operation) -> set[Outcome]:
    """What every request of this shape can be refused for."""
    found = {UNAVAILABLE, INTERNAL_ERROR}
    if operation.scope is not None:
        found |= {UNAUTHENTICATED, FORBIDDEN}
    if operation.body is not None:
        found |= {BODY_TOO_LARGE, INVALID_FIELD} | ({MALFORMED_JSON} if operation.body is not bytes else set())
    if operation.query is not None or operation.path:
        found.add(INVALID_FIELD)
    if operation.path:
        found.add(NOT_FOUND)
    if operation.takes_key:
        found |= {IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, BUSY}
    return found


class _Named(dict[str, str]):
    """Fills an example's message with the names of its details."""

    def __missing__(self, name: str) -> str:
        return f"<{name}>"


def _filled(outcome: Outcome) -> Outcome:
    names = _Named()
    return msgspec.structs.replace(outcome, en=outcome.en.format_map(names), zh=outcome.zh.format_map(names))


def _example(outcome: Outcome) -> dict[str, Any]:
    return {"value": msgspec.to_builtins(problem_of(Refusal(_filled(outcome))))}


def _handlers(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str, HTTPRouteHandler, Operation]]:
    for route in routes:
        assert isinstance(route, HTTPRoute), "every route of this door speaks HTTP"
        for handler in route.route_handlers:
            if handler.http_methods == {"OPTIONS"}:
                continue  # Litestar's own, one per route
            operation = operation_of(handler)
            if operation is None:
                raise ValueError(f"{route.path}: {handler} declares no operation, hence no scope")
            for method in handler.http_methods:
                yield _PARAMETER_TYPE.sub("}", route.path_format), method.lower(), handler, operation


def _describe(
    handler: HTTPRouteHandler,
    operation: Operation,
    schema_of: Mapping[Any, dict[str, Any]],
    components: Mapping[str, Any],
) -> dict[str, Any]:
    text = (handler.fn.__doc__ or "").strip()
    media_type = _MEDIA_TYPES.get(operation.answer, "application/json")
    described: dict[str, Any] = {
        "operationId": handler.fn.__name__,
        "tags": handler.resolve_tags(),
        "summary": text.split("\n", 1)[0],
        "responses": {
            str(operation.status): {
                "description": "Done.",
                "content": {
                    media_type: {"schema": schema_of[operation.answer]},
                    **{other: {"schema": _BINARY} for other in operation.other_media_types},
                },
            },
            **describe_refusals({*operation.refusals, *common_refusals(operation)}),
        },
    }
    if operation.scope is not None:
        described["security"] = [{"key": []}]
        described["description"] = f"Asks for the scope `{operation.scope}`."
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": schema_of[type_]}
        for name, type_ in operation.path.items()
    ]
    if operation.query is not None:
        query = components[_name_of(schema_of[operation.query])]
        parameters += [
            {"name": name, "in": "query", "required": name in query.get("required", ()), "schema": schema}
            for name, schema in query["properties"].items()
        ]
    if operation.takes_key:
        parameters.insert(0, KEY_PARAMETER)
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {_MEDIA_TYPES.get(operation.body, "application/json"): {"schema": schema_of[operation.body]}},
        }
    return described


def _name_of(schema: Mapping[str, Any]) -> str:
    name: str = schema["$ref"].rpartition("/")[2]
    return name
