"""Machinery of the HTTP door: access, bodies, problems, parameters, rate limits, description."""
