"""Folders in which root's embedded servers, who run as somebody else, may work."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("simulation")
    made.chmod(0o711)
    return made
