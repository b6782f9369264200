"""Floor 11: turn bytes into a command and an outcome into bytes. No rules live here."""
