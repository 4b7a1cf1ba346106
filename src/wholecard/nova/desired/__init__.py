"""What a site asks of nova, decided once for all who act on it: render, lint, the cloud, the lab.

Pure: a site, the facts of its hosts and a release in, records out.
"""
