"""Northgate Supply: a supplier's order portal as people use it in a browser. There is no such company.

The portal has pages and forms, and nothing for programs: log-in with a second factor, an order form over three pages,
a summary, a confirmation, a list that can be searched, delivery notes as PDF.
"""
