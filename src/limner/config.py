"""Configs are frozen dataclasses; these functions turn them into dicts and back, and change single fields."""

import dataclasses
import json
import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from limner.errors import UsageError

__all__ = ["from_dict", "override", "to_dict"]

Config = TypeVar("Config")


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
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{place}: {first['msg']}, got {first.get('input')!r}") from None


def override(config: Config, changes: Mapping[str, str]) -> Config:
    """Return a config with dotted fields changed, as in `{"model.embed_dim": "256"}`; values are JSON or plain words.

    Raises:
        UsageError: for an unknown key or a value of the wrong type.
    """
    values = to_dict(config)
    for path, text in changes.items():
        *parents, leaf = path.split(".")
        place = values
        for depth, name in enumerate(parents):
            if not isinstance(place.get(name), dict):
                raise UsageError(_unknown(".".join(parents[: depth + 1]), place))
            place = place[name]
        if leaf not in place:
            raise UsageError(_unknown(path, place))
        try:
            place[leaf] = json.loads(text)
        except json.JSONDecodeError:
            place[leaf] = text
    return from_dict(type(config), values)


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
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    found = [choice for choice in choices if dataclasses.is_dataclass(choice)]
    for choice in found:
        kinds = [field.default for field in dataclasses.fields(choice) if field.name == "kind"]
        if "kind" in value and value["kind"] in kinds:
            return choice
    return found[0] if found else None
