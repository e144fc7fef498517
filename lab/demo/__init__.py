"""`make demo`: a simulated vendor lives through the whole stack, shown on one page, its promises checked by counts."""
