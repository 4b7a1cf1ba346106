"""What the operator wants: `site.yaml` as models, read with the place of each error.

reading     `load` (`read_site`, `SiteFile`): `nodes` keeps texts and places, `model` has the
            models, `faults` words what they refuse, `references` looks after names,
            `releases` has the OpenStack releases that a site may name, `capabilities` what nova
            can do since which: the one table, for all rooms above too.
matching    `match` says which functions of a host a kind means; `check` holds a site against
            its hosts' facts.
writing     `first` with `found`: a first site file from inspected hosts; `schema`: the JSON
            schema, from the models.
"""
