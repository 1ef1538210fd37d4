"""A real Kubernetes control plane on this machine, for a first run and for tests.

`build` makes the binaries from Go modules once, `plane` starts and stops a control plane
made of them, `api` speaks to it as its admin.
"""
