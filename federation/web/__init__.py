"""Faces for programs: the local HTTP API."""
