"""The habits of the vendor: what it gets wrong or leaves out, laid over a market that is true."""
