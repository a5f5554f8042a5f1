"""The tables of the first migration, by subject. They stay as they were: later migrations change them."""
