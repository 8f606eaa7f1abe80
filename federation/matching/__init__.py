"""How a signal is found among millions: pure computation over flat arrays."""
