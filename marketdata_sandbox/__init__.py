"""The sandbox: a simulated exchange behind Tushare's own protocol, for who has no token.

Here belongs what stands in for the vendors. It is installed beside `marketdata_assets`, of which
only `environment` knows it; it knows the tables whose rows it makes up.
"""
