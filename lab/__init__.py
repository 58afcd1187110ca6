"""The lab: real machines, real snaps and a stand-in for Juju on one Linux host."""
