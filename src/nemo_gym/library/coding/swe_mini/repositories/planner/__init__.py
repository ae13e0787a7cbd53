"""Times of a day, slots, bookings and the order of tasks."""
