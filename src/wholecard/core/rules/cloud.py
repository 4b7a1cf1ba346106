"""WC33x: what `cloud plan` and `cloud apply` say of flavors, images and limits."""

from __future__ import annotations

from wholecard.core.rules.rule import Rule, Severity

_E, _W = Severity.ERROR, Severity.WARNING

RULES = (
    Rule("WC330", "name-taken", "Another object has the name and differs", _W,
         "An object that Wholecard did not make has the name and differs from the site file."),
    Rule("WC331", "not-changeable", "A change that the API cannot make", _W,
         "The site file changes a value of an object that the API cannot change."),
    Rule("WC332", "not-in-release", "The release does not have what is requested", _W,
         "An extra spec, image property or quota means nothing to this release of nova."),
    Rule("WC333", "unknown-host-or-project", "A host or a project that the cloud does not know",
         _W, "The site file names a host or project that does not exist in the cloud."),
    Rule("WC334", "image-without-file", "An image that does not exist and has no file", _W,
         "Glance lacks the image, and the site file has no file to make it from."),
    Rule("WC335", "no-registered-limit", "A resource that nova counts has no registered limit", _E,
         "With unified limits, a resource without a registered limit has the limit 0."),
    Rule("WC336", "cards-not-counted", "nova does not count the cards", _W,
         "The site file limits cards, and this cloud's quota driver does not count them."),
    Rule("WC337", "flavor-address-width", "A flavor's cards do not fit the guest's address width",
         _W, "The flavor needs more address bits than its guests can have.",
         "note if the cards' size is not known"),
    Rule("WC338", "image-not-uefi",
         "An image without q35 and UEFI for cards that need wide addresses", _W,
         "The image's machine type or firmware cannot place the cards' memory."),
    Rule("WC339", "flavor-has-more", "Our flavor has a setting that the site file lacks", _W,
         "A flavor of Wholecard's has an extra spec or a project that the site file lacks."),
)  # fmt: skip
