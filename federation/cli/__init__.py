"""Faces for the terminal: `federation` and `federation-verify`."""
