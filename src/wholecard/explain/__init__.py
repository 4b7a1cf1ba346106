"""What is, beside what should be: why a server with cards finds no host.

`evidence` is what is known, `walk` goes along the chain and names the first link that breaks,
`offline` and `live` gather the evidence from files and from the APIs.

reading     `live_request` has what is asked for, `trees` what Placement has (`pci_providers`:
            which of it are cards).
what nova   `resource_request` is its question to Placement, `guest` and `guest_cpus` its layout of
would do    a guest, by the words (`host_words`) of flavor and image; `wanted` are the cards.
judging     `request_links`, `compute_links`, `card_links`, `near_links`, `placement_links`,
            `machine_links` (with `aggregate_links`) and `filter_links`, in the order of `chain`.
"""
