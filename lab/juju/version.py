"""The version of Juju whose command line this is."""

JUJU_VERSION = "3.6.12"
"""The same as the controller's; a constant here too, since the controller's modules take long to import."""
