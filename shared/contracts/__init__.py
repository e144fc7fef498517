"""The values on the wire: pure, without clients or clocks."""
