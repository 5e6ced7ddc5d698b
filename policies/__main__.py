"""The policy pack: `pulumi preview --policy-pack policies`."""

from pulumi_policy import EnforcementLevel, PolicyPack

from policies.pack import policies

PolicyPack("causeway", policies(), enforcement_level=EnforcementLevel.MANDATORY)
