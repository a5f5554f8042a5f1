"""The thin HTTP API: parse, authorise, call, map."""
