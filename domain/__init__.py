"""The rules of order fulfilment: pure Python, standard library only."""
