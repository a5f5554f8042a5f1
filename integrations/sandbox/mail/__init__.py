"""A mail server of its own that keeps every mail on disk and shows it in a mailbox page."""
