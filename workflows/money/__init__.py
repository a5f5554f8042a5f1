"""Workflows of money beside orders."""
