"""The Juju stand-in: what a Juju 3.6 controller and its agents do for charms on machines, on one host."""
