"""The Pulumi program: the stack at its position, from config alone."""

import gc
import sys

import pulumi

from causeway.config import from_values, keys
from causeway.errors import CausewayError
from causeway.rollout.provision import provision


def main() -> None:
    own, gcp = pulumi.Config("causeway"), pulumi.Config("gcp")
    values = {f"causeway:{key}": own.get(key) for key in keys()}
    given = {key: value for key, value in {**values, "gcp:project": gcp.get("project")}.items() if value is not None}
    provision(from_values(given, pulumi.get_stack()))


gc.disable()  # the program lives two seconds, a tenth of which would go into looking for cycles
try:
    main()
except CausewayError as error:
    pulumi.log.error(str(error))
    sys.exit(32)  # the language host knows by this code that the user has seen the error
