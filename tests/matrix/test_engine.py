"""The engine says of an adversarial template what Copier says, for each combination, and refuses what it cannot decide."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.matrix.answers import Answer, Known, QuestionnaireError, Refusal
from tests.matrix.cells import Cell, NotDeterministicError
from tests.matrix.faults import faults
from tests.matrix.synthetic import (
    FILES,
    QUESTIONS,
    RAW,
    SETTINGS,
    adversary,
    brute_force,
    key,
    write,
)
from tests.matrix.template import Template, TooWideError
from tests.matrix.verdicts import shown

Project = dict[str, bytes | None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adversary(tmp_path_factory.mktemp("adversary"))


@pytest.fixture(scope="module")
def template(folder: Path) -> Template:
    return Template(folder)


@pytest.fixture(scope="module")
def real(folder: Path) -> list[tuple[dict[str, Any], Project | str]]:
    return list(brute_force(folder))


@pytest.fixture(scope="module")
def projects(real: list[tuple[dict[str, Any], Project | str]]) -> dict[str, Project]:
    """What Copier makes, by the answers."""
    return {key(answers): made for answers, made in real if isinstance(made, dict)}


def values(known: Known) -> dict[str, Any]:
    return {name: answer.value for name, answer in known.items() if not answer.hidden}


def test_it_knows_which_combinations_there_are(
    template: Template, projects: dict[str, Project]
) -> None:
    found = [key(values(known)) for known in template.questions.combinations()]
    assert sorted(found) == sorted(projects)
    assert template.questions.count() == len(projects)


def test_each_project_is_what_copier_makes(
    template: Template, projects: dict[str, Project]
) -> None:
    for known in template.questions.combinations():
        project = projects[key(values(known))]
        files = {p: text for p, text in project.items() if text is not None}
        assert template.tree(known) == files
        folders = {p for p, text in project.items() if text is None}
        assert template.folders(known) == folders | {"."}
    assert not faults(template)


def test_what_is_refused_is_what_copier_refuses_for_its_reason(
    template: Template, real: list[tuple[dict[str, Any], Project | str]]
) -> None:
    refusals = template.questions.refusals
    reasons = {refusal.question: refusal.reason for refusal in refusals}
    assert reasons["mode"] == "fast needs big"
    assert "small-gcp does not exist" in reasons["name"]
    for answers, said in real:
        if isinstance(said, str) and answers.get("region") in regions(answers["cloud"]):
            assert any(
                reason_applies(refusal, answers) and refusal.reason in said
                for refusal in refusals
            ), (answers, said)


def regions(cloud: str) -> list[Any]:
    known: dict[str, list[Any]] = {"aws": ["east", "west"], "gcp": ["north"]}
    return known.get(cloud, [None])


def reason_applies(refusal: Refusal, answers: dict[str, Any]) -> bool:
    given = values(refusal.known) | {refusal.question: refusal.value}
    return all(value == answers[n] for n, value in given.items() if n in answers)


def test_the_ways_of_a_file_are_all_combinations_each_once(template: Template) -> None:
    every = list(template.questions.combinations())
    for path in template.paths:
        ways = list(template.versions(path))
        assert sum(template.questions.count(known) for known, _ in ways) == len(every)
        for combination in every:
            fitting = [t for k, t in ways if k.items() <= combination.items()]
            assert fitting == [template.tree(combination).get(path)]


def test_a_file_is_rendered_once_for_what_it_reads(template: Template) -> None:
    four = template.paths["four.txt"][0].contents["()"]
    # One for each value at which a condition fails first, and one for all that hold.
    assert [cell.evaluations for cell in four] == [6]
    assert four[0].inputs() == {"size", "cloud", "secure", "mode"}
    assert template.questions_of("aws/deep.txt") == {"cloud", "secure"}
    assert template.questions_of("names.txt") == {"name", "secure", "mode"}
    assert template.questions_of("vault/key.txt") == {"secure", "token"}


def test_a_wide_file_is_cut_where_its_nodes_meet(template: Template) -> None:
    wide = template.paths["wide.md"][0].contents["()"]
    whole = len({text for _, text in template.versions("wide.md")})
    assert whole > 64
    assert len(wide) > 4
    assert sum(cell.evaluations for cell in wide) < whole


def test_the_answers_file_is_cut_by_answers(template: Template) -> None:
    cells = template.paths[".copier-answers.yml"][0].contents["()"]
    assert max(len(cell.inputs()) for cell in cells) == 1
    assert {key for cell in cells for key in cell.inputs()} == {
        *RAW,
        "name",
        "derived",
        "token",
    }


def test_each_arm_is_seen_as_it_is_taken(template: Template) -> None:
    taken = {text: arms for (text, _, _), arms in template.arms.items()}
    assert taken["template/four.txt.jinja"] == {True, False}
    assert taken["{{ '.' if derived }}"] == {True, False}


def test_a_sample_is_one_of_them(template: Template) -> None:
    random = Random(1)
    every = {key(values(known)) for known in template.questions.combinations()}
    drawn = {key(values(template.questions.sample(random))) for _ in range(60)}
    assert drawn < every
    assert len(drawn) > 20


def test_free_text_takes_the_values_that_are_named(folder: Path) -> None:
    template = Template(folder, {"token": ["a", "b"], "name": ["own", "small-gcp"]})
    plain = len({key(values(k)) for k in template.questions.combinations()})
    assert template.questions.count() == plain * 2
    assert b"a\n" in {text for _, text in template.versions("vault/key.txt")}
    refused = [r for r in template.questions.refusals if r.question == "name"]
    assert [(r.known, r.value) for r in refused] == [({}, "small-gcp")]


def small(folder: Path, path: str, text: str, questions: str = QUESTIONS) -> Template:
    files = {"copier.yml": SETTINGS + questions, f"template/{path}": text}
    hooks = {path: text for path, text in FILES.items() if path.startswith("hooks/")}
    return Template(write(folder, {**files, **hooks}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ now() }}", "now depends on the clock"),
        ("{{ '%Y' | strftime }}", "strftime depends on the clock"),
        ("{{ make_secret() }}", "make_secret depends on chance"),
        ("{{ [1, 2] | random }}", "random depends on chance"),
        ("{{ [1, 2] | shuffle | join }}", "shuffle depends on chance"),
        ("{{ lipsum() }}", "lipsum depends on chance"),
        ("{{ _copier_conf.dst_path }}", "_copier_conf.dst_path depends on how"),
        ("{{ _copier_conf.data }}", "_copier_conf.data depends on how"),
        ("{{ _copier_conf | to_json }}", "_copier_conf as a whole"),
        ("{{ _folder_name }}", "_folder_name depends on the folder"),
        ("{{ '~' | expanduser }}", "expanduser depends on whose"),
        ("{{ unheard_of }}", "'unheard_of' is undefined"),
        ("{% if %}", "Expected an expression"),
    ],
)
def test_what_is_not_decided_by_answers_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    template = small(tmp_path, "a.txt.jinja", f"{{% if secure %}}{text}{{% endif %}}")
    failed = {failing.problem for failing in faults(template)}
    assert any(reason in said for said in failed), failed
    assert all(f.subject == "a.txt.jinja" for f in faults(template))


def test_a_failure_names_the_answers_under_which_it_happens(tmp_path: Path) -> None:
    text = "{% if secure and mode == 'fast' %}{{ typo }}{% endif %}"
    template = small(tmp_path, "a.txt.jinja", text)
    (failing,) = faults(template)
    assert [shown(answers) for answers in failing.answers] == ["secure=True, mode=fast"]
    path = small(tmp_path / "path", "{{ typo if secure }}/a.txt", "")
    assert {shown(*failing.answers) for failing in faults(path)} == {"secure=True"}


@pytest.mark.parametrize(
    "place", ["{{ '..' }}/a", "{{ '%c' | format(47) if secure }}/a"]
)
def test_a_path_outside_the_project_is_refused(tmp_path: Path, place: str) -> None:
    assert "outside" in faults(small(tmp_path, place, ""))[-1].problem


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ("{{ 'a.txt' if secure }}", "{{ 'a.txt' if size == 'big' }}", "a.txt"),
        ("{{ '.' if secure }}/a.txt", "{{ '.' if size == 'big' }}/a.txt", "a.txt"),
        ("{{ 'a' if secure }}", "{{ 'a' if size == 'big' }}/b.txt", "a"),
    ],
)
def test_two_sources_at_one_path_are_named_with_the_answers(
    tmp_path: Path, one: str, other: str, path: str
) -> None:
    write(tmp_path, {f"template/{other}": "other"})
    met = [f for f in faults(small(tmp_path, one, "one")) if f.check == "meets"]
    assert path in {failing.subject.partition("/")[0] for failing in met}
    for failing in met:
        assert "meet" in failing.problem
        (answers,) = failing.answers
        assert values(answers) == {"secure": True, "size": "big"}
    apart = write(tmp_path / "apart", {"template/{{ 'a.txt' if not secure }}": "other"})
    assert not faults(small(apart, "{{ 'a.txt' if secure }}", "one"))


def test_what_reads_too_much_at_once_is_refused(tmp_path: Path) -> None:
    questions = "".join(f"q{n}: {{type: bool, default: true}}\n" for n in range(13))
    questions += "secure: {type: bool, default: true}\n"
    names = " ~ ".join(f"q{n}" for n in range(13))
    with pytest.raises(TooWideError, match="a.txt"):
        small(tmp_path, "a.txt.jinja", f"{{{{ {names} }}}}", questions)


def test_a_question_that_copier_cannot_ask_fails(tmp_path: Path) -> None:
    for asked in ('when: "{{ typo }}"', 'when: "{{ now() }}"', "choices: '{{ typo }}'"):
        questions = (
            f"secure: {{type: bool, default: true}}\nq: {{type: str, {asked}}}\n"
        )
        with pytest.raises(QuestionnaireError, match="q: "):
            small(tmp_path, "a.txt", "", questions)


def test_a_text_that_a_person_is_shown_must_not_fail(tmp_path: Path) -> None:
    questions = """
secure: {type: bool, default: true}
q: {type: str, help: "{{ typo if secure }}", default: a}
r: {type: str, choices: [a], default: "{{ 'b' if secure else 'a' }}"}
"""
    asked = small(tmp_path, "a.txt", "", questions).questions
    failed = []
    for cell in asked.texts():
        try:
            list(asked.explore(cell))
        except QuestionnaireError as error:
            failed.append(str(error))
    assert ["typo" in failed[0], "'b' is not in ['a']" in failed[1]] == [True, True]


def test_a_cell_that_is_not_a_function_is_found() -> None:
    keys: Iterator[str] = iter(["a", "b"])
    cell = Cell("fickle", lambda trace: trace(next(keys)))
    assert cell(lambda key: 1) == 1
    with pytest.raises(NotDeterministicError, match="fickle read a, then b"):
        cell(lambda key: 2)


def test_values_of_different_types_are_different_answers() -> None:
    assert len({Answer.of(value) for value in (1, True, "1", 1.0, None, "None")}) == 6
