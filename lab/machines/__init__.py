"""Machines: real ones with their own systemd, and directories that stand in for them where that is enough."""
