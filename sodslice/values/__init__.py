"""What a setting is: a kind that reads what users write, bounds, a sentence of help.

The settings of a run, of a training, of drawn scenes and of evaluations are all read and checked here, so
that errors, YAML, flags and schemas are alike.
"""

from sodslice.values.kinds import Kind, Maybe, OneOf, Real, Schema, Switch, Whole, Word, Words
from sodslice.values.lists import ListOf, Numbers
from sodslice.values.setting import (
    Setting,
    check_settings,
    default_values,
    described,
    named_values,
    plain_values,
    read_setting,
    schema_of,
    setting,
    setting_of,
    settings_of,
    value_from,
    with_changes,
)

__all__ = [
    "Kind",
    "ListOf",
    "Maybe",
    "Numbers",
    "OneOf",
    "Real",
    "Schema",
    "Setting",
    "Switch",
    "Whole",
    "Word",
    "Words",
    "check_settings",
    "default_values",
    "described",
    "named_values",
    "plain_values",
    "read_setting",
    "schema_of",
    "setting",
    "setting_of",
    "settings_of",
    "value_from",
    "with_changes",
]
