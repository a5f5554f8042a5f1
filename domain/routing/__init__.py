"""Which warehouse ships what, and why: `decide` ranks the warehouses by a channel's rules and explains each one."""
