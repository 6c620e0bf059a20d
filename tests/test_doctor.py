"""The doctor: each of its codes is provoked in a project that follows real releases, and its cure is tried."""

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
from tests.manifests import entry
from tests.releases import Follower, Template, git
from tests.rendering import ANSWERS_FILE, ROOT, render_tree, settings
from tests.trees import template

Change = Callable[[Path], object]
UPDATING = ROOT / "docs" / "updating.md"
light, python, tmp_path = quick.light, quick.python, quick.tmp_path
doctor, doctor_models = load_tool("doctor"), load_tool("doctor_models")
CODES = doctor.CODES | doctor_models.CODES


@pytest.fixture(scope="module")
def healthy_project(default_gitconfig: object) -> Iterator[Path]:
    """A healthy project of the last of three equal releases."""
    with quick.folder() as folder:
        yield create_healthy(Path(folder))


def create_healthy(folder: Path) -> Path:
    template = Template(folder / "template")
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        template.release(version)
    project = Follower(template, folder / "project")
    subprocess.run(["uv", "lock", "--quiet"], cwd=project.folder, check=True)
    project.commit("locked")
    return project.folder


@pytest.fixture
def project(healthy_project: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(healthy_project, tmp_path / "project", symlinks=True))


def shell(command: str) -> Change:
    """Return a change that runs a command in the project, with uv on PATH."""

    def run_in_shell(project: Path) -> None:
        uv = Path(shutil.which("uv") or "uv").parent
        settings = {**os.environ, **bare_environment()}
        settings["PATH"] = f"{uv}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(["bash", "-ec", command], cwd=project, env=settings, check=True)

    return run_in_shell


def replace_text(path: str, old: str, new: str) -> Change:
    """Return a change that replaces a text in a file."""

    def replace(project: Path) -> None:
        text = (project / path).read_text("utf-8")
        assert old in text
        (project / path).write_text(text.replace(old, new), "utf-8")

    return replace


def write_private_key(project: Path, mode: int = 0o600) -> None:
    """Write files that look like the keys for signing models."""
    path = project / "signing" / "private.pem"
    path.parent.mkdir(exist_ok=True)
    path.write_text("-----BEGIN PRIVATE KEY-----\n")
    path.chmod(mode)
    (path.parent / "public.pem").write_text("-----BEGIN PUBLIC KEY-----\n")
    path.with_name("public.pem").chmod(0o644)


def track_private_key(project: Path) -> None:
    """Add a private key to git in spite of .gitignore."""
    write_private_key(project)
    shell("git add --force signing")(project)


PERSONAL = "columns: [{name: who, pii: true, categories: [Ann]}, {name: age, pii: true}, {name: kind, categories: [a]}]"


def write_store(project: Path) -> None:
    """Write a store with a signed champion and an unsigned version before it."""
    for version in ("1", "2"):
        (project / "store" / "versions" / version).mkdir(parents=True)
    (project / "store/versions/2/manifest.sig").touch()
    champion = {"version": "2", "before": ["1", "9"]}
    (project / "store/champion.json").write_text(json.dumps(champion))


def change_record(name: str, value: str) -> Change:
    """Return a change of a value in the answers file."""

    def change(project: Path) -> None:
        text = (project / ANSWERS_FILE).read_text("utf-8")
        changed = re.sub(rf"^{name}: .*$", f"{name}: {value}", text, flags=re.MULTILINE)
        assert changed != text
        (project / ANSWERS_FILE).write_text(changed, "utf-8")

    return change


def merge_with_conflict(project: Path) -> None:
    """Merge a branch that changes a file with one that deletes it."""
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


