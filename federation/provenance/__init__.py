"""What may be believed: the one judge of node, auditor and tests alike. Pure."""
