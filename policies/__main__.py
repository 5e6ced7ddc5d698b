"""The policy pack: `pulumi preview --policy-pack policies`."""

import gc

from pulumi_policy import EnforcementLevel, PolicyPack

from causeway.rollout.store import preload
from policies.pack import policies

gc.disable()  # it lives as long as one preview
preload()  # the program is only starting, and the rules will read the journal
PolicyPack("causeway", policies(), enforcement_level=EnforcementLevel.MANDATORY)
