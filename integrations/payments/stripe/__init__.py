"""Stripe, by its PaymentIntents with manual capture (API version 2026-10-28.endive)."""
