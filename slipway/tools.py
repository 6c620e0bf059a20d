"""The tools that every project has in its folder tools/, as modules."""

import sys
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

from slipway.project import CHECKOUT


class Loader(SourceFileLoader):
    """Leaves no bytecode in the template, where it would be a file of every project."""

    def set_data(self, *_: Any, **__: Any) -> None:
        """Keep nothing."""


@cache
def tool(name: str) -> ModuleType:
    """A tool. One that imports another finds it only after that was asked for."""
    place = str(CHECKOUT / "template" / "tools" / f"{name}.py")
    spec = spec_from_file_location(name, place, loader=Loader(name, place))
    assert spec and spec.loader
    module = module_from_spec(spec)
    # Dataclasses look their module up by its name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
