"""Every kind of offer, found by itself: its worked examples, and what all kinds must hold."""

import doctest
from importlib import import_module
from pkgutil import iter_modules

import pytest

from kaquan.promotions import find_kinds, kinds
from kaquan.promotions.kind import LoadKind, PurchaseKind

MODULES = [found.name for found in iter_modules(kinds.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_worked_examples_of_a_kind_come_out(name: str) -> None:
    failed, tried = doctest.testmod(import_module(f"kaquan.promotions.kinds.{name}"))
    assert failed == 0
    assert tried >= 4


@pytest.mark.parametrize("name", MODULES)
def test_a_kind_is_one_file_with_its_own_struct(name: str) -> None:
    kind = find_kinds()[name]
    assert isinstance(kind, PurchaseKind | LoadKind)
    assert kind.params.__module__ == f"kaquan.promotions.kinds.{name}"
    assert kind.params.__struct_config__.frozen
    assert kind.params.__struct_config__.forbid_unknown_fields
    assert kind.en
    assert kind.zh
