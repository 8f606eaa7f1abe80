"""Config files: read with every flaw named, and written with every setting and its reason."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from federation.config.settings import NodeConfig, WebhookSettings, WitnessSettings
from federation.local_errors.config import ConfigInvalid, ConfigMissing

CONFIG_BYTES_MAX: Final = 256 * 1024
"""A hundred times the example file."""


def load_config(path: Path) -> NodeConfig:
    """Read a config file.

    Raises:
        ConfigMissing: there is no such file.
        ConfigInvalid: not TOML, an unknown key, or a setting with a wrong type or value; the
            message names each.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigMissing(
            f"there is no config file {path}", hint="make a node with `federation init`"
        ) from None
    except OSError as error:
        raise ConfigInvalid(f"cannot read {path}: {error.strerror}") from None
    if len(raw) > CONFIG_BYTES_MAX:
        raise ConfigInvalid(f"{path} is over {CONFIG_BYTES_MAX} bytes: not a config file")
    try:
        settings = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigInvalid(f"{path} is not TOML: {error}") from None
    except ValueError:  # Python's own, of a number with thousands of digits
        raise ConfigInvalid(f"{path} is not TOML: a number has too many digits") from None
    except RecursionError:
        raise ConfigInvalid(f"{path} is not TOML: nested too deeply") from None
    if "folder" in settings:
        raise ConfigInvalid(f"{path}: folder: unknown key")
    try:
        return NodeConfig(**settings, folder=path.resolve().parent)
    except ValidationError as error:
        raise ConfigInvalid(f"{path}: {_words(error)}") from None


def _words(error: ValidationError) -> str:
    """Each thing wrong, as ``setting: what``; values are not repeated."""
    parts = []
    for flaw in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(str(part) for part in flaw["loc"])
        what = "unknown key" if flaw["type"] == "extra_forbidden" else flaw["msg"]
        parts.append(f"{where}: {what.removeprefix('Value error, ')}")
    return "; ".join(parts)


def render_config(config: NodeConfig) -> str:
    """A config file with every setting, its reason above it.

    ``load_config`` of the text gives the same settings back.
    """
    lines = [
        "# A node's settings. Every one is shown with its default and the reason for it;",
        "# paths are relative to this file. Unknown keys are refused.",
    ]
    sections: list[tuple[str, BaseModel]] = []
    tables: list[tuple[str, BaseModel]] = []
    for name, field in NodeConfig.model_fields.items():
        if field.exclude:
            continue
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            sections.append((name, value))
        elif isinstance(value, tuple):
            tables += [(name, each) for each in value]
        else:
            lines += ["", f"# {field.description}", f"{name} = {_toml(value)}"]
    for name, section in sections:
        lines += ["", f"# {(type(section).__doc__ or '').strip()}", f"[{name}]"]
        for setting, field in type(section).model_fields.items():
            lines += [f"# {field.description}", f"{setting} = {_toml(getattr(section, setting))}"]
    for name, kind in (("webhooks", WebhookSettings), ("witnesses", WitnessSettings)):
        if not getattr(config, name):
            lines += _example(name, kind)
    for name, table in tables:
        lines += ["", f"# {(type(table).__doc__ or '').strip()}", f"[[{name}]]"]
        lines += [f"{key} = {_toml(value)}" for key, value in table.model_dump().items()]
    return "\n".join(lines) + "\n"


def _example(name: str, kind: type[BaseModel]) -> list[str]:
    """A table of which the config has none, commented out."""
    lines = ["", f"# {(kind.__doc__ or '').strip()}", f"# [[{name}]]"]
    for setting, field in kind.model_fields.items():
        shown = '"…"' if field.is_required() else _toml(field.default)
        lines.append(f"# {setting} = {shown}  # {field.description}")
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
