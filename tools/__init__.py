"""What keeps the repository in order; none of it is part of the charm or the lab."""
