"""The doctor: each of its codes provoked in a project that follows real releases, and its cure tried."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway.tools import load_tool
from tests import quick
from tests.checkout import bare_environment
from tests.checks.environment import environment
from tests.ownership import row
from tests.releases import Follower, Template, git
from tests.rendering import ANSWERS_FILE, ROOT, render_tree, settings
from tests.trees import template

Change = Callable[[Path], object]
UPDATING = ROOT / "docs" / "updating.md"
light, python, tmp_path = quick.light, quick.python, quick.tmp_path
doctor, doctor_models = load_tool("doctor"), load_tool("doctor_models")
CODES = doctor.CODES | doctor_models.CODES


@pytest.fixture(scope="module")
def whole(default_gitconfig: object) -> Iterator[Path]:
    """A healthy project of the third release; none of the three differs from another."""
    with quick.folder() as folder:
        yield healthy(Path(folder))


def healthy(folder: Path) -> Path:
    template = Template(folder / "template")
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        template.release(version)
    project = Follower(template, folder / "project")
    subprocess.run(["uv", "lock", "--quiet"], cwd=project.folder, check=True)
    project.commit("locked")
    return project.folder


@pytest.fixture
def project(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "project", symlinks=True))


def shell(command: str) -> Change:
    """What a person types in the project, with uv at hand."""

    def typed(project: Path) -> None:
        uv = Path(shutil.which("uv") or "uv").parent
        settings = {**os.environ, **bare_environment()}
        settings["PATH"] = f"{uv}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(["bash", "-ec", command], cwd=project, env=settings, check=True)

    return typed


def replaced(path: str, old: str, new: str) -> Change:
    """A text of a file is another."""

    def replace(project: Path) -> None:
        text = (project / path).read_text("utf-8")
        assert old in text
        (project / path).write_text(text.replace(old, new), "utf-8")

    return replace


def private_key(project: Path, mode: int = 0o600) -> None:
    """A file that looks like the key that signs models."""
    path = project / "signing" / "private.pem"
    path.parent.mkdir(exist_ok=True)
    path.write_text("-----BEGIN PRIVATE KEY-----\n")
    path.chmod(mode)
    (path.parent / "public.pem").write_text("-----BEGIN PUBLIC KEY-----\n")
    path.with_name("public.pem").chmod(0o644)


def tracked(project: Path) -> None:
    """A key that was added to git by force."""
    private_key(project)
    shell("git add --force signing")(project)


PERSONAL = "columns: [{name: who, pii: true, categories: [Ann]}, {name: age, pii: true}, {name: kind, categories: [a]}]"


def stored(project: Path) -> None:
    """A store whose champion is signed, and the version before it isn't."""
    for version in ("1", "2"):
        (project / "store" / "versions" / version).mkdir(parents=True)
    (project / "store/versions/2/manifest.sig").touch()
    champion = {"version": "2", "before": ["1", "9"]}
    (project / "store/champion.json").write_text(json.dumps(champion))


def recorded(name: str, value: str) -> Change:
    """The answers file says something else."""

    def record(project: Path) -> None:
        text = (project / ANSWERS_FILE).read_text("utf-8")
        changed = re.sub(rf"^{name}: .*$", f"{name}: {value}", text, flags=re.MULTILINE)
        assert changed != text
        (project / ANSWERS_FILE).write_text(changed, "utf-8")

    return record


def torn(project: Path) -> None:
    """Two branches: one changes a file, the other removes it."""
    for branch, change in (
        ("removed", "git rm --quiet README.md"),
        ("changed", "echo Mine. >> README.md"),
    ):
        git(project, "switch", "--quiet", "--create", branch, "main")
        shell(f"{change} && git commit --quiet --all --message {branch}")(project)
    done = subprocess.run(
        ["git", "merge", "--quiet", "removed"], check=False, cwd=project
    )
    assert done.returncode


def updated(project: Path) -> None:
    """As `make update` does it, but for the project's own tests, which take minutes."""
    stand_in = project.parent / "uv"
    real = shutil.which("uv")
    stand_in.write_text(f'#!/bin/sh\n[ "$1" = run ] || exec {real} "$@"\n')
    stand_in.chmod(0o755)
    subprocess.run(
        [sys.executable, "tools/update.py"],
        cwd=project,
        env={**os.environ, "UV": str(stand_in)},
        check=True,
    )


