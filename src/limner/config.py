"""Configs are frozen dataclasses; these functions turn them into dicts and back, and change single fields."""

import dataclasses
import json
import types
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError

from limner.errors import UsageError

__all__ = [
    "Count",
    "Depth",
    "Finite",
    "ImageSize",
    "NotNegative",
    "Positive",
    "Seed",
    "Share",
    "Whole",
    "from_dict",
    "override",
    "to_dict",
]

Config = TypeVar("Config")

# What a field may hold; `from_dict` refuses anything else.
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Depth = Annotated[int, Field(ge=1, le=512)]
Seed = Annotated[int, Field(ge=0, lt=1 << 32)]
ImageSize = Annotated[int, Field(ge=1, le=1024)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]

_LONGEST_SHOWN = 100


def to_dict(config: Any) -> dict[str, Any]:
    """Return a config as nested dicts of JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Build a config from nested dicts.

    Raises:
        UsageError: for an unknown key (the message lists the known ones) or a value of the wrong type.
    """
    _check_keys(kind, values, "")
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        first = _of_right_kind(error.errors())[0]
        # In a union the place also names the config's class.
        place = ".".join(str(part) for part in first["loc"] if not str(part)[:1].isupper())
        if first["type"] == "value_error":  # the config's own check says it all
            raise UsageError(f"{place}: {first['ctx']['error']}".removeprefix(": ")) from None
        raise UsageError(f"{place}: {first['msg']}, got {_shown(first.get('input'))}") from None


def override(config: Config, changes: Mapping[str, str]) -> Config:
    """Return a config with dotted fields changed, as in `{"model.embed_dim": "256"}`; values are JSON or plain words.

    Another `kind`, as in `{"model.kind": "cross"}`, brings the fields of that kind, with their defaults where the
    former kind has no field of that name.

    Raises:
        UsageError: for an unknown key or a value of the wrong type.
    """
    values = to_dict(config)
    for path, text in sorted(changes.items(), key=lambda change: not change[0].endswith(".kind")):
        *parents, leaf = path.split(".")
        place = values
        for depth, name in enumerate(parents):
            if not isinstance(place.get(name), dict):
                raise UsageError(_unknown(".".join(parents[: depth + 1]), place))
            place = place[name]
        if leaf not in place:
            raise UsageError(_unknown(path, place))
        if leaf == "kind" and parents:
            _choose_kind(type(config), values, parents, text)
            continue
        try:
            place[leaf] = json.loads(text)
        except (ValueError, RecursionError):
            place[leaf] = text
    return from_dict(type(config), values)


def _of_right_kind(errors: list[Any]) -> list[Any]:
    """Return the errors without those of configs in a union whose kind was not asked for; all, if none is left."""
    others = [error["loc"][:-1] for error in errors if error["loc"][-1:] == ("kind",)]
    kept = [error for error in errors if not any(error["loc"][: len(other)] == other for other in others)]
    return kept or errors


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _choose_kind(root: Any, values: dict[str, Any], parents: list[str], kind: str) -> None:
    """Put the fields of another kind into a nested config, in place of those that only the former kind has."""
    hint, place = root, values
    for name in parents:
        hint, holder, place = get_type_hints(_matching(hint, place))[name], place, place[name]
    known = {_kind_of(choice): choice for choice in _dataclasses_of(hint)}
    if kind not in known:
        raise UsageError(f"unknown kind '{kind}' of {'.'.join(parents)}; known: {', '.join(sorted(map(str, known)))}")
    fresh = to_dict(known[kind]())
    if kind != place["kind"]:
        holder[parents[-1]] = fresh | {name: place[name] for name in fresh if name in place and name != "kind"}


def _unknown(path: str, known: Mapping[str, Any]) -> str:
    return f"unknown key '{path}'; known here: {', '.join(sorted(known))}"


def _check_keys(kind: Any, values: Mapping[str, Any], path: str) -> None:
    hints = get_type_hints(kind)
    fields = {field.name for field in dataclasses.fields(kind)}
    for key, value in values.items():
        if key not in fields:
            raise UsageError(_unknown(f"{path}{key}", dict.fromkeys(fields)))
        if isinstance(value, Mapping):
            nested = _matching(hints[key], value)
            if nested is not None:
                _check_keys(nested, value, f"{path}{key}.")


def _matching(hint: Any, value: Mapping[str, Any]) -> Any:
    """Return the dataclass that a nested mapping stands for; in a union, the one with the same `kind`."""
    found = _dataclasses_of(hint)
    for choice in found:
        if "kind" in value and value["kind"] == _kind_of(choice):
            return choice
    return found[0] if found else None


def _dataclasses_of(hint: Any) -> list[Any]:
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return [choice for choice in choices if dataclasses.is_dataclass(choice)]


def _kind_of(choice: Any) -> Any:
    return next((field.default for field in dataclasses.fields(choice) if field.name == "kind"), None)
