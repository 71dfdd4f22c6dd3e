"""What runs by itself: the jobs, the schedules, the sensors for gaps and for the serving copy."""