MARKED = "<<<<<<< before updating\nMine.\n=======\nTheirs.\n>>>>>>> after updating\n"
SLIPWAYS = "tools/infer.py"
commit = shell("git add --all && git commit --quiet --message Broken")
# Code, what breaks: what provokes it, and what a person makes of its cure. Where nothing
# is to be made of it, it is run as it is told.
CASES: dict[tuple[str, str], tuple[Change, Change | None]] = {
    ("no-repository", "none"): (
        shell("rm -rf .git"),
        None,
    ),
    ("conflict-marker", "marks"): (
        replaced("README.md", "## Two commands\n", MARKED),
        lambda p: (replaced("README.md", MARKED, "")(p), shell("git add README.md")(p)),
    ),
    ("rejected-hunk", "ignored"): (
        shell("echo '*.rej' > .git/info/exclude; echo Theirs. > docs/guide.md.rej"),
        shell("rm docs/guide.md.rej"),
    ),
    ("unmerged", "removed there, changed here"): (torn, shell("git add README.md")),
    ("setting-without-value", "empty"): (
        lambda p: (p / ".env").write_text("HOST=0.0.0.0\nexport PORT= # later\n"),
        lambda p: (p / ".env").write_text("HOST=0.0.0.0\n"),
    ),
    ("tracked-key", "private"): (
        tracked,
        shell("git rm --quiet --cached signing/private.pem"),
    ),
    ("readable-key", "private"): (
        lambda p: private_key(p, 0o640),
        shell("chmod 600 signing/private.pem"),
    ),
    ("unsigned-model", "before"): (
        stored,
        lambda p: (p / "store/versions/1/manifest.sig").touch(),
    ),
    ("personal-values", "listed"): (
        lambda p: (p / "schema.yaml").write_text(PERSONAL),
        lambda p: (p / "schema.yaml").write_text("columns: []"),
    ),
    ("stale-lock", "old"): (
        replaced("pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"'),
        None,
    ),
    ("stale-lock", "none"): (shell("rm uv.lock"), None),
    ("no-answers", "none"): (
        shell(f"git rm --quiet {ANSWERS_FILE} && git commit --quiet --message Broken"),
        shell(f"git checkout HEAD~1 {ANSWERS_FILE}"),
    ),
    ("no-answers", "no YAML"): (
        lambda p: (p / ANSWERS_FILE).write_text("preset: [\n"),
        shell(f"git checkout HEAD {ANSWERS_FILE}"),
    ),
    ("no-answers", "no template"): (
        lambda p: (p / ANSWERS_FILE).write_text("preset: starter\n"),
        shell(f"git checkout HEAD {ANSWERS_FILE}"),
    ),
    ("no-answers", "no such choice"): (
        recorded("formatter", "prettier"),
        shell(f"git checkout HEAD {ANSWERS_FILE}"),
    ),
    ("source-unreachable", "moved"): (
        recorded("_src_path", "/nowhere/at/all"),
        shell(f"git checkout HEAD {ANSWERS_FILE}"),
    ),
    ("unknown-version", "no release"): (
        recorded("_commit", "1.2.0-3-gabc1234"),
        recorded("_commit", "1.2.0"),
    ),
    ("behind", "one"): (
        lambda p: (recorded("_commit", "1.1.0")(p), commit(p)),
        updated,
    ),
    ("unsupported", "two"): (
        lambda p: (recorded("_commit", "1.0.0")(p), commit(p)),
        updated,
    ),
    ("missing-file", "removed"): (
        shell(f"rm {SLIPWAYS}"),
        None,
    ),
    ("edited", "appended"): (
        shell(f"echo '# mine' >> {SLIPWAYS}"),
        # `make` itself is started by the cure of a file that is missing, which is the same.
        lambda p: run(p, "--restore", SLIPWAYS).check_returncode(),
    ),
}


# They look no further than the repository, which is quicker.
LOCAL = {
    *("conflict-marker", "no-repository", "rejected-hunk", "setting-without-value"),
    *("stale-lock", "unmerged", "tracked-key", "readable-key", "unsigned-model"),
    "personal-values",
}


def found(project: Path, network: bool = True) -> list[str]:
    return [each.code for each in doctor.examine(project, network=network)]


def test_a_fresh_project_is_healthy(whole: Path) -> None:
    assert found(whole) == []


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_code_is_provoked_and_cured(case: tuple[str, str], project: Path) -> None:
    (code, _), (provoke, cure) = case, CASES[case]
    provoke(project)
    (only,) = doctor.examine(project, network=code not in LOCAL)
    assert (only.code, only.severity) == (code, CODES[code][0])
    (cure or shell(only.cure))(project)
    assert found(project, network=code not in LOCAL) == []


@pytest.mark.parametrize("tool", ["git", "uv"])
def test_a_missing_tool_is_named(
    project: Path, tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bin_folder := tmp_path / "bin").mkdir()
    for other in {"git", "uv"} - {tool}:
        (bin_folder / other).symlink_to(str(shutil.which(other)))
    monkeypatch.setenv("PATH", str(bin_folder))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.chdir(tmp_path)
    (only,) = doctor.examine(project, network=False)
    assert (only.code, only.path) == ("missing-tool", tool)


def test_every_code_is_tried() -> None:
    assert {code for code, _ in CASES} | {"missing-tool"} == CODES.keys()


def checked(
    project: Path, code: str, field: str = "message", **answers: str
) -> list[str]:
    """Return the findings of one code that contributed checks report for a project without other findings."""
    (project / "tools").mkdir(exist_ok=True)
    for path, content in render_tree({"preset": "custom", **answers}).items():
        if path.startswith("tools/doctor"):
            (project / path).write_bytes(content)
    done = run(project, "--json", "--offline")
    findings = json.loads(done.stdout)["findings"]
    return [each[field] for each in findings if each["code"] == code]


def labels(project: Path, auth: str, log: str = "sqlite") -> list[str]:
    return checked(project, "early-labels", auth=auth, prediction_log=log)


SINCE = {"early": "2026-01-31T12:00:00+00:00", "later": "2026-12-31T12:00:00Z"}


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ({}, None),
        ({"keys/keys.json": ["later"]}, None),
        ({"keys/keys.json": ["later", "early"]}, "early may label"),
        ({".env": "KEYS=else/where.json\n", "else/where.json": ["early"]}, "early may"),
        ({"keys/keys.json": "{"}, None),
        ({"keys/keys.json": "[]"}, None),
        ({"keys/keys.json": '{"keys": [{"name": "a", "since": 1}]}'}, None),
    ],
)
def test_keys_that_keep_the_right_to_label_everything_are_named(
    tmp_path: Path, written: dict[str, str | list[str]], named: str | None
) -> None:
    for path, content in written.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        keys = [
            {"name": each, "since": SINCE[each]} for each in content if each in SINCE
        ]
        text = content if isinstance(content, str) else json.dumps({"keys": keys})
        (tmp_path / path).write_text(text)
    found = labels(tmp_path, "api_key")
    assert [named in message for message in found if named] == [True] * bool(named)
    assert len(found) == bool(named)
    shutil.rmtree(tmp_path / "tools")
    assert (
        labels(tmp_path, "api_key", "none") == []
    ), "without a log there are no labels"


