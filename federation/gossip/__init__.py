"""How statements spread: pure state machines, `handle(event, now, rng) -> [command]`."""
