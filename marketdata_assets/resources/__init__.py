"""The outside world, one resource each: what is fetched, how it can fail and what to do then."""
