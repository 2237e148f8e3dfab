"""Ids and names of classes: SAHI's are any whole numbers, sodslice's are the rows of a tuple of names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sodslice.errors import ModelError, OptionError, did_you_mean


class Known(NamedTuple):
    """The classes of a model of SAHI.

    Fields: `ids`, as its predictions have them, increasing; `names`, of each.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]


def known_classes(model: str, mapping: Any, remapping: Any) -> Known:
    """The classes that predictions of a model of SAHI have.

    Args:
        model: its name, for messages.
        mapping: its `category_mapping`, from ids to names.
        remapping: its `category_remapping`, from ids to other ids; None or empty where it has none.

    Raises:
        ModelError: they name no classes, or one id has several names.
    """
    if not isinstance(mapping, Mapping) or not mapping:
        raise ModelError(
            f"the SAHI model {model} must name its classes as category_mapping, such as "
            f'{{"0": "car"}}, got {mapping!r}; load it, or set its category_mapping'
        )
    names: dict[int, str] = {}
    for key, name in mapping.items():
        number = _number(model, remapping[str(key)] if remapping and str(key) in remapping else key)
        if names.setdefault(number, str(name)) != str(name):
            raise ModelError(
                f"the SAHI model {model} gives {names[number]} and {name} the one category id {number}; "
                f"leave out its category_remapping, and join them with `class_group={names[number]},{name}`"
            )
    ids = tuple(sorted(names))
    return Known(ids, tuple(names[number] for number in ids))


def _number(model: str, key: Any) -> int:
    try:
        return int(key)
    except (TypeError, ValueError):
        raise ModelError(
            f"the SAHI model {model} must have whole numbers as category ids, got {key!r}; change its "
            "category_mapping or category_remapping"
        ) from None


def chosen_names(given: Any, own: tuple[str, ...]) -> dict[str, str]:
    """`category_mapping` as SAHI has it, ids as texts: the names of a model, or others that a user gives.

    Args:
        given: a mapping from the ids of all classes to names; None or empty takes the model's.
        own: the model's names.

    Raises:
        OptionError: it names other ids than the model has.
    """
    if not given:
        return {str(number): name for number, name in enumerate(own)}
    mapping = {str(key): name for key, name in _as_mapping("category_mapping", given).items()}
    wanted = [str(number) for number in range(len(own))]
    if sorted(mapping) != sorted(wanted):
        raise OptionError(
            f"`category_mapping` must name the ids {', '.join(wanted)} of the model's classes "
            f"({', '.join(own)}), got the ids {', '.join(sorted(mapping)) or 'of none'}"
        )
    return {number: str(mapping[number]) for number in wanted}


def chosen_ids(given: Any, names: Mapping[str, str]) -> dict[str, int] | None:
    """`category_remapping` as SAHI applies it, from ids as texts to other ids.

    SAHI's manual has it from names, its code from ids; both are taken.

    Args:
        given: a mapping from all ids or names of classes to ids; None or empty leaves the ids alone.
        names: `category_mapping`.

    Raises:
        OptionError: a class is unknown or left out, or a new id is no whole number.
    """
    if not given:
        return None
    by_name = {name: number for number, name in names.items()}
    chosen: dict[str, int] = {}
    for key, number in _as_mapping("category_remapping", given).items():
        word = str(key)
        old = word if word in names else by_name.get(word)
        if old is None:
            known = ", ".join(by_name)
            raise OptionError(
                f"`category_remapping` names the class {word!r}{did_you_mean(word, by_name)}; "
                f"the model knows {known}"
            )
        if isinstance(number, bool) or not isinstance(number, int):
            raise OptionError(
                f"`category_remapping` must lead to whole numbers, got {number!r} for {names[old]}"
            )
        chosen[old] = number
    left_out = [name for number, name in names.items() if number not in chosen]
    if left_out:
        raise OptionError(
            f"`category_remapping` must have an id for every class, {', '.join(left_out)} has none; SAHI has "
            "no way to leave a class alone or out: give its own id, and use exclude_classes_by_name"
        )
    return chosen


def _as_mapping(name: str, given: Any) -> Mapping[Any, Any]:
    if not isinstance(given, Mapping):
        raise OptionError(f"`{name}` must be a mapping, got {type(given).__name__}")
    return given
