"""The embedded stack: PostgreSQL, Temporal, sandbox, mail sink, web and worker under one command."""
