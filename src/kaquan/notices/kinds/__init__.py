"""The kinds of delivery, one file each. A new file is found by itself, here and by the contract suite."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from kaquan.notices.kind import Kind


@cache
def find_kinds() -> Mapping[str, Kind]:
    """Every kind by its name, which is that of its file."""
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    return {module.KIND.name: module.KIND for module in modules}
