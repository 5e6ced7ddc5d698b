"""What makes a laptop and CI able to run causeway: the real engine and the real Firestore emulator, and no cloud.

`install` gets pulumi; `gcp` is a local provider for any resource of the SDK; `language_host` stands in for the official
one; `processes` supervises what runs beside; `environment` ties them into one isolated place to run a stack in; `local`
is that place for use by hand. Nothing of the product imports this package.
"""
