"""The small template, created once for all tests that start a project from it."""

import pytest

from tests.update.history import History, build_small


@pytest.fixture(scope="package")
def small(
    tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object
) -> History:
    return build_small(tmp_path_factory.mktemp("small") / "template")
