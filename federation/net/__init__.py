"""How peers are reached: TLS 1.3 both ways, identities pinned by the roster."""
