"""The program of a sandbox's first process. It runs in the sandbox, where this package can't be seen, so it
needs the standard library only. `bundle` hands its modules over together."""
