"""What stops the log."""


class LogError(Exception):
    """The log is not what its keys signed, or what was published, and is not continued; the message says why."""
