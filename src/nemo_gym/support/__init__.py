"""What every room may use and what knows no other room: child processes, modules by path, whole files."""
