"""One file per invariant, each with a constant ``AUDIT``, found by :func:`kaquan.audit.find_audits`."""
