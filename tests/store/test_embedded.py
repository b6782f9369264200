"""The embedded database against real servers: the wheel's and the operating system's."""

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from kaquan.kit.embedded import (
    EmbeddedPostgres,
    EmbeddedPostgresError,
    ServerState,
    binary,
    find_system_binaries,
)

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
AS_ROOT = os.geteuid() == 0
SERVERS: list[Path | None] = [None, *find_system_binaries()[:1]]
OWNER = """
import signal, sys, time
from pathlib import Path
from kaquan.kit.embedded import EmbeddedPostgres
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test process may have been told to ignore it
db = EmbeddedPostgres(Path(sys.argv[1]), bin_dir=Path(sys.argv[2]) if sys.argv[2] else None)
db.start()
print(db.status().pid, db.status().owned, flush=True)
sys.stdin.read()
"""

Make = Callable[..., EmbeddedPostgres]


@pytest.fixture(params=SERVERS, ids=lambda place: "wheel" if place is None else "system")
def bin_dir(request: pytest.FixtureRequest) -> Path | None:
    place: Path | None = request.param
    return place


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that does not exist yet, where the server's user can reach it (tmp_path is private)."""
    root = Path(tempfile.mkdtemp(prefix="kq-"))
    root.chmod(0o711)
    yield root / "db"
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def clusters() -> Iterator[dict[Path | None, Path]]:
    """A cluster per kind of server, made once: initdb takes a second."""
    root = Path(tempfile.mkdtemp(prefix="kq-"))
    root.chmod(0o711)
    made = {}
    for number, place in enumerate(SERVERS):
        made[place] = root / str(number)
        with EmbeddedPostgres(made[place], bin_dir=place) as db:
            run(db, "create table kept (number int)")
    yield made
    shutil.rmtree(root)


@pytest.fixture
def make(bin_dir: Path | None, clusters: dict[Path | None, Path]) -> Iterator[Make]:
    """Launchers on a folder with a cluster; what still runs there after the test is stopped."""
    yield lambda **options: EmbeddedPostgres(clusters[bin_dir], bin_dir=bin_dir, **options)
    EmbeddedPostgres(clusters[bin_dir], bin_dir=bin_dir).stop_running()


@pytest.fixture
def spoilable(folder: Path, clusters: dict[Path | None, Path]) -> EmbeddedPostgres:
    """A launcher on a copy of a cluster, for tests that damage it."""
    subprocess.run(["cp", "-a", clusters[None], folder], check=True)
    return EmbeddedPostgres(folder)


def run(db: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(db.conninfo(), autocommit=True) as connection:
        connection.execute(statement.encode())


def ask(db: EmbeddedPostgres, query: str) -> str:
    with psycopg.connect(db.conninfo()) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])


def pid_of(db: EmbeddedPostgres) -> int:
    pid = db.status().pid
    assert pid is not None
    return pid


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the expected state did not come"
        time.sleep(0.02)


