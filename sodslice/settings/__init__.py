"""The settings of a run, composed of the values of its stages; YAML, flags and docs are read from them."""

from sodslice.settings.files import as_options, load_options, named_settings, read_yaml
from sodslice.settings.helping import names_settings
from sodslice.settings.options import Options, all_settings, options_schema, settings_in
from sodslice.settings.paddlex import pipeline_settings, pipeline_yaml
from sodslice.settings.work import Work

__all__ = [
    "Options",
    "Work",
    "all_settings",
    "as_options",
    "load_options",
    "named_settings",
    "names_settings",
    "options_schema",
    "pipeline_settings",
    "pipeline_yaml",
    "read_yaml",
    "settings_in",
]