SIGN = """
from ice_cream.kit.settings import Settings
from ice_cream.kit.store import Store

store = Store(Settings().store)
store.keys.make()
for version in ("1", "2"):
    (store.folder(version) / "manifest.json").write_bytes(b"{}")
    store.keys.sign(version, store.folder(version), b"{}")
"""


def test_models_that_no_trusted_key_has_signed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project's own code verifies the signatures, where it is installed."""
    for path, content in render_tree(
        {"preset": "custom", "project_name": "Ice cream"}
    ).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    stored(tmp_path)
    champion = {"version": "2", "manifest": "0" * 64, "since": "", "before": ["1"]}
    (tmp_path / "store/champion.json").write_text(json.dumps(champion))
    python = environment(template(), "ice_cream")
    monkeypatch.setenv("PYTHONPATH", "src")
    subprocess.run([str(python), "-c", SIGN], cwd=tmp_path, check=True)
    public = tmp_path / "signing" / "public.pem"
    public.write_text(public.read_text().replace("PUBLIC", "BROKEN"))
    assert checked(tmp_path, "unsigned-model") == [], "nothing is installed"
    (tmp_path / ".venv").symlink_to(python.parent.parent)
    what = "no key that this project trusts has signed version "
    assert checked(tmp_path, "unsigned-model") == [f"{what}1, 2"]
    public.write_text(public.read_text().replace("BROKEN", "PUBLIC"))
    assert checked(tmp_path, "unsigned-model") == []
    (tmp_path / "store/versions/1/manifest.json").write_bytes(b"{ }")
    assert checked(tmp_path, "unsigned-model") == [f"{what}1"]


