"""`churnwatch ahead`: what becomes of an account if nothing happens, and what would bring it back."""
