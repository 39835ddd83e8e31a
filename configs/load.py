"""Reads the configuration: the defaults, then a YAML file, then what the command line says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import yaml
from pydantic import ValidationError

from configs.errors import ConfigError
from configs.explain import explain
from configs.settings import Settings

NOTHING: Mapping[str, object] = MappingProxyType({})


def load_settings(path: Path | None, overrides: Mapping[str, object] = NOTHING) -> Settings:
    """The settings of a gateway: defaults, overruled by the file, overruled by dotted names.

    `overrides` maps names such as `listen.http_port` to values. A section that the file names but
    leaves empty keeps its defaults. Raises `ConfigError` with every problem named by its key.
    """
    values = read_yaml(path) if path is not None else {}
    # A section whose lines are all commented out is no mistake.
    values = {name: value for name, value in values.items() if value is not None}
    for name, value in overrides.items():
        _set(values, name, value)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        where = f"{path}: " if path is not None else ""
        raise ConfigError(where + explain(error, Settings)) from None


def read_yaml(path: Path) -> dict[str, object]:
    """The keys and values of a YAML file; `ConfigError` if it holds anything else."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold keys and values, such as 'name: value'")
    return {str(name): value for name, value in content.items()}


def _set(values: dict[str, object], name: str, value: object) -> None:
    """Put a value under its dotted name, without touching the other keys of its section."""
    section, _, rest = name.partition(".")
    if not rest:
        values[section] = value
        return
    inner = values.get(section, {})
    if not isinstance(inner, dict):
        raise ConfigError(f"{section} must hold keys and values, so {name} cannot be set")
    inner = dict(inner)
    _set(inner, rest, value)
    values[section] = inner