DEVELOPER = """{"keys": [
{"name": "development", "since": "2026-01-31T12:00:00+00:00", "development": true},
{"name": "shop", "since": "2026-01-31T12:00:00+00:00", "development": false},
{"name": "till", "since": "2026-01-31T12:00:00+00:00", "development": false}]}"""


def test_the_commands_that_give_callers_new_keys_are_named(tmp_path: Path) -> None:
    """Not for the key of this machine's own commands, which stands in `.env`."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "keys.json").write_text(DEVELOPER)
    answers = {"auth": "api_key", "prediction_log": "sqlite", "project_name": "Tea"}
    (cure,) = checked(tmp_path, "early-labels", "cure", **answers)
    assert cure.startswith(
        "tea keys revoke shop && tea keys add shop; tea keys revoke till && tea keys add till (with --labels"
    )
    assert "development" not in cure


CHAMPION = '{"version": "7", "before": []}'


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ({}, []),
        ({"schema.yaml": PERSONAL}, ["who is personal, and its values are listed"]),
        ({"schema.yaml": "columns: [3]"}, []),
        ({"schema.yaml": "{"}, []),
        ({"store/champion.json": "{", "store/versions/7/schema.yaml": PERSONAL}, []),
        (
            {"store/champion.json": CHAMPION, "store/versions/7/schema.yaml": PERSONAL},
            ["version 7, which serves, holds the values of who"],
        ),
        (
            {
                ".env": "STORE=models\n",
                "models/champion.json": CHAMPION,
                "models/versions/7/schema.yaml": PERSONAL,
                "store/champion.json": "{",
            },
            ["version 7, which serves, holds the values of who"],
        ),
    ],
)
def test_personal_columns_whose_values_are_listed_are_named(
    tmp_path: Path, written: dict[str, str], named: list[str]
) -> None:
    for path, content in written.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    found = checked(tmp_path, "personal-values")
    assert len(found) == len(named)
    assert all(text in message for text, message in zip(named, found, strict=True))
    assert "Ann" not in "".join(found)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ("", False),
        ("JWT_SECRET=a\n", True),
        ("export JWT_KEYS_URL=https://example.com\n", True),
        ("JWT_SECRET=a\nLABEL_ROLE=label\n", False),
        ("JWT_SECRET=a\nLABEL_ROLE=\n", True),
        ("# JWT_SECRET=a\n", False),
    ],
)
def test_tokens_that_keep_the_right_to_label_everything_are_named(
    tmp_path: Path, settings: str, named: bool
) -> None:
    (tmp_path / ".env").write_text(settings)
    found = labels(tmp_path, "jwt")
    assert ["LABEL_ROLE is not set" in message for message in found] == [True] * named


def test_a_check_in_conflict_does_not_end_the_doctor(project: Path) -> None:
    (project / "tools" / "doctor_labels.py").write_text(MARKED)
    assert [each.code for each in doctor.examine(project, network=False)] == [
        "conflict-marker"
    ]
    done = run(project, "--json", "--offline")
    assert [each["code"] for each in json.loads(done.stdout)["findings"]] == [
        "conflict-marker"
    ]


def test_what_is_yours_or_shared_may_be_edited(project: Path) -> None:
    for path in git(project, "ls-files").splitlines():
        if doctor.owner(path) == "yours":
            (project / path).write_text("Mine.\n")
    replaced("README.md", "## Two commands\n", "Mine.\n")(project)
    assert found(project) == []


def test_line_endings_are_no_edit(project: Path) -> None:
    text = (project / SLIPWAYS).read_bytes()
    (project / SLIPWAYS).write_bytes(text.replace(b"\n", b"\r\n"))
    assert found(project) == []


def test_without_the_network_nobody_is_asked(project: Path) -> None:
    recorded("_src_path", "/nowhere/at/all")(project)
    shell(f"rm {SLIPWAYS}")(project)
    assert found(project, network=False) == []


def test_whose_a_file_is_stands_in_the_table_too() -> None:
    assert {p: doctor.owner(p) for p in template().files} == {
        p: row(p).owner for p in template().files
    }


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/doctor.py", *arguments]
    return subprocess.run(
        command, check=False, cwd=project, stdout=subprocess.PIPE, text=True
    )


def test_only_an_error_fails_and_json_tells_all(project: Path) -> None:
    healthy = run(project, "--json")
    assert healthy.returncode == 0
    report = {"version": "1.2.0", "newest": "1.2.0", "findings": []}
    assert json.loads(healthy.stdout) == report
    recorded("_commit", "1.1.0")(project)
    warned = run(project, "--json")
    assert warned.returncode == 0
    (told,) = json.loads(warned.stdout)["findings"]
    assert told.keys() == {"code", "severity", "path", "message", "cure"}
    assert (told["code"], told["severity"]) == ("behind", "warning")
    shell(f"rm {SLIPWAYS}")(project)
    failed = run(project)
    assert failed.returncode == 1
    assert f"{SLIPWAYS}: your answers give it" in failed.stdout


def test_what_is_yours_is_not_restored(project: Path) -> None:
    shell("echo mine >> params.yaml")(project)
    done = run(project, "--restore", "params.yaml")
    assert done.returncode == 1
    assert (project / "params.yaml").read_text("utf-8").endswith("mine\n")


def test_it_looks_where_the_project_itself_is_broken(project: Path) -> None:
    """A conflict in pyproject.toml or in the Makefile is told, and hides nothing."""
    for path in ("Makefile", "pyproject.toml"):
        (project / path).write_text(MARKED)
    shell(f"rm {SLIPWAYS}")(project)
    codes = ["conflict-marker", "conflict-marker", "missing-file"]
    assert found(project) == codes
    # As `make setup` leaves it on a machine without uv.
    fetched = project / ".tools" / "bin" / "uv"
    fetched.parent.mkdir(parents=True)
    fetched.symlink_to(str(shutil.which("uv")))
    for command in without_make(project):
        more = "--json" if "doctor" in command else "--help"
        words = ["sh", "-c", f"{command} {more}"]
        done = subprocess.run(
            words, cwd=project, env=bare_environment(), capture_output=True, check=False
        )
        if more == "--help":
            assert done.stdout.startswith(b"usage: make update"), done.stderr
        else:
            assert done.stdout, f"{command}: {done.stderr.decode()}"
            findings = json.loads(done.stdout)["findings"]
            assert [each["code"] for each in findings] == codes


def without_make(project: Path) -> set[str]:
    """The commands that the pages give a person whose make is broken."""
    command = re.compile(r"(?:^|`)([^`\n]*run tools/\w+\.py)", re.MULTILINE)
    guide = project / "docs" / "guide.md"
    unreleased = (ROOT / "CHANGELOG.md").read_text("utf-8").partition("\n## 0.2.0")[0]
    texts = [unreleased, *(p.read_text("utf-8") for p in (UPDATING, guide))]
    assert all(map(command.search, texts))
    return {found for text in texts for found in command.findall(text)}


def test_the_tools_run_the_copier_that_the_template_asks_for() -> None:
    floor = settings()["_min_copier_version"]
    for name in ("doctor", "update"):
        text = (ROOT / "template" / "tools" / f"{name}.py").read_text("utf-8")
        assert f'# dependencies = ["copier>={floor},<10"]\n' in text


def test_the_page_has_the_same_codes_and_cures() -> None:
    page = UPDATING.read_text("utf-8")
    assert (
        "| `early-labels` | warning |" in page
    ), "what options add has cures of its own"
    page = "".join(
        line for line in page.splitlines(True) if "`early-labels`" not in line
    )
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| .* \| (.*) \|$", page, re.MULTILINE)
    cures = {
        code: (severity, cure.replace("{path}", "FILE"))
        for code, (severity, cure) in CODES.items()
    }
    assert {c: (s, cure.replace("`", "")) for c, s, cure in rows} == {
        c: (s, cure.replace("`", "")) for c, (s, cure) in cures.items()
    }
