"""Load the modules of template/tools/, which every project contains, into this process."""

import sys
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

from slipway.project import CHECKOUT


class LoaderWithoutBytecode(SourceFileLoader):
    """A loader that caches no bytecode: in template/ it would become a file of every project."""

    def set_data(self, *_: Any, **__: Any) -> None:
        """Discard the bytecode."""


@cache
def load_tool(name: str) -> ModuleType:
    """Return template/tools/NAME.py as a module. Load the tools that it imports first."""
    path = str(CHECKOUT / "template" / "tools" / f"{name}.py")
    loader = LoaderWithoutBytecode(name, path)
    spec = spec_from_file_location(name, path, loader=loader)
    assert spec and spec.loader
    module = module_from_spec(spec)
    # Dataclasses look up their module by name, and tools import each other by name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
