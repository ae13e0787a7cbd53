"""Stock, orders and deliveries of a warehouse."""
