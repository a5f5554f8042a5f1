"""Durable decisions: deterministic code that Temporal replays. Nothing here reads a clock of its own."""
