"""The `postgresql.conf` that is written before each start. An operator's settings go to `ALTER SYSTEM`."""

import os
import sys
from pathlib import Path

HEADER = "# Written by kaquan at each start. For settings of your own use ALTER SYSTEM."
MIB = 1024 * 1024


def usable_memory_bytes(cgroup_limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Memory of the machine, or of the container if that is less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = cgroup_limit.read_text().strip() if cgroup_limit.exists() else "max"
    return machine if limit == "max" else min(machine, int(limit))


def quote(value: str) -> str:
    """A value as a configuration file has it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def render(
    *,
    socket_dir: Path,
    log_dir: Path,
    port: int,
    listen: bool,
    wal_compression: str,
    memory_bytes: int,
    archive_command: str | None,
) -> str:
    """The whole configuration file: durable, sized for `memory_bytes`, silent about the data it stores."""
    memory_mb = memory_bytes // MIB
    socket_list = '"' + str(socket_dir).replace('"', '""') + '"'
    settings = {
        # Who may reach the server
        "listen_addresses": "127.0.0.1" if listen else "",
        "port": str(port),
        "unix_socket_directories": socket_list,
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "password_encryption": "scram-sha-256",
        "cluster_name": "kaquan",
        # A committed payment survives a power cut
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "wal_compression": wal_compression,
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        # A part of a machine that does other things too
        "shared_buffers": f"{max(16, min(2048, memory_mb // 8))}MB",
        "effective_cache_size": f"{max(64, memory_mb // 2)}MB",
        "maintenance_work_mem": f"{max(16, min(128, memory_mb // 16))}MB",
        "huge_pages": "try",
        # Short statements on a solid-state disk
        "random_page_cost": "1.1",
        "jit": "off",
        # Balances are updated all the time: small and frequent vacuums keep their pages short
        "autovacuum": "on",
        "autovacuum_naptime": "20s",
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_analyze_scale_factor": "0.05",
        "autovacuum_vacuum_cost_limit": "1000",
        # One log file per weekday, overwritten a week later
        "logging_collector": "on",
        "log_directory": str(log_dir),
        "log_filename": "postgresql-%a.log",
        "log_file_mode": "0600",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_truncate_on_rotation": "on",
        "log_line_prefix": "%m [%p] %u@%d %e ",
        "log_min_duration_statement": "2s",
        # No card data in the log: no values, and no DETAIL line, which repeats the row that was refused
        "log_statement": "none",
        "log_min_error_statement": "panic",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_error_verbosity": "terse",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    if archive_command is not None:
        settings["archive_mode"] = "on"
        settings["archive_command"] = archive_command
        settings["archive_timeout"] = "60s"  # what is lost at the most with the disk
    if sys.platform == "darwin":
        settings["wal_sync_method"] = "fsync_writethrough"  # the default leaves data in the drive's cache
    lines = [f"{name} = {quote(value)}" for name, value in settings.items()]
    return "\n".join([HEADER, *lines, ""])
