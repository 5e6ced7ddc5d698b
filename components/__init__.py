"""What the stack provisions: one Pulumi component per file, frozen args in, registered outputs out.

Nothing is imported here, so that asking for one component never loads the SDK modules of the others.
"""
