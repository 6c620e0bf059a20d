"""Names that one file says of another, of a command or of a setting: each is there in the same project."""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import PurePosixPath

import yaml
from markdown_it import MarkdownIt

from tests.checks.dependencies import declared_sets
from tests.checks.tables import table
from tests.checks.texts import BUT
from tests.matrix.project import Project
from tests.matrix.verdicts import Check

# Programs of a bare machine, and what `uv run` finds beside the project's own command.
PYTHON = {"python", "python3"}
FENCES = {"fence", "code_block"}
MARKDOWN = MarkdownIt().enable("table")


@dataclass(frozen=True)
class Page:
    """The names that a Markdown page mentions."""

    links: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    """Its headings, as links name them."""
    code: tuple[str, ...] = ()
    """Code spans, and the lines of code blocks."""


@cache
def markdown(text: str) -> Page:
    """A page, section by section: pages have thousands of versions, and few sections."""
    read = [section(part) for part in sections(text)]
    return Page(*(tuple(chain.from_iterable(of)) for of in zip(*read, strict=True)))


def sections(text: str) -> Iterator[str]:
    """The parts of a page that begin with a heading; a fence hides what looks like one."""
    lines: list[str] = []
    fenced = False
    for line in text.splitlines(keepends=True):
        fenced ^= line.lstrip().startswith("```")
        if line.startswith("#") and not fenced and lines:
            yield "".join(lines)
            lines = []
        lines.append(line)
    yield "".join(lines)


@cache
def section(text: str) -> tuple[list[str], list[str], list[str]]:
    """The links of a section, its headings as anchors, and its code."""
    links, anchors, code = [], [], []
    tokens = MARKDOWN.parse(text)
    for place, token in enumerate(tokens):
        if token.type in FENCES and token.info != "mermaid":
            code += token.content.splitlines()
        for leaf in token.children or []:
            if leaf.type == "link_open":
                links.append(str(leaf.attrs["href"]))
            if leaf.type == "code_inline":
                code.append(leaf.content)
        if token.type == "heading_open":
            title = re.sub(r"[^\w\- ]", "", tokens[place + 1].content.lower())
            anchors.append(title.replace(" ", "-"))
    return links, anchors, code


def links(project: Project, page: str) -> Iterator[str]:
    """A relative link leads to a file, a folder or a heading."""
    for link in markdown(project.text(page)).links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        place = (PurePosixPath(page).parent / path).as_posix() if path else page
        found = project.has(place) or bool(project.files(f"{place.rstrip('/')}/*"))
        if not found or (
            anchor and anchor not in markdown(project.text(place)).anchors
        ):
            yield f"the link {link} leads nowhere"


def paths(project: Project, path: str) -> Iterator[str]:
    """A file that only some projects have is named only where it is."""
    text = project.text(path)
    for other in sorted(project.optional):
        name = rf"(?<![\w/-])(\./)?{re.escape(other)}(?![\w-]|/\w)"
        if other == path or other not in text:
            continue
        if re.search(name, text) and not project.has(other):
            yield f"it names {other}, which is not there"


def spoken(project: Project, path: str) -> list[str]:
    """Where a file may name a command: code in Markdown, what is quoted in Python, else all of it."""
    text = project.text(path)
    if path.endswith(".md"):
        return list(markdown(text).code)
    if path.endswith(".py"):
        return [a or b for a, b in re.findall(r"`([^`\n]+)`|\"([^\"\n]+)\"", text)]
    quoted = re.findall(r"['`]([^'`\n]+)['`]", text)
    return [*quoted, *(line.partition(" #")[0] for line in text.splitlines())]


def targets(makefile: str) -> set[str]:
    """What can be made."""
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


def made(project: Project, path: str) -> Iterator[str]:
    """`make VERB` names a target of the Makefile."""
    command = re.compile(r"(?:^|&& |run: |\$ )\s*@?make ([a-z][a-z-]*)")
    called = {verb for line in spoken(project, path) for verb in command.findall(line)}
    if path == "Makefile":
        text = project.text(path)
        phony = re.findall(r"^\.PHONY:(.*)", text, re.MULTILINE)
        called |= {verb for line in phony for verb in line.split()}
    if called:
        known = targets(project.text("Makefile"))
        yield from (f"make {verb}: no such target" for verb in sorted(called - known))


def verbs(source: str) -> set[str]:
    """Return the verbs that a module of kit/verbs/ defines, or the name of its group."""
    group = re.search(
        r"^commands = typer\.Typer\(name=\"([\w-]+)\"", source, re.MULTILINE
    )
    if group:
        return {group[1]}
    functions = re.findall(r"^@commands\.command\(\)\ndef (\w+)", source, re.MULTILINE)
    return {name.replace("_", "-") for name in functions}


def has(project: Project, verb: str) -> bool:
    """Return whether a module of the project defines a verb."""
    modules = project.files("src/*/kit/verbs/*.py")
    return any(project.view(module, defines(verb)) for module in modules)


