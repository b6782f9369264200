"""Figures of several server processes, asked from any of them."""

import os
import subprocess
import sys
from pathlib import Path

COUNT = """
from kaquan.doors.http.metrics import count_request
count_request(route="/v1/purchases", method="POST", status=201, seconds=0.002)
"""
RENDER = """
import sys
from kaquan.doors.http.metrics import render_metrics
sys.stdout.buffer.write(render_metrics())
"""


def run(program: str, folder: Path) -> str:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    return finished.stdout


def test_one_process_answers_for_all(tmp_path: Path) -> None:
    run(COUNT, tmp_path)
    run(COUNT, tmp_path)
    figures = run(RENDER, tmp_path)
    assert 'kaquan_http_requests_total{method="POST",route="/v1/purchases",status="201"} 2.0' in figures
    assert 'kaquan_http_request_seconds_count{route="/v1/purchases"} 2.0' in figures
