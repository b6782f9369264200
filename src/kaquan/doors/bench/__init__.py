"""``kaquan bench``: what this machine can do, measured the same way each time, beside what PostgreSQL can do.

Each bench has a database of its own that begins empty and is dropped at the end, keeps its figures with the
facts of the machine as JSON, and fails only when it cannot measure: a slow figure is a figure.
"""

from kaquan.doors.bench.commands import bench_app

__all__ = ["bench_app"]
