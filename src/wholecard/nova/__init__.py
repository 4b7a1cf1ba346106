"""nova.conf for cards: what it must say, what is wrong with it, and what nova does with it.

tables      `options`: every option and key, under which name, since which release, read by whom;
            `known_bugs`: nova's own, by release. `release_page` makes a page of them.
match/      nova's matching of devices, compared with nova itself.
flavor/     what a flavor and an image ask for, as nova reads them.
conf/       files of nova's configuration, with the position of each value, and as oslo.config
            reads them.
desired/    what a site asks nova for, decided once for nova, the cloud and the lab: devices, tags,
            `required_options` of each role, resource classes, quotas, filters, tuning.
render/     `request` is its entry; a role's drop-in, the files of a deployment tool, the diff.
lint/       checks the files of a service, or of several.
"""
