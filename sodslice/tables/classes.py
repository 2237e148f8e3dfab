"""Classes by the names and ids that users give."""

from __future__ import annotations

from collections.abc import Sequence

from sodslice.errors import OptionError, did_you_mean


def class_ids(setting: str, words: Sequence[str], class_names: Sequence[str]) -> tuple[int, ...]:
    """Ids, increasing, of classes given by name or id.

    Args:
        setting: that named them, for messages.
        words: names or ids.
        class_names: the model's.

    Raises:
        OptionError: the model has no such class.
    """
    ids = set()
    for word in words:
        if word in class_names:
            ids.add(list(class_names).index(word))
        elif word.isdigit() and int(word) < len(class_names):
            ids.add(int(word))
        else:
            raise OptionError(
                f"`{setting}` names {word!r}{did_you_mean(word, class_names)}; "
                f"the model knows {', '.join(class_names)}"
            )
    return tuple(sorted(ids))
