"""Model back ends: each answers with a Response of the Responses API."""
