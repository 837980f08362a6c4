"""Purchases: packs bought through Checkout, refunds and disputes of them."""
