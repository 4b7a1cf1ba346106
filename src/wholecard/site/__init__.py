"""What the operator wants: `site.yaml` as models, read with the place of each error.

`model` has the models, `releases` the OpenStack releases that a site may name.
"""
