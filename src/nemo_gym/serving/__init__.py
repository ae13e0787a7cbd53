"""HTTP servers for any component."""
