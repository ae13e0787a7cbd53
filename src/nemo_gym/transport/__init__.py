"""HTTP to other people's programs: one client, with timeouts, retries and a breaker."""
