"""Rehearse a refresh: deploy, write all the time, refresh, roll back, and prove that nothing was lost.

The package drives `juju` as a person would and looks at the database as a client would. Of the lab it uses only the way
into a machine's network.
"""
