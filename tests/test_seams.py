"""Options are named by fewer and fewer files outside their folder, their manifest and `copier.yml`."""

import tomllib
from pathlib import Path

import pytest

from tests.rendering import ROOT
from tests.seams import LEFT_OUT, leaks, named

LEAKS = tomllib.loads(Path(__file__).with_name("leaks.toml").read_text("utf-8"))


def test_no_file_names_an_option_that_it_did_not_name_before() -> None:
    found = leaks()
    for path, questions in found.items():
        new = sorted({*questions} - {*LEAKS.get(path, ())})
        assert (
            not new
        ), f"{path} names {new}: move that to the option's folder or manifest"
    idle = {path for path in LEAKS if LEAKS[path] != found.get(path)}
    assert not idle, f"take out of tests/leaks.toml what is named no longer: {idle}"


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("template/Makefile.jinja", "{% if container == 'docker' %}", {"container"}),
        ("template/Makefile.jinja", "run the container", set()),
        ("template/{{ '.' if auth == 'jwt' }}/a.jinja", "{% if auth %}", set()),
        ("template/{{ '.' if auth == 'jwt' }}/a.py", "psycopg", {"prediction_log"}),
        ("slipway/a.py", "answer == 'redis'", {"limits"}),
        ("slipway/a.py", "answer == 'none'", set()),
        ("tests/a.py", "planning", set()),
    ],
)
def test_what_counts_as_naming_an_option(
    path: str, text: str, expected: set[str]
) -> None:
    assert named(path, text) == expected


def test_what_is_left_out_is_there() -> None:
    assert all((ROOT / path).exists() for path in LEFT_OUT)
