"""`make new DATA=... TARGET=...`: a stranger's table becomes a project that works, whatever else was answered."""

import random
import shlex
from pathlib import Path

import pytest

from slipway.adoption import Survey, Table, adopt, answer, next_steps, uv
from slipway.project import Project, Request, make
from slipway.refusal import Refusal
from tests.checkout import Checkout
from tests.drawn import PROVE, SEED
from tests.manifests import entry
from tests.matrix.answers import Known
from tests.matrix.verdicts import shown
from tests.real import lend_bytecode, lend_caches, run
from tests.releases import git
from tests.rendering import ROOT, Tree
from tests.test_oracle import without_origin
from tests.trees import template, values

TABLES = {
    "penguins": ("Species", "classification"),
    "breast_cancer": ("diagnosis", "classification"),
    "fares": ("fare", "regression"),
}
MORE = pytest.mark.prove(
    "each run adopts one of the tables, in turn; all are known to work"
)
# Coverage doubles the time, and a table changes nothing of what is covered: each run holds it in the presets' projects.
TESTS = ("make", "test") if PROVE else ("uv", "run", "--locked", "pytest")
IN_TURN = sorted(TABLES)[SEED % len(TABLES)]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three public tables of different shape, as CSV files."""
    folder = tmp_path_factory.mktemp("tables")
    packages = ("--with", "pandas", "--with", "scikit-learn")
    script = str(ROOT / "tests" / "tables" / "inside" / "public.py")
    run(folder, "uv", "run", "--no-project", *packages, "python", script, ".")
    return folder


def drawn(table: str) -> Known:
    """Answers by chance, for the problem that the table poses."""
    chance = random.Random(f"{SEED} {table}")
    while True:
        known = template().questions.sample(chance)
        if known["problem"].value == TABLES[table][1]:
            return known


def kept(project: Tree) -> Tree:
    """The files that a table of one's own changes nothing in."""
    files = without_origin(project).items()
    changed = {"data/dvc.yaml", "uv.lock"}
    return {p: c for p, c in files if p not in changed and entry(p).owner != "yours"}


def files_of(folder: Path) -> Tree:
    """The content of what git does not ignore."""
    listed = git(folder, "ls-files", "-z", "--others", "--exclude-standard")
    return {p: (folder / p).read_bytes() for p in listed.split("\0") if p}


@pytest.mark.parametrize(
    "table", [pytest.param(t, marks=[] if t == IN_TURN else MORE) for t in TABLES]
)
def test_a_table_of_ones_own_becomes_a_service(
    table: str,
    tables: Path,
    checkout: Checkout,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
) -> None:
    known = drawn(table)
    print(f"seed {SEED}: {shown(known)}")
    folder = tmp_path / "project"
    arguments = ["--defaults", "--quiet"]
    for name, given in values(known).items():
        arguments += ["--data", f"{name}={given}"]
    done = checkout.new(
        str(folder),
        f"ARGS={shlex.join(arguments)}",
        f"DATA={tables / table}.csv",
        f"TARGET={TABLES[table][0]}",
        "READ=--encoding utf-8 --separator ,",
    )
    assert done.returncode == 0, done.stdout
    assert TABLES[table][0] in (folder / "schema.yaml").read_text("utf-8")
    assert not (folder / "data" / "demo.py").exists()
    assert kept(files_of(folder)) == kept(template().tree(known))
    lend_bytecode(folder)
    lent = lend_caches(tmp_path_factory.getbasetemp())
    assert "model_version" in run(folder, "make", "demo", bare=False, **lent)
    run(folder, "make", "lint", bare=False, **lent)
    assert " passed" in run(folder, *TESTS, bare=False, **lent)


NUMBERS = "amount,size\n" + "".join(f"{n}.5,{n % 7}\n" for n in range(60))


