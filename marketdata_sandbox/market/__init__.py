"""The simulated market: who is listed, how prices move, and the tables of any day since 2005."""
