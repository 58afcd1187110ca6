"""One module a topic; `lab.juju.registry` says which command lives where, so that a run imports only what it needs."""
