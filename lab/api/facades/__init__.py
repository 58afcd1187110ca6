"""The calls that the lab answers, a facade or a few a module; `lab.api.registry` finds them."""
