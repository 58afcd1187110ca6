"""The `juju` command: Juju 3.6's command line as a thin face of the lab's controller."""
