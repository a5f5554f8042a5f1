"""EasyPost's stand-in: shipments, labels and parcels that travel, in the vendor's own words.

Sources of the format: EasyPost's public examples of requests and answers, its Python client 10.7 and its
documentation of errors, trackers and webhooks. Prices, distances and travel times are the sandbox's own.
"""
