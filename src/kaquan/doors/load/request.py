"""Where requests go, and the bytes they are."""

from urllib.parse import urlsplit

import msgspec


class Address(msgspec.Struct, frozen=True):
    """A server: on TCP, or on a Unix socket when ``socket_path`` is set."""

    host: str = "localhost"
    port: int = 80
    socket_path: str | None = None

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 80 else f"{host}:{self.port}"


def read_address(text: str) -> Address:
    """``http://host:port`` or ``unix:/path/of/socket``. Raises ValueError for anything else."""
    if text.startswith("unix:/"):
        return Address(socket_path=text.removeprefix("unix:"))
    parts = urlsplit(text)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{text!r} is no address of the form http://host:port or unix:/path")
    return Address(host=parts.hostname, port=parts.port or 80)


class Caller:
    """Builds the requests of one API key to one server."""

    def __init__(self, address: Address, *, token: str) -> None:
        self.address = address
        self._common = (
            f"Host: {address.authority}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        ).encode("ascii")

    def get(self, path: str) -> bytes:
        """A GET of ``path``, which may carry a query."""
        return b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode("ascii"), self._common)

    def post(self, path: str, body: bytes = b"{}", *, key: str | None = None, method: str = "POST") -> bytes:
        """A POST of JSON ``body``, or another ``method``; ``key`` is its Idempotency-Key."""
        extra = b"" if key is None else b"Idempotency-Key: %b\r\n" % key.encode("ascii")
        return b"%b %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (
            method.encode("ascii"), path.encode("ascii"), self._common, extra, len(body), body,
        )  # fmt: skip
