"""What is said: the formats every implementation must agree on. Pure; one file per spec page."""
