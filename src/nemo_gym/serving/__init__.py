"""HTTP doors: any component as a server."""
