"""The reference generator: a vendor whose customers live, decline and churn with a known true hazard."""