@pytest.mark.parametrize(
    ("content", "target", "arguments", "sentence"),
    [
        ("a,b\n", "b", "", "0 rows have a value of b"),
        (NUMBERS, "amont", "", "no column amont, perhaps amount"),
        ("a,b\n1,2,3\n", "b", "", "cannot be read as a table"),
        (NUMBERS, "amount", "--data problem=classification", "does not fit: amount"),
        ("day,b\n3/4/2023,1\n", "b", "", 'goes into READ, as in: READ="--dates dmy"'),
    ],
)
def test_a_table_that_is_refused_leaves_nothing(
    checkout: Checkout,
    tmp_path: Path,
    content: str,
    target: str,
    arguments: str,
    sentence: str,
) -> None:
    table, folder = tmp_path / "table.csv", tmp_path / "project"
    table.write_text(content)
    settings = [f"DATA={table}", f"TARGET={target}", "REF=HEAD"]
    done = checkout.new(str(folder), f"ARGS=--defaults --quiet {arguments}", *settings)
    assert done.returncode != 0
    assert sentence in done.stdout
    assert "No project was made" in done.stdout
    assert "Traceback" not in done.stdout
    assert not folder.exists()


def test_the_problem_is_what_the_target_allows() -> None:
    notes: list[str] = []
    amount = Survey("", notes, {"regression": "numbers"}, {"classification": "x"})
    ways = {"classification": "3 classes", "regression": "numbers"}
    both = Survey("", notes, ways, {})
    assert (answer(amount, {}), answer(both, {})) == ("regression", "")
    assert answer(both, {"problem": "regression"}) == "regression"
    with pytest.raises(Refusal, match="problem=classification does not fit: x"):
        answer(amount, {"problem": "classification"})
    table = Table(Path("t.csv"), "size", {})
    assert list(both.summary(table))[1:] == [
        "size: 3 classes, so classification",
        "  (regression is possible too: numbers)",
    ]


def test_the_likelier_problem_is_the_default_on_top_of_the_users_own(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings.yml"
    settings.write_text("defaults: {user_name: Ada}\n")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(settings))
    dest, source = str(tmp_path / "ratings"), str(checkout.folder)
    request = Request.checked(dest, source, "", ["--defaults", "--quiet"])
    made = make(request, {"problem": "regression"})
    assert made
    names = ("problem", "user_name", "project_name")
    assert [made.answers[n] for n in names] == ["regression", "Ada", "Ratings"]


def test_a_path_is_shown_without_its_dots(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "t.csv").write_text(NUMBERS)
    table = Table.checked(str(tmp_path / "inside" / ".." / "t.csv"), "amount", {})
    assert table
    assert str(table.path) == str(tmp_path.resolve() / "t.csv")


@pytest.mark.parametrize("dvc", [True, False])
def test_the_next_steps_are_one_list_and_keep_the_table(
    tmp_path: Path, dvc: bool
) -> None:
    (tmp_path / "params.yaml").write_text("data:\n  source: data/raw.parquet\n")
    answers = {"project_name": "Churn", "package_name": "our_churn"}
    answers |= {"data_versioning": "dvc" if dvc else "none", "container": "docker"}
    lines = list(next_steps("../a place", Project(tmp_path, answers)))
    steps = [line.partition("    #")[0] for line in lines if line.startswith("  ")]
    kept = [
        "  . .venv/bin/activate && dvc add data/raw.parquet && git add data/raw.parquet.dvc",
        "  dvc repro && dvc push",
    ]
    shared = [
        "  dvc remote add --default shared URL && dvc push",
        '  git commit --message "Share the data" .dvc/config',
    ]
    assert steps == [
        "  cd '../a place'",
        "  make demo",
        "  make test",
        *(kept if dvc else []),
        '  git add --all && git commit --message "Start from Slipway"',
        "  docker build --tag our-churn .",
        *(shared if dvc else []),
    ]
    assert ("DVC" in "".join(lines)) == dvc


def test_the_steps_of_a_project_with_its_own_table_come_after_the_table(
    checkout: Checkout, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    request = Request.checked(
        str(tmp_path / "churn"), str(checkout.folder), "", ["--defaults"]
    )
    made = make(request, adopts=True)
    assert made
    assert "adopts" not in made.answers
    said = capfd.readouterr().err
    assert "Churn was created. Slipway now installs its dependencies and" in said
    assert "adopts your table." in said
    assert "make demo" not in said


def test_a_failure_after_the_project_was_made_names_the_way_on(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("setup:\n\tfalse\n")
    table = Table(Path("/tables/t.csv"), "b", {"encoding": "", "dates": "dmy"})
    with pytest.raises(Refusal, match=f"the project is in {tmp_path}") as caught:
        adopt(table, Project(tmp_path, {}))
    end = f"cd {tmp_path} && make setup && {uv()} run python tools/adopt.py "
    assert str(caught.value).endswith(f"{end}/tables/t.csv --target b --dates dmy")
