"""The offline world: a simulated exchange behind Tushare's own protocol."""
