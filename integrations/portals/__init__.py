"""Suppliers that can be reached through their web site alone."""
