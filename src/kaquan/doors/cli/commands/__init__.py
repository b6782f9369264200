"""The commands, a file per command or group of commands."""
