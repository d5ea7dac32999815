"""Networks whose verdict is known: healthy ones at their own initialisation, sick ones from generator families."""
