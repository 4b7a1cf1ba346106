"""What is, beside what should be: why a server with cards finds no host.

`evidence` is what is known, `walk` goes along the chain and names the first link that breaks,
`offline` and `live` gather the evidence from files and from the APIs.
"""
