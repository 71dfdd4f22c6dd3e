"""Dagster's UI behind a guard: for this machine alone, or for who has the token.

Here belongs who may ask the UI, and running it. What the UI shows is Dagster's.
"""
