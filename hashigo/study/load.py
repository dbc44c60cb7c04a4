"""Read a study file; every mistake becomes one sentence with its key path."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from hashigo.errors import InputError
from hashigo.study.fields import TAGS
from hashigo.study.model import OPTIONAL, Study


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses a key given twice: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key}' is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def load_study(path: str | Path) -> Study:
    """Read and check a study file.

    Raises:
        InputError: names the file, the key path and what is wrong.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder", fix="give the study file, usually study.yaml in it")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        raise InputError(
            f"study file {path} does not exist", fix="hashigo init STRUCTURE writes one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"study file {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        raise InputError(f"study file {path}:{line} {getattr(error, 'problem', None) or error}") from None
    if not isinstance(content, Mapping):
        raise InputError(
            f"study file {path} holds no keys", fix="hashigo init STRUCTURE writes one to start from"
        )
    # A section that is there asks for its stage, also when all its lines are comments.
    content = {key: {} if value is None and key in OPTIONAL else value for key, value in content.items()}
    study = study_from(content, path.name)
    study._folder = path.resolve().parent
    study._name = path.stem
    return study


def study_from(content: Mapping[str, Any], where: str = "study") -> Study:
    """Check the content of a study.

    Args:
        content: its keys and values.
        where: the file's name, for messages.

    Raises:
        InputError: names the key path and what is wrong.
    """
    try:
        return Study.model_validate(dict(content))
    except ValidationError as error:
        raise _explain(error, where) from None


def _explain(error: ValidationError, where: str) -> InputError:
    first, more_errors = _first(error)
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys_at(first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        fix = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}"
        return InputError(f"{where}: unknown key '{path}'", fix=fix)
    if first["type"] == "missing":
        return InputError(f"{where}: '{path}' is missing", fix=_description(first["loc"]))
    if first["type"] == "model_type":
        known = _keys_at(first["loc"])
        return InputError(
            f"{where}: {path} is a section, and a single value is given",
            fix=f"give keys of it below: {', '.join(known)}" if known else "",
        )
    reason = _PLAIN.get(first["type"], first["msg"].removeprefix("Value error, "))
    given = first.get("input")
    shown = (
        f" (given: {given!r})"
        if isinstance(given, (str, int, float, bool)) and repr(given) not in reason
        else ""
    )
    more = f"; {more_errors} more like this" if more_errors else ""
    return InputError(
        f"{where}: {path + ': ' if path else ''}{reason}{shown}{more}",
        fix=_description(first["loc"], first["type"] == "literal_error"),
    )


#: Words of pydantic that name its own types.
_PLAIN = {
    "tuple_type": "give a list",
    "too_short": "the list is too short",
    "dict_type": "give keys, each with a value",
    "int_type": "give a whole number",
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
}
#: How pydantic begins its names of the choices that a value has; they stand in its key paths and are no keys.
_CHOICES = ("function-", "tuple[", "dict[", "constrained-", "literal[")


def _is_choice(part: Any) -> bool:
    return isinstance(part, str) and (part in (*TAGS, "[key]", "float") or part.startswith(_CHOICES))


def _first(error: ValidationError) -> tuple[dict[str, Any], int]:
    """The first mistake, of several choices in the one that comes farthest; and the number of others."""
    errors: list[dict[str, Any]] = [dict(one) for one in error.errors()]
    place = next(
        (index for index, part in enumerate(errors[0]["loc"]) if str(part).startswith(_CHOICES)), None
    )
    same = (
        errors[:1] if place is None else [e for e in errors if e["loc"][:place] == errors[0]["loc"][:place]]
    )
    for one in same:
        one["loc"] = tuple(part for part in one["loc"] if not _is_choice(part))
    return max(same, key=lambda one: len(one["loc"])), len(errors) - len(same)


def _model_at(location: tuple[Any, ...]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Study
    named = False
    for part in location:
        if isinstance(part, int) or named:
            named = False  # an entry of a list, or of sections by name
            continue
        field = model.model_fields.get(part) if model else None
        named = field is not None and get_origin(field.annotation) is dict
        model = next(_models(field.annotation), None) if field else None
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that a field may be, also as one of several choices."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for choice in get_args(annotation):
        yield from _models(choice)


def _keys_at(location: tuple[Any, ...]) -> list[str]:
    model = _model_at(location)
    return list(model.model_fields) if model else []


def _description(location: tuple[Any, ...], word: bool = False) -> str:
    names = [part for part in location if not isinstance(part, int)]
    model = _model_at(tuple(names[:-1])) if names else None
    field = model.model_fields.get(names[-1]) if model and names else None
    if field is None or not field.description or (_model_at(tuple(names)) is not None and not word):
        return ""  # the description of a whole section helps nobody
    return f"{names[-1]}: {field.description}"
