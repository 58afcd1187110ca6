"""The workload: the snap, its services, Patroni, Raft, PostgreSQL and their files. Knows nothing of Juju."""
