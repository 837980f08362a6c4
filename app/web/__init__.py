"""HTTP: handlers that only translate between requests and use cases."""
