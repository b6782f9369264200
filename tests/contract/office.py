"""An office of two: what one operator proposes the other approves, beside a system whose key is nobody's."""

from typing import Any

import httpx
from tests.contract.api import Api

from kaquan.doors.http.fields import uuid_of
from kaquan.parties import Book, IssuedKey, Mode, Scope, issue_key


class Office:
    """``system`` has a key of nobody; ``li`` proposes, ``wang`` approves."""

    def __init__(self, api: Api, book: Book, system: httpx.AsyncClient) -> None:
        self.api, self.book, self.system = api, book, system
        self.li: httpx.AsyncClient
        self.wang: httpx.AsyncClient

    @classmethod
    async def open(cls, api: Api) -> "Office":
        book = (await api.books())[Mode.LIVE]
        office = cls(api, book, await api.client_of(book))
        office.li = await office.hire("li")
        office.wang = await office.hire("wang")
        return office

    async def hire(self, code: str, **how: Any) -> httpx.AsyncClient:
        """A client of a new operator, an administrator unless ``how`` says otherwise."""
        operator = await self.make("/v1/operators", **{"code": code, "name": code, "roles": ["admin"], **how})
        app = self.api.app
        issued = await issue_key(
            app.pool, app.clock, app.ids, book=self.book, name=code, scopes=Scope, operator_id=uuid_of(operator["id"])
        )
        assert isinstance(issued, IssuedKey)
        return self.api.client(issued.token)

    async def make(self, address: str, **body: Any) -> dict[str, Any]:
        """What the system made."""
        response = await self.system.post(address, json=body, headers={"idempotency-key": self.api.app.ids.new().hex})
        assert response.status_code in (200, 201), response.text
        made: dict[str, Any] = response.json()
        return made

    async def programme(self, **terms: Any) -> dict[str, Any]:
        """A programme of a new issuer."""
        issuer = await self.make("/v1/issuers", code="i", name="I", time_zone="Asia/Shanghai")
        return await self.make(
            "/v1/programmes",
            **{
                "issuer_id": issuer["id"],
                "code": "p",
                "name": "P",
                "currency": "CNY",
                "number_prefix": "8888",
                **terms,
            },
        )

    async def card(self, programme: dict[str, Any], *, load_fen: int = 0, **load: Any) -> str:
        """The id of an active digital card, loaded if that is asked for."""
        made = await self.make("/v1/cards", programme_id=programme["id"], form="digital")
        await self.make(f"/v1/cards/{made['id']}/activate")
        if load_fen:
            await self.make("/v1/loads", card_id=made["id"], amount_fen=load_fen, **load)
        return str(made["id"])

    async def proposal(self, kind: str, subject: str, payload: dict[str, Any]) -> str:
        """The id of what li proposed."""
        asked = {"kind": kind, "subject": subject, "payload": payload, "reason": "有据"}
        response = await self.li.post("/v1/approvals", json=asked)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def approve(self, approval_id: str) -> None:
        """Wang approves."""
        response = await self.wang.post(f"/v1/approvals/{approval_id}/approve", json={})
        assert response.status_code == 200, response.text

    async def approval(self, kind: str, subject: str, payload: dict[str, Any]) -> str:
        """The id of what li proposed and wang approved."""
        proposed = await self.proposal(kind, subject, payload)
        await self.approve(proposed)
        return proposed

    async def status_of(self, approval_id: str) -> str:
        return str((await self.system.get(f"/v1/approvals/{approval_id}")).json()["status"])

    async def trail(self, kind: str) -> list[dict[str, Any]]:
        """The lines of one kind, the newest first."""
        rows: list[dict[str, Any]] = (await self.system.get("/v1/audit-trail", params={"kind": kind})).json()["data"]
        return rows
