"""The snaps that the workload stands on refresh one unit at a time, when it does not hurt the cluster."""
