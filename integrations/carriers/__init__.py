"""Carriers, and the systems that speak for many of them."""
