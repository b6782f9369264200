"""Kinds of offers: one file each, found by itself."""
