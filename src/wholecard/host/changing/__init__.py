"""Apply, roll back, status and verification, on the engine of `transaction`."""
