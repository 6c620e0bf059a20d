"""The manifests in options/ fit the questionnaire, and what is generated from them is fresh."""

import re

import pytest

from tests.manifests import CORE, TARGETS, Manifest, manifests
from tests.rendering import CHOICES, QUESTIONS, ROOT

OPTIONS = {q: m for q, m in manifests().items() if q != CORE}


@pytest.mark.parametrize("path", TARGETS)
def test_what_is_generated_is_fresh(path: str) -> None:
    assert (ROOT / path).read_text("utf-8") == TARGETS[path](), "make examples"


def test_each_question_that_offers_a_choice_has_a_manifest_and_no_other() -> None:
    assert OPTIONS.keys() == CHOICES.keys()


@pytest.mark.parametrize("manifest", OPTIONS.values(), ids=OPTIONS)
def test_a_manifest_names_answers_that_there_are(manifest: Manifest) -> None:
    offered = CHOICES[manifest.question]
    assert set(manifest.presets.values()) <= set(offered)
    assert set(manifest.words) <= set(offered)
    for words in manifest.words.values():
        assert all(map(re.compile, words))


def test_presets_suggest_an_answer_to_each_question_that_only_custom_asks() -> None:
    presets = [*QUESTIONS["preset"]["choices"].values()]
    suggesting = [preset for preset in presets if preset != "custom"]
    for question, manifest in OPTIONS.items():
        asked = "custom" in str(QUESTIONS[question].get("ask", ""))
        assert [*manifest.presets] == (suggesting if asked else []), question


def test_an_emitted_test_may_depend_on_questions_that_there_are() -> None:
    for manifest in manifests().values():
        for path, questions in manifest.tests.items():
            assert set(questions) <= set(CHOICES), path
