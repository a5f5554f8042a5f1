"""What Waybill costs and how fast it is, measured from outside on the embedded stack: `make bench`."""
