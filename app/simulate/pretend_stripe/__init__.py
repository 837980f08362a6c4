"""A Stripe to try against: its API as far as we ask it, with Checkout and portal pages."""
