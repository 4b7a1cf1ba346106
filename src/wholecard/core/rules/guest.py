"""WC4xx: what the proof in a guest says of its card, and images for guests."""

from __future__ import annotations

from wholecard.core.rules.rule import Rule, Severity

_E = Severity.ERROR

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
    Rule("WC406", "foreign-report", "The report has another nonce", _E,
         "The console has a report that was not made for this run."),
    Rule("WC407", "unreadable-report", "The guest's report cannot be read", _E,
         "Undamaged records contradict each other or have values that no agent writes."),
    Rule("WC408", "gpu-not-counted", "No driver in the guest counts the GPU", _E,
         "The guest has the function, and neither the vendor's tool nor DRM counts it."),
    Rule("WC409", "server-refused", "nova did not start the server", _E,
         "The server that was to prove its cards is in ERROR."),
    Rule("WC430", "card-not-free", "A card is not free after its server was deleted", _E,
         "Placement still has allocations of the deleted server."),
    Rule("WC431", "benchmark-failed", "The benchmark did not run or failed its own check", _E,
         "wholecard-bench gave no result in the guest, or a wrong one."),
    Rule("WC432", "container-without-card", "A container did not get the cards", _E,
         "Containers did not run side by side, or one saw no device."),
    Rule("WC433", "guest-tool-failed", "A tool in the guest failed", Severity.WARNING,
         "The vendor's tool or another one ended with an error in the guest."),
    Rule("WC434", "no-bar-mapped", "A function in the guest has no memory mapped", _E,
         "No BAR of the function has an address, so no driver can use it."),
    Rule("WC435", "gpu-seen-twice", "Two servers report the same GPU", _E,
         "One UUID was reported by two servers that ran at one time."),
    Rule("WC436", "ids-not-known", "Which card a flavor asks for is not known", Severity.NOTE,
         "Neither the site file nor Placement says which ids the alias has."),
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
)  # fmt: skip
