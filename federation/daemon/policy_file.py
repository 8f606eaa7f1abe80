"""A policy's file, read."""

from __future__ import annotations

from pathlib import Path

from federation.local_errors.config import ConfigMissing, PolicyInvalid
from federation.matching.policy_default import DEFAULT_POLICY
from federation.matching.policy_terms import POLICY_BYTES_MAX


def read_policy_file(file: Path | None) -> str:
    """The text of a policy file; the built-in policy where there is none.

    Raises:
        ConfigMissing: there is no such file.
        PolicyInvalid: it cannot be read, or is no text.
    """
    if file is None:
        return DEFAULT_POLICY
    try:
        with file.open("rb") as opened:
            raw = opened.read(POLICY_BYTES_MAX + 1)
    except FileNotFoundError:
        raise ConfigMissing(
            f"there is no policy file {file}", hint="see docs/guides/writing_a_policy.md"
        ) from None
    except OSError as error:
        raise PolicyInvalid(f"cannot read {file}: {error.strerror}") from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise PolicyInvalid(f"{file} is not UTF-8") from None
