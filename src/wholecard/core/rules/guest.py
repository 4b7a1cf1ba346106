"""WC4xx: what the proof in a guest says of its card, and what prevents a driver in an image."""

from __future__ import annotations

from wholecard.core.rules.rule import Rule, Severity

_E = Severity.ERROR
_W = Severity.WARNING

RULES = (
    Rule("WC401", "missing-in-guest", "A function is missing in the guest", _E,
         "The guest does not see a function that the server should have."),
    Rule("WC402", "unexpected-in-guest", "A function in the guest that was not requested", _E,
         "The guest sees a function that is neither requested nor the virtual machine's own."),
    Rule("WC403", "split-card", "The functions of a card do not come from one card", _E,
         "nova took the functions of one card from different slots of the host."),
    Rule("WC404", "no-guest-driver", "A function in the guest has no driver bound", _E,
         "The guest's expected driver did not bind the function."),
    Rule("WC405", "no-report", "The guest did not report", _E,
         "The guest's report did not begin, or stopped before its end."),
    Rule("WC420", "driver-does-not-build", "The driver does not build on the kernel", _E,
         "The driver is known not to build on the kernel that the image will boot."),
    Rule("WC421", "no-common-driver", "No driver fits all the cards of the guest", _E,
         "The cards of one guest need drivers that exclude each other, or none is on offer."),
    Rule("WC422", "kernel-without-drm", "The image's kernel has no drivers for cards", _E,
         "The kernel of the image is built without DRM, sound and I2C.",
         otherwise="note where the recipe replaces it"),
    Rule("WC423", "untrusted-module", "Secure Boot does not trust the driver's module", _E,
         "The image has Secure Boot, and the distribution did not sign the module."),
    Rule("WC424", "driver-out-of-support", "The driver's branch is out of support", _W,
         "NVIDIA's support of the chosen branch has ended."),
    Rule("WC425", "unknown-card", "The card's generation is not known", _E,
         "Neither pci.ids nor the table of drivers knows the card, so no driver is chosen."),
    Rule("WC426", "module-does-not-fit", "A module does not fit the image's kernel", _E,
         "A module is missing for the kernel, was built for another, or misses a symbol."),
    Rule("WC427", "wrong-driver-binds", "Another driver would bind the card", _E,
         "In the image the expected driver is not the one that udev would load for the card."),
    Rule("WC428", "dkms-build-failed", "A DKMS build failed", _E,
         "A module was not built in the image; the first error of make.log is quoted."),
    Rule("WC429", "old-container-toolkit", "The container toolkit has a known hole", _E,
         "The NVIDIA Container Toolkit in the image is older than the one that closes the hole."),
)  # fmt: skip
