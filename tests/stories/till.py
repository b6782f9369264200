"""What the people of the stories do, through HTTP."""

from typing import Any, cast

import httpx
from tests.served import litestar_of

from kaquan.app import App
from kaquan.doors.http.money import MoneyFront


class Business:
    """A tenant with its key: everything it does is a request to the API."""

    def __init__(self, app: App, token: str) -> None:
        self._front = MoneyFront(app, litestar_of(app))
        self._ids = app.ids
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(cast(Any, self._front)),
            base_url="http://kaquan.test",
            headers={"authorization": f"Bearer {token}"},
        )

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def make(self, path: str, **body: Any) -> Any:
        """Create or change something; value moves under a key of its own."""
        answer = await self.client.post(path, json=body, headers={"idempotency-key": self._ids.new().hex})
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    async def refused(self, path: str, **body: Any) -> str:
        """The code of the refusal."""
        answer = await self.client.post(path, json=body, headers={"idempotency-key": self._ids.new().hex})
        assert answer.status_code >= 400, answer.text
        return str(answer.json()["code"])

    # Furnishing

    async def open_shop(self, code: str, name: str, trade: str) -> dict[str, str]:
        """A merchant with one store and one terminal; their ids."""
        merchant = await self.make("/v1/merchants", code=code, name=name, trade=trade)
        store = await self.make("/v1/stores", merchant_id=merchant["id"], code=f"{code}-1", name=f"{name}一店")
        terminal = await self.make("/v1/terminals", store_id=store["id"], code=f"{code}-1-1")
        return {"merchant_id": merchant["id"], "store_id": store["id"], "terminal_id": terminal["id"]}

    async def start_programme(
        self, code: str, name: str, *, prefix: str, accepts: list[dict[str, str]], **terms: Any
    ) -> Any:
        """An issuer and its programme, taken at the named merchants or stores."""
        issuer = await self.make("/v1/issuers", code=code, name=name, time_zone="Asia/Shanghai")
        programme = await self.make(
            "/v1/programmes",
            issuer_id=issuer["id"],
            code=code,
            name=name,
            currency="CNY",
            number_prefix=prefix,
            **terms,
        )
        await self.make(f"/v1/programmes/{programme['id']}/acceptance", add=accepts)
        return programme

    async def issue_card(self, programme: Any, form: str = "digital") -> dict[str, str]:
        """An active card; its id and number."""
        card = await self.make("/v1/cards", programme_id=programme["id"], form=form)
        await self.make(f"/v1/cards/{card['id']}/activate")
        number = (await self.get(f"/v1/cards/{card['id']}/number"))["number"]
        return {"id": card["id"], "number": number}

    async def pockets(self, card: dict[str, str]) -> dict[str, int]:
        """What a card has available, by pocket."""
        found = await self.get(f"/v1/cards/{card['id']}/accounts")
        rows = found["data"] if isinstance(found, dict) else found
        return {row["pocket"]: row["available_fen"] for row in rows}
