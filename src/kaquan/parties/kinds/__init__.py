"""Kinds of identity provider, one per file: each defines ``PROVIDER``."""
