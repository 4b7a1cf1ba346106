"""Python imports this at its start (site, "sitecustomize"): calls of Pythons that tests start."""

import os

if "MUTATION_CALLS" in os.environ:
    import mutation_calls

    mutation_calls.record_to(os.environ["MUTATION_CALLS"])