def called(project: Project, path: str) -> Iterator[str]:
    """`uv run COMMAND` and `PROJECT VERB` name a command that is installed, and a verb that it has."""
    # Asked of no file: pyproject.toml has thousands of versions, and all name the same command.
    script = str(project.answer("project_slug"))
    telling = ("run ", "$(RUN) ", script)
    lines = [
        line
        for line in spoken(project, path)
        if any(word in line for word in telling) and "#!" not in line
    ]
    # What `--with` installs for one command brings that command.
    command = r"(?:uv|\$\(UV\)) run (?:--(?!with )\S+ )*([^-\s]\S*)|\$\(RUN\) (\S+)"
    used = {a or b for line in lines for a, b in re.findall(command, line)}
    verb = rf"(?:^|[\s\"']){re.escape(script)}(?:\", \"| )([a-z]+(?:-[a-z]+)*)\b"
    asked = {word for line in lines for word in re.findall(verb, line)}
    for name in sorted(used - PYTHON - {script}):
        if name.endswith(".py"):
            if not project.has(name):
                yield f"uv run {name}: no such file"
        elif not project.view("pyproject.toml", brings(name)):
            yield f"uv run {name}: nothing that is declared brings it"
    for word in sorted(asked):
        if not has(project, word):
            yield f"{script} {word}: no such verb"


# One function for a name, so that two looks for it are the same look.
@cache
def brings(name: str) -> Callable[[bytes], bool]:
    """Whether a package of that name, with the command beside it, is declared."""

    def brought(pyproject: bytes) -> bool:
        return any(name in names for group, names in declared_sets(pyproject) if group)

    return brought


@cache
def defines(verb: str) -> Callable[[bytes], bool]:
    """Return a look at a module: whether it defines a verb."""
    return lambda source: verb in verbs(source.decode())


def settings_named(project: Project, page: str) -> Iterator[str]:
    """A setting in capitals that a page names is known to some file that is not a page."""
    capitals = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+|HOST|PORT|STORE")
    # With blanks around the sign it is a line of Python.
    codes = (
        c for c in markdown(project.text(page)).code if not re.match("[A-Z_]+ = ", c)
    )
    named = {name for code in codes for name in capitals.findall(code)}
    others = project.files(".env.example", ".github/workflows/*", "Dockerfile")
    for name in sorted(named):
        if not any(re.search(rf"\b{name}\b", project.text(p)) for p in others):
            yield f"the setting {name} is unknown to the project"


def example_settings(project: Project, path: str) -> Iterator[str]:
    """Each variable of .env.example is a setting."""
    classes = re.compile(
        r"^class \w+\((?:BaseSettings|Environment)\):\n(.*?)(?=^\S|\Z)",
        re.MULTILINE | re.DOTALL,
    )
    sources = map(project.text, project.files("src/*/kit/*.py"))
    bodies = "".join(body for text in sources for body in classes.findall(text))
    fields = {f.upper() for f in re.findall(r"^    ([a-z_]+): ", bodies, re.MULTILINE)}
    named = set(re.findall(r"^#? ?([A-Z_]+)=", project.text(path), re.MULTILINE))
    yield from (f"{name} is no setting" for name in sorted(named - fields))
    yield from (f"the setting {n} is not shown" for n in sorted(fields - named))


def declared(project: Project, path: str) -> Iterator[str]:
    """The files that pyproject.toml names are there."""
    for name in project.view(path, named_by) or ():
        # A dot is the project's own folder.
        if name != "." and not project.some(name, f"{name}/*"):
            yield f"{name} is not there"


def named_by(pyproject: bytes) -> tuple[str, ...]:
    """The files and folders that a pyproject.toml names."""
    about = table(pyproject, "project")
    named = [about["readme"], *about.get("license-files", ())]
    named += table(pyproject, "tool.mypy")["files"]
    return (*named, *table(pyproject, "tool.pytest.ini_options")["testpaths"])


def pipeline(project: Project, path: str) -> Iterator[str]:
    """What a DVC stage depends on is there, or made by a stage; its command is the project's."""
    stages = {}
    for file in project.files("dvc.yaml", "*/dvc.yaml"):
        for name, stage in yaml.safe_load(project.text(file))["stages"].items():
            folder = PurePosixPath(file).parent / stage.get("wdir", ".")
            stages[(file, name)] = (_resolved(folder), stage)
    outs = {
        (place / out).as_posix()
        for place, stage in stages.values()
        for out in stage.get("outs", [])
        if isinstance(out, str)
    }
    for (file, name), (place, stage) in stages.items():
        for needed in stage["deps"] if file == path else []:
            wanted = (place / needed).as_posix()
            known = wanted in outs or project.files(wanted, f"{wanted}/*")
            if not known and not needed.startswith("${"):
                yield f"stage {name} depends on {needed}, which is not there"
        if file == path:
            verb = shlex.split(stage["cmd"])[1]
            if not has(project, verb):
                yield f"stage {name} calls {verb}: no such verb"


def _resolved(folder: PurePosixPath) -> PurePosixPath:
    parts: list[str] = []
    for part in folder.parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return PurePosixPath(*parts)


def jobs(project: Project, path: str) -> Iterator[str]:
    """A job waits only for jobs of its own workflow."""
    workflow = yaml.load(project.text(path), yaml.BaseLoader)
    for name, job in workflow["jobs"].items():
        needs = job.get("needs", [])
        for other in [needs] if isinstance(needs, str) else needs:
            if other not in workflow["jobs"]:
                yield f"job {name} needs {other}, which is not there"


CHECKS = tuple(
    Check(name, lambda project, path, of=of: tuple(of(project, path)), files, BUT)  # type: ignore[misc]
    for name, of, files in (
        ("links", links, ("*.md",)),
        ("paths", paths, ("*",)),
        ("make targets", made, ("*",)),
        ("commands", called, ("*",)),
        ("settings named", settings_named, ("*.md",)),
        ("settings shown", example_settings, (".env.example",)),
        ("files declared", declared, ("pyproject.toml",)),
        ("pipeline", pipeline, ("dvc.yaml", "*/dvc.yaml")),
        ("jobs", jobs, (".github/workflows/*",)),
    )
)
