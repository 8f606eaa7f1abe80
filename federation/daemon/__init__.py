"""The running node, one room per path."""