def update(project: Path) -> None:
    """Update as `make update` does, but without the project's tests, which take minutes."""
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
CASES: dict[tuple[str, str], tuple[Change, Change | None]] = {
    ("no-repository", "none"): (
        shell("rm -rf .git"),
        None,
    ),
    ("conflict-marker", "marks"): (
        replace_text("README.md", "## Two commands\n", MARKED),
        lambda p: (
            replace_text("README.md", MARKED, "")(p),
            shell("git add README.md")(p),
        ),
    ),
    ("rejected-hunk", "ignored"): (
        shell("echo '*.rej' > .git/info/exclude; echo Theirs. > docs/guide.md.rej"),
        shell("rm docs/guide.md.rej"),
    ),
    ("unmerged", "removed there, changed here"): (
        merge_with_conflict,
        shell("git add README.md"),
    ),
    ("setting-without-value", "empty"): (
        lambda p: (p / ".env").write_text("HOST=0.0.0.0\nexport PORT= # later\n"),
        lambda p: (p / ".env").write_text("HOST=0.0.0.0\n"),
    ),
    ("tracked-key", "private"): (
        track_private_key,
        shell("git rm --quiet --cached signing/private.pem"),
    ),
    ("readable-key", "private"): (
        lambda p: write_private_key(p, 0o640),
        shell("chmod 600 signing/private.pem"),
    ),
    ("unsigned-model", "before"): (
        write_store,
        lambda p: (p / "store/versions/1/manifest.sig").touch(),
    ),
    ("personal-values", "listed"): (
        lambda p: (p / "schema.yaml").write_text(PERSONAL),
        lambda p: (p / "schema.yaml").write_text("columns: []"),
    ),
    ("stale-lock", "old"): (
        replace_text("pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"'),
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
        change_record("formatter", "prettier"),
        shell(f"git checkout HEAD {ANSWERS_FILE}"),
    ),
    ("source-unreachable", "moved"): (
        change_record("_src_path", "/nowhere/at/all"),
        shell(f"git checkout HEAD {ANSWERS_FILE}"),
    ),
    ("unknown-version", "no release"): (
        change_record("_commit", "1.2.0-3-gabc1234"),
        change_record("_commit", "1.2.0"),
    ),
    ("behind", "one"): (
        lambda p: (change_record("_commit", "1.1.0")(p), commit(p)),
        update,
    ),
    ("unsupported", "two"): (
        lambda p: (change_record("_commit", "1.0.0")(p), commit(p)),
        update,
    ),
    ("missing-file", "removed"): (
        shell(f"rm {SLIPWAYS}"),
        None,
    ),
    ("edited", "appended"): (
        shell(f"echo '# mine' >> {SLIPWAYS}"),
        # The case of a missing file, whose cure is the same, runs it through `make`.
        lambda p: run(p, "--restore", SLIPWAYS).check_returncode(),
    ),
}
"""By code and case: how to provoke the finding, and how to fix it. Without a fix, its cure runs as a command."""


LOCAL = {
    *("conflict-marker", "no-repository", "rejected-hunk", "setting-without-value"),
    *("stale-lock", "unmerged", "tracked-key", "readable-key", "unsigned-model"),
    "personal-values",
}
"""The codes that need no network, which is quicker."""


def find_codes(project: Path, network: bool = True) -> list[str]:
    return [each.code for each in doctor.examine(project, network=network)]


def test_a_fresh_project_is_healthy(healthy_project: Path) -> None:
    assert find_codes(healthy_project) == []


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_the_cure_of_each_code_works(case: tuple[str, str], project: Path) -> None:
    (code, _), (provoke, cure) = case, CASES[case]
    provoke(project)
    (only,) = doctor.examine(project, network=code not in LOCAL)
    assert (only.code, only.severity) == (code, CODES[code][0])
    (cure or shell(only.cure))(project)
    assert find_codes(project, network=code not in LOCAL) == []


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


def test_every_code_has_a_case() -> None:
    assert {code for code, _ in CASES} | {"missing-tool"} == CODES.keys()


def run_check(
    project: Path, code: str, field: str = "message", **answers: str
) -> list[str]:
    """Return a field of the findings with one code, of the checks that options contribute."""
    (project / "tools").mkdir(exist_ok=True)
    for path, content in render_tree({"preset": "custom", **answers}).items():
        if path.startswith("tools/doctor"):
            (project / path).write_bytes(content)
    done = run(project, "--json", "--offline")
    findings = json.loads(done.stdout)["findings"]
    return [each[field] for each in findings if each["code"] == code]


def check_labels(project: Path, auth: str, log: str = "sqlite") -> list[str]:
    return run_check(project, "early-labels", auth=auth, prediction_log=log)


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
def test_keys_that_may_label_everything_are_named(
    tmp_path: Path, written: dict[str, str | list[str]], named: str | None
) -> None:
    for path, content in written.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        keys = [
            {"name": each, "since": SINCE[each]} for each in content if each in SINCE
        ]
        text = content if isinstance(content, str) else json.dumps({"keys": keys})
        (tmp_path / path).write_text(text)
    messages = check_labels(tmp_path, "api_key")
    assert [named in message for message in messages if named] == [True] * bool(named)
    assert len(messages) == bool(named)
    shutil.rmtree(tmp_path / "tools")
    assert (
        check_labels(tmp_path, "api_key", "none") == []
    ), "there are no labels without a log"


SIGN = """
from ice_cream.kit.settings import Settings
from ice_cream.kit.store import Store

store = Store(Settings().store)
store.keys.make()
for version in ("1", "2"):
    (store.folder(version) / "manifest.json").write_bytes(b"{}")
    store.keys.sign(version, store.folder(version), b"{}")
"""


def test_models_without_a_trusted_signature_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project's own code verifies the signatures, if it is installed."""
    for path, content in render_tree(
        {"preset": "custom", "project_name": "Ice cream"}
    ).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    write_store(tmp_path)
    champion = {"version": "2", "manifest": "0" * 64, "since": "", "before": ["1"]}
    (tmp_path / "store/champion.json").write_text(json.dumps(champion))
    python = environment(template(), "ice_cream")
    monkeypatch.setenv("PYTHONPATH", "src")
    subprocess.run([str(python), "-c", SIGN], cwd=tmp_path, check=True)
    public = tmp_path / "signing" / "public.pem"
    public.write_text(public.read_text().replace("PUBLIC", "BROKEN"))
    assert run_check(tmp_path, "unsigned-model") == [], "nothing is installed"
    (tmp_path / ".venv").symlink_to(python.parent.parent)
    what = "no key that this project trusts has signed version "
    assert run_check(tmp_path, "unsigned-model") == [f"{what}1, 2"]
    public.write_text(public.read_text().replace("BROKEN", "PUBLIC"))
    assert run_check(tmp_path, "unsigned-model") == []
    (tmp_path / "store/versions/1/manifest.json").write_bytes(b"{ }")
    assert run_check(tmp_path, "unsigned-model") == [f"{what}1"]


DEVELOPER = """{"keys": [
{"name": "development", "since": "2026-01-31T12:00:00+00:00", "development": true},
{"name": "shop", "since": "2026-01-31T12:00:00+00:00", "development": false},
{"name": "till", "since": "2026-01-31T12:00:00+00:00", "development": false}]}"""


def test_the_commands_that_give_callers_new_keys_are_named(tmp_path: Path) -> None:
    """But not for the development key in `.env`, which the commands on this machine use."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "keys.json").write_text(DEVELOPER)
    answers = {"auth": "api_key", "prediction_log": "sqlite", "project_name": "Tea"}
    (cure,) = run_check(tmp_path, "early-labels", "cure", **answers)
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
def test_personal_columns_with_listed_values_are_named(
    tmp_path: Path, written: dict[str, str], named: list[str]
) -> None:
    for path, content in written.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    messages = run_check(tmp_path, "personal-values")
    assert len(messages) == len(named)
    assert all(text in message for text, message in zip(named, messages, strict=True))
    assert "Ann" not in "".join(messages)


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
def test_tokens_that_may_label_everything_are_named(
    tmp_path: Path, settings: str, named: bool
) -> None:
    (tmp_path / ".env").write_text(settings)
    messages = check_labels(tmp_path, "jwt")
    assert ["LABEL_ROLE is not set" in message for message in messages] == [
        True
    ] * named


def test_without_the_list_of_owners_nothing_of_the_owners_is_called_edited(
    project: Path,
) -> None:
    owners = project / "tools" / "owners.toml"
    (project / "README.md").write_text("Mine.\n")
    for damage in (owners.unlink, lambda: owners.write_text("yours = [")):
        damage()
        found = json.loads(run(project, "--json").stdout)["findings"]
        assert [each["path"] for each in found] == ["tools/owners.toml"]
        assert run(project, "--restore", "tools/owners.toml").returncode == 0
    assert "shared" in (project / "tools/owners.toml").read_text("utf-8")
    owners.write_text(MARKED)
    found = json.loads(run(project, "--json").stdout)["findings"]
    assert [each["code"] for each in found] == ["conflict-marker"]


def test_a_conflict_in_a_check_does_not_stop_the_doctor(project: Path) -> None:
    (project / "tools" / "doctor_labels.py").write_text(MARKED)
    assert [each.code for each in doctor.examine(project, network=False)] == [
        "conflict-marker"
    ]
    done = run(project, "--json", "--offline")
    assert [each["code"] for each in json.loads(done.stdout)["findings"]] == [
        "conflict-marker"
    ]


def test_edits_of_yours_and_shared_files_are_no_findings(project: Path) -> None:
    for path in git(project, "ls-files").splitlines():
        if doctor.owner(path) == "yours":
            (project / path).write_text("Mine.\n")
    replace_text("README.md", "## Two commands\n", "Mine.\n")(project)
    assert find_codes(project) == []


def test_other_line_endings_are_no_edit(project: Path) -> None:
    text = (project / SLIPWAYS).read_bytes()
    (project / SLIPWAYS).write_bytes(text.replace(b"\n", b"\r\n"))
    assert find_codes(project) == []


def test_offline_the_template_is_not_asked(project: Path) -> None:
    change_record("_src_path", "/nowhere/at/all")(project)
    shell(f"rm {SLIPWAYS}")(project)
    assert find_codes(project, network=False) == []


def test_the_doctor_knows_the_owner_of_each_file() -> None:
    assert {p: doctor.owner(p) for p in template().files} == {
        p: entry(p).owner for p in template().files
    }


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/doctor.py", *arguments]
    return subprocess.run(
        command, check=False, cwd=project, stdout=subprocess.PIPE, text=True
    )


def test_only_errors_fail_and_json_has_all_fields(project: Path) -> None:
    passed = run(project, "--json")
    assert passed.returncode == 0
    report = {"version": "1.2.0", "newest": "1.2.0", "findings": []}
    assert json.loads(passed.stdout) == report
    change_record("_commit", "1.1.0")(project)
    warned = run(project, "--json")
    assert warned.returncode == 0
    (finding,) = json.loads(warned.stdout)["findings"]
    assert finding.keys() == {"code", "severity", "path", "message", "cure"}
    assert (finding["code"], finding["severity"]) == ("behind", "warning")
    shell(f"rm {SLIPWAYS}")(project)
    failed = run(project)
    assert failed.returncode == 1
    assert f"{SLIPWAYS}: your answers give it" in failed.stdout


def test_restore_refuses_a_file_of_yours(project: Path) -> None:
    shell("echo mine >> params.yaml")(project)
    done = run(project, "--restore", "params.yaml")
    assert done.returncode == 1
    assert (project / "params.yaml").read_text("utf-8").endswith("mine\n")


def test_the_doctor_runs_in_a_broken_project(project: Path) -> None:
    """A conflict in pyproject.toml or in the Makefile is reported, and hides no other finding."""
    for path in ("Makefile", "pyproject.toml"):
        (project / path).write_text(MARKED)
    shell(f"rm {SLIPWAYS}")(project)
    codes = ["conflict-marker", "conflict-marker", "missing-file"]
    assert find_codes(project) == codes
    # `make setup` installs uv here on a machine without it.
    fetched = project / ".tools" / "bin" / "uv"
    fetched.parent.mkdir(parents=True)
    fetched.symlink_to(str(shutil.which("uv")))
    for command in commands_without_make(project):
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


def commands_without_make(project: Path) -> set[str]:
    """Return the commands in the docs for a project with a broken Makefile."""
    command = re.compile(r"(?:^|`)([^`\n]*run tools/\w+\.py)", re.MULTILINE)
    guide = project / "docs" / "guide.md"
    unreleased = (ROOT / "CHANGELOG.md").read_text("utf-8").partition("\n## 0.2.0")[0]
    texts = [unreleased, *(p.read_text("utf-8") for p in (UPDATING, guide))]
    assert all(map(command.search, texts))
    return {match for text in texts for match in command.findall(text)}


def test_the_tools_require_the_copier_of_the_template() -> None:
    floor = settings()["_min_copier_version"]
    for name in ("doctor", "update"):
        text = (ROOT / "template" / "tools" / f"{name}.py").read_text("utf-8")
        assert f'# dependencies = ["copier>={floor},<10"]\n' in text


def test_the_docs_list_the_same_codes_and_cures() -> None:
    page = UPDATING.read_text("utf-8")
    assert (
        "| `early-labels` | warning |" in page
    ), "the codes that options contribute are listed too"
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
