"""The running OpenStack through its APIs: what a site asks of it, made and taken back.

reading     `connection`, `errors` (what an API's error becomes), `waiting`; `services`,
            `servers`, `faults` (a server that failed), `image_by_id`, `placement`, `candidates`.
planning    `wanted` is what a site asks for (`width` reckons a guest's addresses), `found` what is
            there, `plan`, `flavor_plan` and `limits` the difference, and what is left alone.
doing       `change` is one change, and `kinds` lists them: `flavors`, `images`, `aggregates`,
            `traits`, `quotas`; `ours` tells what may be changed. `apply` carries them out through
            the `journal`, in the `place` for which it was written.
"""
