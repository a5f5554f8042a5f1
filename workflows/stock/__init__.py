"""Workflows of stock."""
