"""A local `gcp` provider: any resource of the installed `pulumi_gcp`, checked against the SDK's types.

Firestore documents go to the Firestore emulator; every other resource is one JSON file of a local cloud directory.
"""
