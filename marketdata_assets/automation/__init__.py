"""What runs by itself: the jobs, the evening schedule, the sensor that fills gaps."""
