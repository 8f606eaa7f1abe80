"""A federation node: companies share signed fingerprints of violent content, without a hub."""

__version__ = "0.1.0"
