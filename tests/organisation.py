"""What a fork may say in org.yml, and what stays as it is in every fork."""

from collections.abc import Iterator, Mapping
from typing import Any

# What names a project and what it predicts: files follow them, and an update may not.
FIXED = {"made_for", "package_name", "problem", "project_name", "project_slug"}
# What an organisation alone can know: any value, in the form that the validator asks for.
ITS_OWN = {"base_image", "package_index", "uv_image"}
MAY_DIFFER = {"ask", "choices", "default", "help", "placeholder"}

Settings = Mapping[str, Any]


def complaints(org: Settings, upstream: Settings) -> Iterator[str]:
    """What org.yml says and may not, given what copier.yml says without it."""
    for name, said in org.items():
        if name.startswith("_"):
            if not name.startswith("_message_"):
                yield f"{name}: a setting of the template's, which stays in copier.yml"
        elif name not in upstream:
            yield f"{name} is no question: a new one stands in copier.yml"
        elif name in FIXED:
            yield f"{name} names a project or what it predicts, in every fork alike"
        else:
            yield from _about(name, said, upstream[name])


def _about(name: str, said: Any, upstream: Settings) -> Iterator[str]:
    if not isinstance(said, dict):
        yield f"{name} must stand there whole, as in copier.yml"
        return
    for key in sorted((upstream.keys() | said.keys()) - MAY_DIFFER):
        if said.get(key) != upstream.get(key):
            yield f"{name}: its {key} must be that of copier.yml"
    if said.get("ask", True) not in (False, upstream.get("ask", True)):
        yield f"{name}: its ask must be false, or that of copier.yml"
    offered, known = _values(said), _values(upstream)
    if bool(offered) != bool(known):
        yield f"{name}: it must offer choices just as in copier.yml"
    elif name not in ITS_OWN:
        for value in sorted(offered - known):
            yield f"{name}: the template knows no {value!r}"


def _values(question: Settings) -> set[str]:
    choices = question.get("choices", [])
    return set(choices.values() if isinstance(choices, dict) else choices)
