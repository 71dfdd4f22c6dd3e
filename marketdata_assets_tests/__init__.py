"""The tests, a folder for each room of the packages, and the checkout that they are of."""

from pathlib import Path

PROJECT = Path(__file__).parents[1]
