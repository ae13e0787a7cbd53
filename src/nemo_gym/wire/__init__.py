"""The one language between the rooms: Responses items, tasks, rollouts, identity, failures."""
