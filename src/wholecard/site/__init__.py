"""What the operator asks for: `site.yaml` as models, read with the position of each error.

reading     `load` (`read_site`, `SiteFile`): `yaml_positions` keeps texts and positions, `model`
            has the models, `error_words` says what they refuse, `reference_checks` looks for names
            that are not defined.
matching    `card_matching` says which functions of a host a kind matches; `fact_checks` compares a
            site with its hosts' facts.
writing     `scaffold` with `card_kinds`: a first site file from inspected hosts; `schema`: the JSON
            schema, from the models.
"""
