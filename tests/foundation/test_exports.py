"""Every package exports what its `__all__` says, no more and no less, and every name resolves."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import types
from pathlib import Path

import pytest

import hagane

PACKAGES = sorted(
    ["hagane", *(module.name for module in pkgutil.walk_packages(hagane.__path__, "hagane.") if module.ispkg)]
)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_of_all_resolves(name):
    package = importlib.import_module(name)
    assert isinstance(package.__all__, list)
    assert len(set(package.__all__)) == len(package.__all__)
    for exported in package.__all__:
        assert getattr(package, exported) is not None


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_in_all(name):
    package = importlib.import_module(name)
    public = {key for key, value in vars(package).items() if not key.startswith("_") and not borrowed(value)}
    assert public - set(package.__all__) - {"annotations", "TYPE_CHECKING"} == set()


def borrowed(value: object) -> bool:
    """Modules, and what the package imported from elsewhere for its own use."""
    home = getattr(value, "__module__", None)
    return isinstance(value, types.ModuleType) or (isinstance(home, str) and not home.startswith("hagane"))


@pytest.mark.parametrize("name", PACKAGES)
def test_type_checkers_see_the_same_names(name):
    package = importlib.import_module(name)
    tree = ast.parse(Path(str(package.__file__)).read_text())
    bound = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            bound.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
    assert set(package.__all__) - bound == set()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = hagane.nothing_of_that_name
