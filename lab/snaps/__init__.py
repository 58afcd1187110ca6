"""Snaps for machines: their recipes, and the store that serves them."""
