"""Why a server with cards finds no host: the first check that fails from its flavor to a card.

`request` is the entry point: it gathers the evidence (`evidence/`, from files and from the APIs),
`explain` runs the checks (`checks/registry.py` lists them), and `text` shows the explanation.
"""
