"""What can go wrong with a day of vendor data, each as an edit of its answers in place."""

from marketdata_assets_tests.checks.corruptions import bars, facts, limits, rows
from marketdata_assets_tests.checks.corruptions.corruption import CORRUPTIONS, Corruption

__all__ = ["CORRUPTIONS", "Corruption", "bars", "facts", "limits", "rows"]
