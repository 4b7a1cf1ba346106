"""One file for each place that knows of cards; each is read into the records of `audit.record`."""
