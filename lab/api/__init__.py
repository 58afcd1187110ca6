"""Juju's client API of the lab: websocket, facades, watchers and uploads, for clients other than the `juju` command.

| module | concern |
|---|---|
| `server` | the listener: TLS, a thread with an event loop, which path goes where |
| `connection` | one websocket: frames in, frames out, login |
| `registry` | which facades there are, and which calls they answer |
| `facades/` | the calls, a facade or a few a module |
| `watcher`, `deltas`, `full_status` | what the model looks like, whole and in changes |
| `uploads`, `log_stream`, `charmhub_info` | what goes over HTTP or a socket of its own |
| `certificate`, `client_files` | what a client needs to find and trust the controller |
| `parameters`, `errors`, `forms` | parts of calls that all facades share |

What is asked for is done by `lab.controller.operations`, so that this API and the `juju` command show one state.
"""
