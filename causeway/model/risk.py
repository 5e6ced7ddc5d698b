"""What the gates may get wrong by chance. Apart from the tests themselves, so that the budget needs no numpy."""

from __future__ import annotations

#: Probability of rolling back a service that keeps a guardrail, per guardrail and start of the tests.
ALPHA = 0.01
#: Probability of advancing a service that stays at or beyond a rollback threshold, per guardrail and soak.
BETA = 0.05
#: Windows after which the harm tests start again.
LIFE = 360
