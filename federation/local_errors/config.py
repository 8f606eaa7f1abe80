"""The operator wrote or placed something wrong: config, policy, keys, data directory, ports."""

from __future__ import annotations

from federation.errors import FederationError


class ConfigError(FederationError):
    """What the operator wrote or placed is wrong."""

    code = "config-error"


class ConfigInvalid(ConfigError):
    """A setting has a wrong type or value, or the file has a key nobody knows."""

    code = "config-invalid"


class PolicyInvalid(ConfigError):
    """A policy with an unknown word or a contradiction; the one in force stays in force."""

    code = "policy-invalid"
    default_hint = "see docs/guides/writing_a_policy.md; `federation policy check FILE` tells all"


class ConfigMissing(ConfigError):
    """The config file, or a file it names, does not exist."""

    code = "config-missing"


class AlreadyInitialised(ConfigError):
    """``init`` found a node where it was told to make one; nothing was overwritten."""

    code = "already-initialised"
    default_hint = "choose an empty directory; keys are never overwritten"


class KeyFileInvalid(ConfigError):
    """A key file is malformed, of another kind, or readable by others."""

    code = "key-file-invalid"


class RosterMissing(ConfigError):
    """The node has no root of trust yet."""

    code = "roster-missing"


class DataDirectoryForeign(ConfigError):
    """The data directory belongs to another member or another federation."""

    code = "data-directory-foreign"


class DataDirectoryBusy(ConfigError):
    """Another process of this machine runs on the data directory."""

    code = "data-directory-busy"
    default_hint = "one node per data directory: stop the other process first"


class PortInUse(ConfigError):
    """A listener's address is taken."""

    code = "port-in-use"
    default_hint = "stop the other program, or change the listen setting in node.toml"
