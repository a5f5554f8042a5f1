"""Northgate Supply, whose portal is in the sandbox: the adapter to read before writing one's own (docs/portals.md)."""