def launch_owner(db: EmbeddedPostgres, bin_dir: Path | None) -> subprocess.Popen[str]:
    """Another process that starts the server on the same folder, and ends when its input does."""
    return subprocess.Popen(
        [sys.executable, "-c", OWNER, str(db.folder), str(bin_dir or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
        start_new_session=True,
    )


def first_line(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_first_start_makes_a_private_durable_cluster(folder: Path, bin_dir: Path | None) -> None:
    with EmbeddedPostgres(folder, bin_dir=bin_dir) as db:
        settings = {
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "data_checksums": "on",
            "listen_addresses": "",
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
            "log_timezone": "UTC",
            "log_statement": "none",
            "log_parameter_max_length": "0",
            "log_parameter_max_length_on_error": "0",
            "log_error_verbosity": "terse",
            "unix_socket_permissions": "0700",
            "max_wal_size": "4GB",
            "jit": "off",
        }
        assert {name: ask(db, f"show {name}") for name in settings} == settings
        assert ask(db, "select datcollate from pg_database where datname = 'postgres'") == "C"
        assert ask(db, "select '卡券'") == "卡券"
        methods = ask(db, "select array_agg(distinct auth_method) from pg_hba_file_rules")
        assert methods == "['scram-sha-256']"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(db.conninfo(), password="wrong")
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(db.conninfo(), passfile=os.devnull)
        assert mode(db.passfile) == 0o600
        assert {mode(db.data), mode(db.log_dir), mode(folder / "run")} == {0o700}
        assert mode(folder) == (0o711 if AS_ROOT else 0o700)
        assert not list(folder.glob("*.new"))
        secret = db.passfile.read_text().strip().rpartition(":")[2]
        assert secret not in db.conninfo()
    assert db.status().state is ServerState.STOPPED


def test_restart_keeps_data_and_settings_of_the_operator(make: Make) -> None:
    db = make()
    db.start()
    run(db, "insert into kept values (7)")
    run(db, "alter system set work_mem = '9MB'")
    db.stop()
    db.stop()
    assert db.status().state is ServerState.STOPPED
    with pytest.raises(EmbeddedPostgresError, match="No database server runs"):
        db.conninfo()
    with db:
        assert ask(db, "select number from kept") == "7"
        assert ask(db, "show work_mem") == "9MB"


def test_log_holds_no_data(make: Make) -> None:
    with make() as db:
        run(db, "create table card (token text primary key check (length(token) > 3))")
        for token in ("secret-token", "secret-token", "xyz"):
            with psycopg.connect(db.conninfo()) as connection:
                try:
                    connection.execute("insert into card values (%s)", [token])
                except psycopg.IntegrityError:
                    connection.rollback()
    log = "".join(path.read_text() for path in db.log_dir.iterdir())
    assert "card_pkey" in log
    assert "secret-token" not in log
    assert "xyz" not in log


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_server_ends_with_its_owner(make: Make, bin_dir: Path | None, number: signal.Signals) -> None:
    db = make()
    with launch_owner(db, bin_dir) as owner:
        pid, owned = first_line(owner)
        assert owned == "True"
        assert db.status().pid == int(pid)
        if number is signal.SIGINT:
            os.killpg(owner.pid, number)  # as Ctrl-C does: to the whole foreground group
        else:
            owner.send_signal(number)
        owner.wait()
    wait_until(lambda: not is_alive(int(pid)))
    assert not (db.data / "postmaster.pid").exists(), "it was shut down, not killed"


def test_watcher_ignores_signals_while_the_owner_lives(make: Make) -> None:
    with make() as db:
        watcher = db._process
        assert watcher is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            watcher.send_signal(number)
        time.sleep(0.1)
        assert ask(db, "select 1") == "1"
    assert watcher.returncode == 0


def test_unsupervised_server_outlives_its_starter(make: Make) -> None:
    db = make()
    db.start(supervised=False)
    db.stop()
    assert db.status().state is ServerState.RUNNING
    assert not db.status().owned
    pid = pid_of(db)
    with make() as other:
        assert pid_of(other) == pid
    make().stop_running()
    assert db.status().state is ServerState.STOPPED
    make().stop_running()


def test_second_process_attaches_and_leaves_the_server_alone(make: Make, bin_dir: Path | None) -> None:
    with make() as db, launch_owner(db, bin_dir) as second:
        assert first_line(second) == [str(pid_of(db)), "False"]
        second.kill()
        second.wait()
        time.sleep(0.2)
        assert ask(db, "select 1") == "1"


def test_concurrent_first_starts_make_one_server(folder: Path, bin_dir: Path | None) -> None:
    db = EmbeddedPostgres(folder, bin_dir=bin_dir)
    with launch_owner(db, bin_dir) as one, launch_owner(db, bin_dir) as two:
        (pid_one, owned_one), (pid_two, owned_two) = first_line(one), first_line(two)
        assert pid_one == pid_two
        assert {owned_one, owned_two} == {"True", "False"}
    wait_until(lambda: not is_alive(int(pid_one)))


def test_killed_server_recovers(make: Make) -> None:
    with make() as db:
        run(db, "insert into kept values (1)")
        killed = pid_of(db)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not is_alive(killed))
        db.start()
        assert pid_of(db) != killed
        assert ask(db, "select count(*) from kept where number = 1") == "1"
        assert db.status().owned


def test_stale_pid_of_a_living_stranger_is_no_server(make: Make) -> None:
    db = make()
    db.start()
    os.kill(pid_of(db), signal.SIGKILL)
    db.stop()
    assert db.status().state is ServerState.STOPPED
    left = [db.data / "postmaster.pid", db.folder / "run" / ".s.PGSQL.5432.lock"]
    owner = db.data.stat().st_uid
    stranger = subprocess.Popen(["sleep", "60"], user=owner if AS_ROOT else None)
    try:
        for path in left:
            lines = path.read_text().splitlines()
            path.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
        db.stop_running()
        with db:
            assert ask(db, "select 1") == "1"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_server_started_by_hand_is_attached(make: Make, bin_dir: Path | None) -> None:
    db = make()
    with db:
        pass
    place = bin_dir or binary("postgres").parent
    user = db.data.stat().st_uid if AS_ROOT else None
    start = f"{place}/pg_ctl -D {db.data} -l {db.log_dir}/hand.log -w start".split()
    subprocess.run(start, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)
    with db:
        assert not db.status().owned
        assert ask(db, "select 1") == "1"
    assert db.status().state is ServerState.RUNNING


def test_tcp_only_when_asked(make: Make) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedPostgresError, match=rf"cannot listen on port {port} .*choose another"):
            make(port=port).start()
    with make(port=port) as db:
        secret = db.passfile.read_text().strip().rpartition(":")[2]
        with psycopg.connect(db.conninfo(), host="127.0.0.1", password=secret) as connection:
            assert connection.info.port == port
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(db.conninfo(), host="127.0.0.1", password="wrong")


def test_long_path_uses_a_short_socket_folder(spoilable: EmbeddedPostgres, folder: Path) -> None:
    long = folder.parent / ("long-" * 20) / "it's, well"
    long.parent.mkdir(mode=0o711)
    folder.rename(long)
    with EmbeddedPostgres(long) as db:
        short = (long / "run").resolve()
        assert short.parent == Path(tempfile.gettempdir()).resolve() or "XDG_RUNTIME_DIR" in os.environ
        assert mode(short) == 0o700
        assert ask(db, "select 1") == "1"
        with launch_owner(db, None) as second:
            assert first_line(second)[1] == "False"
    with db:
        assert (long / "run").resolve() == short
    shutil.rmtree(short)
    with db:
        assert ask(db, "select 1") == "1"
        again = (long / "run").resolve()
    shutil.rmtree(again)


def test_failed_start_tells_the_log(spoilable: EmbeddedPostgres) -> None:
    db = spoilable
    (db.data / "postgresql.auto.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match=r"(?s)did not start; .*no_such_setting"):
        db.start()
    (db.data / "postgresql.auto.conf").write_text("")
    with db:
        assert ask(db, "select 1") == "1"


def test_folder_that_is_no_database_of_ours(spoilable: EmbeddedPostgres) -> None:
    db = spoilable
    version = (db.data / "PG_VERSION").read_text()
    (db.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 9 and this is PostgreSQL 1"):
        db.start()
    (db.data / "PG_VERSION").write_text(version)
    db.passfile.unlink()
    with pytest.raises(EmbeddedPostgresError, match=r"password file .* is missing"):
        db.start()
    (db.data / "PG_VERSION").unlink()
    with pytest.raises(EmbeddedPostgresError, match="holds no PostgreSQL database"):
        db.start()


def test_killed_first_start_is_repeated(folder: Path) -> None:
    db = EmbeddedPostgres(folder)
    with launch_owner(db, None) as owner:
        wait_until(lambda: (folder / "data.new" / "base").exists())
        owner.kill()
    with db:
        assert ask(db, "select 1") == "1"
    assert not list(folder.glob("*.new"))


def test_folder_that_is_a_file(folder: Path) -> None:
    folder.write_text("")
    with pytest.raises(EmbeddedPostgresError, match=r"Not a directory|may not enter"):
        EmbeddedPostgres(folder).start()


def test_programs(folder: Path) -> None:
    for name in ("psql", "pg_dump", "pg_basebackup"):
        assert binary(name).is_file()
    with pytest.raises(EmbeddedPostgresError, match="no-such-program was not found"):
        binary("no-such-program")
    with pytest.raises(EmbeddedPostgresError, match="has no PostgreSQL server that runs"):
        EmbeddedPostgres(folder, bin_dir=Path("/nowhere")).start()


def test_psql_takes_the_conninfo(make: Make) -> None:
    with make() as db:
        command = [str(db.binary("psql")), "-AtX", "-c", "select 41 + 1", db.conninfo()]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "42\n"


@pytest.mark.skipif(not AS_ROOT, reason="needs root")
class TestRoot:
    """Root starts it, somebody else runs it."""

    def test_server_runs_as_another_user(self, make: Make) -> None:
        with make() as db:
            owner = db.data.stat().st_uid
            assert owner != 0
            status = Path(f"/proc/{pid_of(db)}/status")
            if status.exists():
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
                assert set(fields["Uid"].split()) == {str(owner)}
                assert fields["Groups"].split() == [str(db.data.stat().st_gid)]
                environment = Path(f"/proc/{pid_of(db)}/environ").read_bytes()
                assert b"HOME=" not in environment

    def test_named_user(self, folder: Path) -> None:
        with EmbeddedPostgres(folder, user="nobody") as db:
            assert db.data.stat().st_uid == pwd.getpwnam("nobody").pw_uid
        with EmbeddedPostgres(folder, user="postgres") as db:
            assert ask(db, "select 1") == "1", "the owner of the data stays its user"

    @pytest.mark.parametrize("user", ["root", "no-such-user"])
    def test_unusable_user(self, folder: Path, user: str) -> None:
        with pytest.raises(EmbeddedPostgresError, match=rf"no unprivileged user {user}.*KAQUAN_DATABASE_USER"):
            EmbeddedPostgres(folder, user=user).start()

    def test_unreachable_folder(self, folder: Path) -> None:
        folder.parent.chmod(0o700)
        with pytest.raises(EmbeddedPostgresError, match=r"may not enter .* choose a folder"):
            EmbeddedPostgres(folder).start()

    def test_private_programs_are_copied(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        package = binary("postgres").parents[2]
        private = folder.parent / "private"
        private.mkdir(mode=0o700)
        for tree in (package, package.with_name(package.name + ".libs")):
            shutil.copytree(tree, private / tree.name)
        monkeypatch.syspath_prepend(str(private))
        with EmbeddedPostgres(folder) as db:
            assert ask(db, "select 1") == "1"
            copies = list(folder.glob("postgresql-*"))
            assert len(copies) == 1
        made = copies[0].stat().st_mtime
        with db:
            assert copies[0].stat().st_mtime == made
        with pytest.raises(EmbeddedPostgresError, match="may not run"):
            EmbeddedPostgres(folder, bin_dir=private / package.name / "pginstall" / "bin").start()

    @pytest.mark.parametrize("existing", [True, False])
    def test_folder_of_somebody_else(self, spoilable: EmbeddedPostgres, existing: bool) -> None:
        """What a normal user is told about root's folder, with a database in it and without."""
        db = spoilable
        if not existing:
            shutil.rmtree(db.data)
        change_user = "import os; os.setgid(65534); os.setuid(65534)\ndb = "
        script = OWNER.replace("db = ", change_user, 1)
        command = [sys.executable, "-c", script, str(db.folder), ""]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
        expected = "belongs to the user" if existing else "may not use"
        assert done.stderr.splitlines()[-1].startswith("kaquan.kit.embedded.binaries.EmbeddedPostgresError: The ")
        assert expected in done.stderr.splitlines()[-1]


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_unwritable_folder(folder: Path) -> None:
    folder.mkdir(mode=0o500)
    with pytest.raises(EmbeddedPostgresError, match=r"may not use .* choose a folder"):
        EmbeddedPostgres(folder).start()
