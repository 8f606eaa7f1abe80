"""The tests: `make test` runs them all, docs in CONTRIBUTING.md say which is for what."""
