"""Countries as Northgate calls them: the English names of Unicode's CLDR."""

from collections.abc import Mapping

from babel import Locale

CODES: Mapping[str, str] = {name: code for code, name in Locale("en").territories.items() if len(code) == 2}
"""Name -> ISO 3166-1 alpha-2."""
