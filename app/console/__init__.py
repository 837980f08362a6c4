"""Pages for operators and auditors, at /console: the same use cases as HTTP, by a session."""
