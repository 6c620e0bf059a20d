"""Free text survives: every file stays valid, and shows the text as it was typed."""

import re
import tomllib

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.parsers import parse
from tests.rendering import ANSWERS_FILE, render_tree

HOSTILE = r"""a "b" 'c' \n \ # {{ user_name }} {% raw %} {# x: [y](z) `k` <b> &amp; *d* _e_ ~f~ | - 1. $HOME %s 🚢 漢字 עִבְרִית"""
# Any script and any symbol, but for what the questions refuse.
texts = (
    st.text(
        st.characters(
            codec="utf-8",
            exclude_categories=("Cc", "Cs"),
            exclude_characters="\u2028\u2029\ufffe\uffff",
        ),
        min_size=1,
        max_size=60,
    )
    .map(str.strip)
    .filter(bool)
)


def shown(markdown: bytes) -> list[str]:
    """The text of each heading and paragraph, as a reader of this Markdown sees it."""
    blocks = [token.children or [] for token in MarkdownIt().parse(markdown.decode())]
    return [plain("".join(leaf.content for leaf in leaves)) for leaves in blocks]


def plain(text: str) -> str:
    """Markdown shows runs of white space as one space."""
    return re.sub(r"\s+", " ", text).strip()


def hold(project_name: str, description: str, user_name: str) -> None:
    """Render, parse every file, and find the words where they belong."""
    typed = {
        "project_name": project_name,
        "description": description,
        "user_name": user_name,
    }
    project = render_tree({**typed, "package_name": "own_name", "preset": "standard"})
    for path, content in project.items():
        parse(path, content)
    answers = yaml.safe_load(project[ANSWERS_FILE])
    assert {name: answers[name] for name in typed} == typed
    metadata = tomllib.loads(project["pyproject.toml"].decode())["project"]
    assert metadata["description"] == description
    assert metadata["authors"][0]["name"] == user_name
    readme = shown(project["README.md"])
    assert next(filter(None, readme)) == plain(project_name)
    assert plain(description) in readme[1:]
    assert user_name in project["LICENSE"].decode()


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(project_name=texts, description=texts, user_name=texts)
@example(project_name=HOSTILE, description=HOSTILE, user_name=HOSTILE)
@example(project_name="{{ nothing }}", description="- item", user_name="null")
@example(project_name="yes", description="1e3", user_name="---")
@example(project_name="# x", description="\\", user_name='"')
def test_any_text_stays_valid_and_shows_as_typed(
    project_name: str, description: str, user_name: str
) -> None:
    hold(project_name, description, user_name)


@pytest.mark.parametrize("email", ["o'neil+{{x}}@example.com", "#a&b@example.com"])
def test_an_odd_address_reaches_the_metadata(email: str) -> None:
    project = render_tree({"user_email": email})
    authors = tomllib.loads(project["pyproject.toml"].decode())["project"]["authors"]
    assert authors == [{"email": email}]
