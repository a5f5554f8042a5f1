"""Workflows of portals beside orders."""
