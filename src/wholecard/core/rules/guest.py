"""WC4xx: what the proof in a guest says of its card, and images for guests with their drivers."""

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
    Rule("WC410", "image-too-small", "An image is too small for what is to be installed", _E,
         "The steps of the image need more room than its disk will have."),
    Rule("WC411", "growth-at-first-boot", "Only the image's disk grows during the build",
         Severity.NOTE, "The file system gets the new room at the first boot."),
    Rule("WC412", "no-image-writer", "No writer can change the image on this machine", _E,
         "Neither libguestfs nor KVM is here, so the recipe cannot be carried out."),
    Rule("WC413", "image-not-built", "An image of the site file is not built", Severity.WARNING,
         "The site file says how the image is built, and its file does not exist."),
    Rule("WC414", "image-outdated", "A built image is not what the site file asks for",
         Severity.WARNING, "The image's file or its recipe changed after it was built."),
    Rule("WC415", "size-not-known", "The size of packages is not known", Severity.NOTE,
         "Nobody measured how much room these packages need in an image."),
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
