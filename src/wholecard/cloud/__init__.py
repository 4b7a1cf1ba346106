"""The running OpenStack through its APIs: what a site asks of it, made and taken back.

client      the connection, its errors and waiting; services, servers, failed servers, images.
placement   resource providers, their trees, and allocation candidates.
planning    `desired` is what a site asks for (`address_width` reckons a guest's addresses),
            `current` what is there, `plan`, `flavors` and `unified_limits` the difference.
operations  one `operation` and all in the `registry`; `ownership` tells what may be changed.
changing    `apply` carries a plan out through the `journal`, on its `target`.
"""
