"""Piccolo migrations, in the order of their timestamps; they never import app."""
