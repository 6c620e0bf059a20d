"""The rules for org.yml: what a fork may change, and what is the same in every fork."""

from collections.abc import Iterator, Mapping
from typing import Any

# They name a project and what it predicts; its files depend on them for good.
FIXED = {"made_for", "package_name", "problem", "project_name", "project_slug"}
# Only an organisation knows them: any value that the validator accepts.
ITS_OWN = {"base_image", "package_index", "uv_image"}
MAY_DIFFER = {"ask", "choices", "default", "help", "placeholder"}

Settings = Mapping[str, Any]


def complaints(org: Settings, upstream: Settings) -> Iterator[str]:
    """Yield what org.yml must not contain, compared with copier.yml."""
    for name, said in org.items():
        if name.startswith("_"):
            if not name.startswith("_message_"):
                yield f"{name}: a setting of the template; change it in copier.yml"
        elif name not in upstream:
            yield f"{name} is an unknown question; add new questions to copier.yml"
        elif name in FIXED:
            yield f"{name} must be the same in every fork: it names a project or what it predicts"
        else:
            yield from _about(name, said, upstream[name])


def _about(name: str, said: Any, upstream: Settings) -> Iterator[str]:
    if not isinstance(said, dict):
        yield f"{name}: copy the whole question from copier.yml"
        return
    for key in sorted((upstream.keys() | said.keys()) - MAY_DIFFER):
        if said.get(key) != upstream.get(key):
            yield f"{name}: {key} must be as in copier.yml"
    if said.get("ask", True) not in (False, upstream.get("ask", True)):
        yield f"{name}: ask must be false, or as in copier.yml"
    offered, known = _values(said), _values(upstream)
    if bool(offered) != bool(known):
        yield f"{name}: it must have choices only if it has them in copier.yml"
    elif name not in ITS_OWN:
        for value in sorted(offered - known):
            yield f"{name}: the template does not support {value!r}"


def _values(question: Settings) -> set[str]:
    choices = question.get("choices", [])
    return set(choices.values() if isinstance(choices, dict) else choices)
