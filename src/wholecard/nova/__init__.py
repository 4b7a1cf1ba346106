"""nova.conf for cards: what has to stand in it, what is wrong with it, and what nova makes of it.

tables      `options`: every option and key, under which name, since which release, read by whom;
            `filters`: nova-scheduler's own list; `tuning`: what many cards need; `faults`: nova's
            own, by release.
wanting     `given` says which functions of a host a site gives, `specs` and `tags` how they are
            named there, `wanted` puts a role's `needs` together; `cards` are the two JSON values.
            `desired` decides for nova and cloud alike: `resource_classes`, `card_quotas`.
writing     `render` makes a role's drop-in, `layouts` what a deployment tool wants; `ours` knows
            our files again; `diff` says what would change and what to restart.
reading     `conf_file` has one file with the place of everything, `conf` (with `substitution`) a
            service's files together; `effective` has oslo.config's own values, without places.
judging     `match` is nova's matching, standard library only; `lint` holds files against it.
"""
