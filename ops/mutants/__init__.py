"""Faults that are planted into a copy of the product, to see that its tests find them."""
