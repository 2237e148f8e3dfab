"""Settings: fields of frozen dataclasses that know their kind, their help and what they change.

A value with settings calls `check_settings` in its `__post_init__`, so that it is right whatever it was made
from: Python, YAML, JSON, or the texts of flags.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sodslice.errors import OptionError, did_you_mean
from sodslice.values.kinds import Kind, Schema, Switch

Value = TypeVar("Value")


@dataclass(frozen=True)
class Setting:
    """What is known about one field, kept in its metadata.

    Args:
        kind: what it takes.
        help: one sentence for help texts, YAML and docs.
        group: heading under which it is shown.
        shown_default: the default in words, where the value does not speak for itself.
        repeatable: whether it may be given several times.
        changes_result: False for settings that only say how the work is done.
        changes_tiles: whether the detector sees other pixels, so that a raw store cannot be gone on with.
        after_detection: whether it can be changed when all tiles have been seen.
    """

    kind: Kind
    help: str
    group: str = ""
    shown_default: str | None = None
    repeatable: bool = False
    changes_result: bool = True
    changes_tiles: bool = False
    after_detection: bool = False

    @property
    def switch(self) -> bool:
        """Whether it is on or off."""
        return isinstance(self.kind, Switch)


def setting(default: Any, known: Setting) -> Any:
    """A dataclass field that is a setting."""
    return dataclasses.field(default=default, metadata=described(known))


def described(known: Setting) -> dict[str, Setting]:
    """The metadata of a setting, for a field without a default: `field(metadata=described(...))`."""
    return {"setting": known}


def setting_of(field: dataclasses.Field[Any]) -> Setting:
    """What is known about a field."""
    found: Setting = field.metadata["setting"]
    return found


def settings_of(holder: Any) -> dict[str, Setting]:
    """The settings of a dataclass or of a value of one, by name, in the order in which they are written."""
    return {f.name: setting_of(f) for f in dataclasses.fields(holder) if "setting" in f.metadata}


def check_settings(value: Any, *, where: str = "") -> None:
    """Read all settings of a frozen value in place.

    Args:
        value: just made.
        where: what the value is part of, for messages, such as the name of a file.

    Raises:
        OptionError: a setting is malformed or out of range; it names the setting.
    """
    for name, known in settings_of(value).items():
        object.__setattr__(value, name, read_setting(name, known, getattr(value, name), where=where))


def read_setting(name: str, known: Setting, given: Any, *, where: str = "") -> Any:
    """One value as its kind reads it.

    Raises:
        OptionError: it is malformed or out of range.
    """
    try:
        return known.kind.read(given)
    except OptionError:
        raise
    except (ValueError, TypeError) as error:
        place = f" in {where}" if where else ""
        raise OptionError(f"`{name}`{place} must be {error}, got {given!r}") from None


def value_from(kind: type[Value], given: Any, *, where: str) -> Value:
    """A checked value from names and values, as YAML gives them.

    Args:
        kind: a dataclass with settings.
        given: the mapping.
        where: what to call the mapping in messages.

    Raises:
        OptionError: it is no mapping, has an unknown name, a value of the wrong kind, or lacks one without a
            default.
    """
    values = _read_all(settings_of(kind), given, where=where)
    optional = default_values(kind)
    lacking = [f"`{name}`" for name in settings_of(kind) if name not in values and name not in optional]
    if lacking:
        raise OptionError(f"{where} lacks {', '.join(lacking)}; give each a value")
    return kind(**values)


def with_changes(value: Value, changes: Any, *, where: str) -> Value:
    """A checked value with some settings changed.

    Args:
        value: with settings.
        changes: names and values, as YAML gives them.
        where: what to call the changes in messages.

    Raises:
        OptionError: as for `value_from`.
    """
    old: Any = value
    new: Value = dataclasses.replace(old, **_read_all(settings_of(value), changes, where=where))
    return new


def named_values(given: Any, known: Iterable[str], *, where: str) -> dict[str, Any]:
    """Names and values of a mapping, all of which are known; dashes in names count as underscores.

    Raises:
        OptionError: it is no mapping, or has an unknown name.
    """
    if not isinstance(given, Mapping):
        raise OptionError(
            f"{where} must be a mapping of settings, got {given!r}; write lines like 'name: value'"
        )
    names = list(known)
    values = {str(name).replace("-", "_"): value for name, value in given.items()}
    for name in values:
        if name not in names:
            hint = did_you_mean(name, names) or f"; known are {', '.join(names)}"
            raise OptionError(f"{where} has no setting {name!r}{hint}")
    return values


def plain_values(value: Any) -> dict[str, Any]:
    """Names and values, ready for JSON and YAML; `value_from` reads them back."""
    return {name: known.kind.plain(getattr(value, name)) for name, known in settings_of(value).items()}


def default_values(kind: type[Any]) -> dict[str, Any]:
    """The defaults of those settings of a dataclass that have one, as `plain_values` gives values."""
    fields = {f.name: f.default for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING}
    kinds = {name: known.kind for name, known in settings_of(kind).items() if name in fields}
    return {name: one.plain(one.read(fields[name])) for name, one in kinds.items()}


def schema_of(settings: Mapping[str, Setting], defaults: Mapping[str, Any], *, title: str) -> Schema:
    """The JSON Schema (draft 2020-12) of a mapping with some settings.

    Args:
        settings: by name.
        defaults: their defaults, as JSON holds them; a setting without one is required.
        title: what the mapping is.
    """
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return {**head, **mapping_schema(settings, defaults)}


def mapping_schema(settings: Mapping[str, Setting], defaults: Mapping[str, Any]) -> Schema:
    """The part of a JSON Schema that describes a mapping; arguments as for `schema_of`."""
    needed = [name for name in settings if name not in defaults]
    return {
        "type": "object",
        "properties": {name: _property(name, known, defaults) for name, known in settings.items()},
        **({"required": needed} if needed else {}),
        "additionalProperties": False,
    }


def _property(name: str, known: Setting, defaults: Mapping[str, Any]) -> Schema:
    default = {"default": defaults[name]} if name in defaults else {}
    return {**known.kind.schema(), "description": known.help, **default}


def _read_all(known: Mapping[str, Setting], given: Any, *, where: str) -> dict[str, Any]:
    """The settings that a mapping names, as their kinds read them."""
    values = named_values(given, known, where=where)
    return {name: read_setting(name, known[name], one, where=where) for name, one in values.items()}
