"""What a stack must never do, as pure rules over the inputs of its resources; `pack` hands them to Pulumi."""
