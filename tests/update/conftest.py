"""The small template, made once for all that start a project from it."""

import pytest

from tests.update.history import History, little


@pytest.fixture(scope="package")
def small(
    tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object
) -> History:
    return little(tmp_path_factory.mktemp("small") / "template")
